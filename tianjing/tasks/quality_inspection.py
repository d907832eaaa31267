"""Quality inspection (质检) of one agent turn: rule id or none, evidence, compliant rewrite, as JSON."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Sequence

from tianjing.tasks.base import Fields, Reading, Reference

NONE = "none"
NO_TITLE = "没有违反"

_WORDINGS = (
    "质检项：\n{rules}\n客户：{customer}\n坐席：{agent}",
    "请检查坐席这句话。\n可选质检项：\n{rules}\n上文客户说：{customer}\n坐席说：{agent}",
    "坐席的话术：{agent}\n它回应的是客户：{customer}\n对照质检项：\n{rules}",
)
_OBJECT = re.compile(r"\{.*?\}", re.DOTALL)
_NO_BREACH = re.compile(r"none|没有违反|未违反|不违反|无违规|没有违规|不违规|未违规|合规")


class QualityInspection:
    """fields: rules[{id, title}], customer, agent; reference: rule (id or "none"), title, evidence, rewrite.

    The answer names the rule in words, then by id, then quotes what breaks it: whether there is a breach at all and
    which one is a single choice at its start.
    """

    id = "quality_inspection"
    title = "坐席质检（JSON）"
    max_tokens = 80
    closed = True

    def system(self) -> str:
        return (
            "你是贷后质检员。判断坐席的话违反哪一条质检项，只输出JSON："
            '{"title":"质检项名称","rule":"编号，没有违反写none","evidence":"违规原文","rewrite":"合规说法"}'
        )

    def render(self, fields: Fields, wording: int = 0) -> str:
        rules = "\n".join(f"{rule['id']} {rule['title']}" for rule in fields["rules"])
        return _WORDINGS[wording % len(_WORDINGS)].format(
            rules=rules, customer=fields["customer"] or "（无）", agent=fields["agent"]
        )

    def target(self, reference: Reference) -> str:
        answer = {
            "title": reference["title"] or NO_TITLE,
            "rule": reference["rule"],
            "evidence": reference["evidence"],
            "rewrite": reference["rewrite"],
        }
        return json.dumps(answer, ensure_ascii=False)

    def decisive(self, reference: Reference) -> str:
        return f'"title": "{reference["title"] or NO_TITLE}", "rule": "{reference["rule"]}"'

    def read(self, text: str, fields: Fields) -> Reading:
        """Accepts JSON anywhere in the text, else the first rule id, else a rule title, else "not in breach"."""
        folded = unicodedata.normalize("NFKC", text).strip()
        ids = {rule["id"].upper(): rule["id"] for rule in fields["rules"]}
        for candidate in _OBJECT.findall(folded):
            try:
                value = json.loads(candidate)
            except json.JSONDecodeError:
                continue
            if isinstance(value, dict) and "rule" in value:
                rule = self._rule(str(value["rule"]), ids, fields)
                if rule is not None:
                    return Reading(rule, "json", {key: value.get(key) for key in ("evidence", "rewrite")})
        rule = self._rule(folded, ids, fields)
        if rule is not None:
            return Reading(rule, "text", {})
        return Reading(None, "unreadable" if folded else "empty", {})

    def _rule(self, text: str, ids: dict[str, str], fields: Fields) -> str | None:
        upper = text.upper()
        named = [(upper.find(key), value) for key, value in ids.items() if key in upper]
        if named:
            return min(named)[1]
        titled = [(text.find(rule["title"]), rule["id"]) for rule in fields["rules"] if rule["title"] in text]
        if titled:
            return min(titled)[1]
        return NONE if _NO_BREACH.search(text.lower()) else None

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        return float(reading.answer == reference["rule"])

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return self.target(rng.choice(list(references)))
