"""Licence policy: what a source's licence permits, who may be trained on it, and the ledger that says so.

A source is judged by the words its owner wrote. Whatever forbids commercial use, or says nothing, is refused for
training until a person allows that source by name; a refused source may still be kept for evaluation.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pydantic import Field, model_validator

from data_recipes.errors import DataError
from tianjing.config import StrictModel

LicenceClass = Literal[
    "own-material",
    "public-domain",
    "permissive",
    "share-alike",
    "copyleft",
    "no-derivatives",
    "non-commercial",
    "research-only",
    "unknown",
]
SourceKind = Literal["raw", "statutes", "instructions"]
Use = Literal["train", "evaluation", "refused"]

# From what asks least to what permits least: of several licences that all apply, the last one decides.
_ORDER: tuple[LicenceClass, ...] = (
    "own-material",
    "public-domain",
    "permissive",
    "share-alike",
    "copyleft",
    "no-derivatives",
    "non-commercial",
    "research-only",
    "unknown",
)
_RESEARCH = re.compile(
    r"research[ -]?(?:use[ -]?|purposes?[ -]?)?only|(?:academic|research|educational)[ -](?:use|purposes?|licen[cs]e)"
    r"|only for (?:academic|research)|non-?production"
    r"|(?:仅供|仅限|仅用于|只供|只能用于|只限)[^，。;]{0,8}(?:学术|研究|科研|教学|学习)|(?:学术|科研|研究)(?:用途|使用|许可)"
)
_NON_COMMERCIAL = re.compile(
    r"non-?\s?commercial|(?<![a-z])nc(?![a-z])|\b(?:not?|without)\b(?! (?:restrict|limit))[^,.;]{0,20}\bcommercial"
    r"|非商[业用]|[不勿](?:得|能|可|可以|许|允许|准)?(?:用于|作|作为)?[^，。;]{0,2}商[业用]|(?:禁止|严禁)[^，。;]{0,4}商[业用]"
)
_NO_DERIVATIVES = re.compile(r"no-?\s?deriv|\bcc[ -]?by(?:[ -]nc)?[ -]nd|禁止演绎|不得改编")
_NONE = re.compile(
    r"^(?:none|no|n/?a|unknown|unlicensed|other|proprietary|custom|no licen[cs]e.*|all rights reserved.*)$"
    r"|^(?:无|没有|未知|未注明|未声明|不明|未标明|保留所有权利)(?:许可证?|授权|协议|说明)?$"
)
_STATUTES = re.compile(r"outside copyright|copyright law,? art(?:icle|\.)? ?5|著作权法.{0,3}第?五条")
# Spelling -> SPDX identifier and class. What is found is cut out, so that lgpl, which stands first, is no gpl as well.
_KNOWN: tuple[tuple[str, str, LicenceClass], ...] = (
    (r"cc[ -]?0(?:[ -]1\.0)?|creative commons zero", "CC0-1.0", "public-domain"),
    (r"pddl", "PDDL-1.0", "public-domain"),
    (r"public[ -]domain|公有领域", "LicenseRef-public-domain", "public-domain"),
    (r"unlicense(?!d)", "Unlicense", "public-domain"),
    (r"odc[ -]?by", "ODC-By-1.0", "permissive"),
    (r"odbl|open database licen[cs]e", "ODbL-1.0", "share-alike"),
    (r"cdla[ -]permissive[ -]1", "CDLA-Permissive-1.0", "permissive"),
    (r"cdla[ -]permissive", "CDLA-Permissive-2.0", "permissive"),
    (r"cdla[ -]sharing", "CDLA-Sharing-1.0", "share-alike"),
    (r"agpl|affero", "AGPL-3.0-only", "copyleft"),
    (r"lgpl|lesser general public", "LGPL-3.0-only", "copyleft"),
    (r"gpl[ -]?v?2", "GPL-2.0-only", "copyleft"),
    (r"gpl|general public licen[cs]e", "GPL-3.0-only", "copyleft"),
    (r"gfdl|free documentation", "GFDL-1.3-only", "copyleft"),
    (r"mpl|mozilla public", "MPL-2.0", "copyleft"),
    (r"mulanpubl|木兰公共", "MulanPubL-2.0", "copyleft"),
    (r"mulan|木兰", "MulanPSL-2.0", "permissive"),
    (r"apache", "Apache-2.0", "permissive"),
    (r"bsd[ -]?2|simplified bsd", "BSD-2-Clause", "permissive"),
    (r"bsd", "BSD-3-Clause", "permissive"),
    (r"\bmit\b", "MIT", "permissive"),
    (r"\bisc\b", "ISC", "permissive"),
    (r"wtfpl", "WTFPL", "permissive"),
)
_CREATIVE_COMMONS = re.compile(r"cc[ -]?by((?:[ -](?:nc|nd|sa))*)(?:[ -]?v?(\d\.\d))?(?![a-z])")
_SPOKEN_COMMONS = re.compile(r"creative commons attribution([ \w-]*?)(?:[ -]v?(\d\.\d)|$|[^ \w-])")
_ALTERNATIVES = re.compile(r"\s+or\s+|\s*或者?\s*")


class LicencePolicy(StrictModel):
    """Which licences may be trained on. A source is named by the `path` it has in the extract configuration."""

    train_classes: tuple[LicenceClass, ...] = (
        "own-material",
        "public-domain",
        "permissive",
        "share-alike",
        "copyleft",
    )
    """Classes that are trained on without being asked; share-alike and copyleft bind whoever passes the rows on."""
    allow: dict[str, str] = Field(default_factory=dict)
    """Source -> why it may be trained on though its class is not listed (a contract, a consent); stands in the card."""
    evaluation_only: tuple[str, ...] = ()
    """Sources whose rows are all tested on and never learned from, whatever their licence."""
    refused: Literal["stop", "drop"] = "stop"
    """A source that may not be used: stop with an error, or leave it out, counted with its name."""

    @model_validator(mode="after")
    def _one_decision(self) -> LicencePolicy:
        both = sorted(set(self.allow) & set(self.evaluation_only))
        if both:
            raise ValueError(f"'{both[0]}' stands in both 'allow' and 'evaluation_only'")
        if not all(reason.strip() for reason in self.allow.values()):
            raise ValueError("'allow' needs a reason for each source")
        return self


@dataclass(frozen=True)
class Licence:
    """What was read out of a licence's wording: an SPDX expression ("" where there is none), its class, and by what."""

    spdx: str
    licence_class: LicenceClass
    rule: str


@dataclass(frozen=True)
class LedgerEntry:
    """One source in the ledger: its licence as given, what was made of it, and how many rows it gave."""

    source: str
    kind: SourceKind
    licence: str
    spdx: str
    licence_class: LicenceClass
    use: Use
    rule: str
    rows: Mapping[str, int]


def classify(text: str) -> Licence:
    """The class of a licence from its wording: SPDX identifiers, common spellings, English and Chinese restrictions.

    Of licences joined by "or" the freest counts, of all others the strictest: `Apache-2.0 (research use only)` is
    research-only. What is not recognised is unknown.
    """
    folded = re.sub(r"[\s_]+", " ", unicodedata.normalize("NFKC", text)).strip().casefold()
    choices = [_one(part) for part in _ALTERNATIVES.split(folded)] if _joins_licences(folded) else [_one(folded)]
    return min(choices, key=lambda licence: _ORDER.index(licence.licence_class))


def _joins_licences(text: str) -> bool:
    """Whether an "or" joins two licences, as in MIT or Apache-2.0, and not two words of one."""
    parts = _ALTERNATIVES.split(text)
    return len(parts) > 1 and all(_named(part) for part in parts)


def _one(text: str) -> Licence:
    if not text or _NONE.fullmatch(text):
        return Licence("", "unknown", "no licence is stated")
    named = _named(text)
    found = list(named)
    for pattern, licence_class, rule in (
        (_RESEARCH, "research-only", "the wording limits it to research"),
        (_NON_COMMERCIAL, "non-commercial", "the wording forbids commercial use"),
        (_NO_DERIVATIVES, "no-derivatives", "the wording forbids derived works"),
    ):
        if pattern.search(text):
            found.append(Licence("", licence_class, rule))  # type: ignore[arg-type]
    if _STATUTES.search(text):
        found.append(Licence("", "public-domain", "statutes are outside copyright (著作权法 第五条)"))
    if not found:
        return Licence("", "unknown", "the licence is not recognised")
    strictest = max(found, key=lambda licence: _ORDER.index(licence.licence_class))
    return replace(strictest, spdx=" AND ".join(dict.fromkeys(licence.spdx for licence in named)))


def _named(text: str) -> list[Licence]:
    """Licences named in the text, each by its SPDX identifier."""
    found = []
    for match in (*_CREATIVE_COMMONS.finditer(text), *_SPOKEN_COMMONS.finditer(text)):
        found.append(_creative_commons(match[1] or "", match[2] or "4.0"))
        text = text.replace(match[0], " ")
    for pattern, spdx, licence_class in _KNOWN:
        match_known = re.search(rf"(?<![a-z]){pattern}", text)
        if match_known:
            found.append(Licence(spdx, licence_class, f"named {spdx}"))
            text = text[: match_known.start()] + " " + text[match_known.end() :]
    return found


def _creative_commons(terms: str, version: str) -> Licence:
    words = terms.replace("-", " ")
    parts = ["CC-BY"]
    licence_class: LicenceClass = "permissive"
    for part, pattern, of_class in (
        ("SA", r"\bsa\b|share ?alike", "share-alike"),
        ("ND", r"\bnd\b|no ?deriv", "no-derivatives"),
        ("NC", r"\bnc\b|non ?commercial", "non-commercial"),
    ):
        if re.search(pattern, words):
            parts.insert(1, part)
            licence_class = of_class  # type: ignore[assignment]
    spdx = "-".join([*parts, version])
    return Licence(spdx, licence_class, f"named {spdx}")


def judge(sources: Iterable[tuple[str, SourceKind, str]], policy: LicencePolicy) -> list[LedgerEntry]:
    """The decision on each (source, kind, licence as given); rows are counted later, by `count_rows`.

    Statutes need no licence, and a company's raw folder without one is its own material.

    Raises:
        DataError: a source may not be trained on (unless `refused` is `drop`), has two licences, or is named by the
            policy and not there.
    """
    entries = [_judge_one(name, kind, licence, policy) for name, kind, licence in dict.fromkeys(sources)]
    names = {entry.source for entry in entries}
    if len(names) < len(entries):
        twice = next(name for name, count in Counter(entry.source for entry in entries).items() if count > 1)
        raise DataError(
            f"source '{twice}' is given twice, with different licences",
            "put what has another licence in its own folder",
        )
    unknown = sorted((set(policy.allow) | set(policy.evaluation_only)) - names)
    if unknown:
        raise DataError(
            f"licences: there is no source '{unknown[0]}'", f"sources of this knowledge: {', '.join(sorted(names))}"
        )
    refused = [entry for entry in entries if entry.use == "refused"]
    if refused and policy.refused == "stop":
        first = refused[0]
        raise DataError(
            f"source '{first.source}': licence '{first.licence or 'none'}' is {first.licence_class} ({first.rule}) and "
            f"is refused for training; refused in all: {', '.join(entry.source for entry in refused)}",
            f"allow it by name (licences: allow: {{{first.source}: REASON}}), keep it for tests (licences: "
            f"evaluation_only: [{first.source}]), leave it out (licences: refused: drop), or state its licence",
        )
    return entries


def _judge_one(name: str, kind: SourceKind, licence: str, policy: LicencePolicy) -> LedgerEntry:
    found = classify(licence)
    if found.licence_class == "unknown" and not licence.strip() and kind == "raw":
        found = Licence("", "own-material", "a raw folder without a licence is the owner's own material")
    elif found.licence_class == "unknown" and kind == "statutes":
        found = Licence(found.spdx, "public-domain", "statutes are outside copyright (著作权法 第五条)")
    use: Use
    if name in policy.evaluation_only:
        use, rule = "evaluation", "evaluation_only names it"
    elif found.licence_class in policy.train_classes:
        use, rule = "train", found.rule
    elif name in policy.allow:
        use, rule = "train", f"allowed by name: {policy.allow[name]}"
    else:
        use, rule = "refused", found.rule
    return LedgerEntry(name, kind, licence, found.spdx, found.licence_class, use, rule, {})


def count_rows(entries: Sequence[LedgerEntry], rows: Iterable[tuple[str, str]]) -> list[LedgerEntry]:
    """The ledger with rows by split; `rows` are (source, split)."""
    counted: dict[str, Counter[str]] = {entry.source: Counter() for entry in entries}
    for source, split in rows:
        counted[source][split] += 1
    return [replace(entry, rows=dict(sorted(counted[entry.source].items()))) for entry in entries]


def ledger_json(entries: Sequence[LedgerEntry]) -> dict[str, Any]:
    """What `licences.json` holds."""
    return {"sources": [asdict(entry) for entry in entries]}
