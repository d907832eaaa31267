"""Mediation (调解) of a post-loan talk as JSON: 识人 profile and emotion, 共情 empathy, 讲理 reasons, 普法 law.

Beside them stand the analysis (which practice, with which evidence) and a warning of the risk.
"""

from __future__ import annotations

import functools
import json
import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tianjing import acts
from tianjing.files import canonical_json
from tianjing.tasks.base import Fields, Reading, Reference
from tianjing.tasks.talk import render_turns, said
from tianjing.text import compact, numbers

if TYPE_CHECKING:
    from tianjing.rulebook import PhraseMatcher

# What a customer's words show; the last where they show nothing.
EMOTIONS: tuple[str, ...] = ("愤怒", "抵触", "焦虑", "未表露")
# Part -> what a person calls it, in the order of the answer.
PARTS: dict[str, str] = {
    "situation": "情形",
    "emotion": "情绪",
    "practice": "做法",
    "words": "客户原话",
    "analysis": "分析",
    "empathy": "共情",
    "reasoning": "讲理",
    "clause": "条款",
    "law": "普法",
    "risk": "风险提示",
}
_SPOKEN = ("empathy", "reasoning")
_KEYS = {**{name: name for name in PARTS}, **{title: name for name, title in PARTS.items()}}
_WORDINGS = (
    "经验：\n{practices}\n条款：\n{clauses}\n通话：\n{turns}\n调解：",
    "请为下面的通话写调解方案。\n{turns}\n可用的经验：\n{practices}\n可用的条款：\n{clauses}",
    "通话：\n{turns}\n参考条款：\n{clauses}\n参考经验：\n{practices}\n请按要求的JSON给出调解方案。",
)
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_PAIR = re.compile(rf"[\"“]?({'|'.join(_KEYS)})[\"”]?\s*[:：]\s*[\"“]((?:\\.|[^\"”\\\n])*)")
_PLACEHOLDER = re.compile(r"〔[^〕]*〕")
_MIN_QUOTE_CHARS = 4


class Mediation:
    """fields: turns[{speaker, text}], practices[{situation, act, title, text}], clauses[{id, label, text}].

    reference: one string for each of PARTS, act (the practice's) and clause_id. `words` are the customer's own, `law`
    is the clause word for word, and the analysis states the numbers of the practice that is shown.
    """

    id = "mediation"
    title = "调解（识人、共情、讲理、普法）"
    max_tokens = 320
    closed = True

    def system(self) -> str:
        form = ",".join(f'"{name}":"{title}"' for name, title in PARTS.items())
        return (
            f"你是贷后调解员，只依据给出的经验和条款，不编数字，合规地说话。只输出JSON：{{{form}}}。"
            f"情绪是{'、'.join(EMOTIONS)}之一，普法写条款原文。"
        )

    def render(self, fields: Fields, wording: int = 0) -> str:
        clauses = [f"{clause['label']} {clause['text']}" for clause in fields["clauses"]]
        practices = [f"{card['situation']}：{card['title']}，{card['text']}" for card in fields["practices"]]
        return _WORDINGS[wording % len(_WORDINGS)].format(
            practices=_numbered(practices), clauses=_numbered(clauses), turns=render_turns(fields["turns"])
        )

    def target(self, reference: Reference) -> str:
        return json.dumps({name: reference[name] for name in PARTS}, ensure_ascii=False)

    def decisive(self, reference: Reference) -> str:
        decided = {name: reference[name] for name in ("situation", "emotion", "practice")}
        return json.dumps(decided, ensure_ascii=False)[1:-1]

    def read(self, text: str, fields: Fields) -> Reading:
        """Accepts a JSON object, else the parts that stand as `name: "value"` (also of an object cut short)."""
        folded = unicodedata.normalize("NFKC", text).strip()
        if not folded:
            return Reading(None, "empty", {})
        rule, found = "json", _json(text)
        if not found:
            rule, found = "pairs", {_KEYS[match[1]]: match[2].strip() for match in _PAIR.finditer(text)}
        if not found:
            return Reading(None, "unreadable", {})
        parts = {name: found.get(name, "") for name in PARTS}
        decided = {
            "situation": compact(parts["situation"]),
            "emotion": next((name for name in EMOTIONS if name in parts["emotion"]), ""),
            "act": _act(parts["practice"], fields),
            "clause": _clause(parts["clause"], fields),
        }
        return Reading(canonical_json(decided), rule, {**parts, "decided": decided})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        """Share right of: situation, emotion, practice, clause, its quotation, the customer's quoted words.

        0 where the words to be spoken break a rule of the rulebook, or any part states a number that is not shown.
        """
        if reading.answer is None:
            return 0.0
        parts, decided = reading.details, reading.details["decided"]
        shown = " ".join(
            text for name in ("turns", "practices", "clauses") for item in fields[name] for text in item.values()
        )
        stated = claimed(" ".join(parts[name] for name in PARTS if name != "clause"))
        if not stated <= numbers(shown) or any(_matcher().find(parts[name]) for name in _SPOKEN):
            return 0.0
        cited = next((clause["text"] for clause in fields["clauses"] if clause["id"] == decided["clause"]), "")
        law = compact(parts["law"])
        heard = [turn for turn in fields["turns"] if turn["speaker"] == "customer"]
        right = (
            decided["situation"] == compact(reference["situation"]),
            decided["emotion"] == reference["emotion"],
            decided["act"] == reference["act"],
            decided["clause"] == reference["clause_id"],
            len(law) >= _MIN_QUOTE_CHARS and law in compact(cited),
            bool(parts["words"]) and said(parts["words"], heard),
        )
        return sum(right) / len(right)

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return self.target(rng.choice(list(references)))


def claimed(text: str) -> frozenset[str]:
    """The numbers that words claim; that of a placeholder such as 〔姓名1〕 or of 一次说清 is none."""
    return numbers(_PLACEHOLDER.sub("", text), claims=True)


def _numbered(lines: Sequence[str]) -> str:
    return "\n".join(f"[{number}] {line}" for number, line in enumerate(lines, start=1))


def _json(text: str) -> Mapping[str, str]:
    match = _OBJECT.search(text)
    try:
        value: Any = json.loads(match[0]) if match else None
    except json.JSONDecodeError:
        return {}
    if not isinstance(value, dict):
        return {}
    return {_KEYS[key]: "" if item is None else str(item).strip() for key, item in value.items() if key in _KEYS}


def _act(text: str, fields: Fields) -> str:
    """The act of the shown practice whose title is named, the longest first; else of any act's own title."""
    folded = compact(text)
    known = {compact(card["title"]): card["act"] for card in fields["practices"]}
    known |= {title: act for act, title in acts.ACTS.items() if title not in known}
    return next((known[title] for title in sorted(known, key=len, reverse=True) if title in folded), "")


def _clause(text: str, fields: Fields) -> str:
    """Id of the shown clause that is named by its label, "" for one that is not shown."""
    folded = compact(text)
    labels = {compact(clause["label"]): clause["id"] for clause in fields["clauses"]}
    return next((labels[label] for label in sorted(labels, key=len, reverse=True) if label in folded), "")


@functools.cache
def _matcher() -> PhraseMatcher:
    from tianjing.rulebook import Rulebook

    return Rulebook.load().matcher("agent")
