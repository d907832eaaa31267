"""The practice that is suggested: allowed by the rulebook, accepted by a person, sure enough, for this situation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from serving.decide.person import folded
from serving.decide.settings import DecideSettings
from serving.errors import ServeError
from tianjing.acts import ACTS
from tianjing.files import parse_line, read_jsonl, sha256_file
from tianjing.lineage import MANIFEST, read_manifest
from tianjing.records import Practice

FILE_NAME = "practices.jsonl"
MAX_EVIDENCE = 20
# What an act promises must be permitted by the policy before it is suggested.
_OFFERS = {"offer_deferral": "deferral", "offer_instalment": "reinstalment"}


class Review(BaseModel):
    """One line of the decisions of `tianjing data review`, as far as it concerns a practice."""

    model_config = ConfigDict(frozen=True)

    kind: str
    unit: str
    decision: Literal["accept", "edit", "reject"]
    edits: dict[str, str] = {}
    reviewed: dict[str, Any]


@dataclass(frozen=True)
class Suggestion:
    """A practice as it is suggested, in the words of its reviewer where somebody worded it anew."""

    practice: Practice
    situation: str
    action: str

    def row(self) -> dict[str, Any]:
        """As it is answered: an association with its interval, never a cause."""
        one = self.practice
        low, high = (f"{100 * limit:+.1f}" for limit in (one.ci_low, one.ci_high))
        return {
            "id": one.id,
            "situation": self.situation,
            "action": self.action,
            "outcome": one.outcome,
            "effect": one.effect,
            "ci_low": one.ci_low,
            "ci_high": one.ci_high,
            "q": one.q,
            "rate_treated": one.rate_treated,
            "rate_control": one.rate_control,
            "support": one.support.model_dump(),
            "fragile": one.fragile,
            "doubts": list(one.doubts),
            "evidence": list(one.evidence[:MAX_EVIDENCE]),
            "statement": (
                f"“{self.situation}”中，“{self.action}”与 {one.outcome} 相关（associated）：风险差 "
                f"{100 * one.effect:+.1f} 个百分点（95% 区间 {low} 至 {high}），{one.support.treated} 例采用，"
                f"共 {one.support.cases} 例。相关不等于因果。"
            ),
        }


@dataclass(frozen=True)
class Practices:
    """The practices that may be suggested, by folded situation, the surest first; `digest` is of their file."""

    by_situation: Mapping[str, Sequence[Suggestion]] = field(default_factory=dict)
    digest: str = ""

    def suggest(self, situations: Iterable[str], permitted: Collection[str]) -> tuple[Suggestion | None, str]:
        """The suggestion with the highest lower confidence limit, or why there is none.

        Args:
            permitted: measures that may be offered; a practice that would offer another one is passed over.
        """
        found = [one for name in situations for one in self.by_situation.get(folded(name), ())]
        if not found:
            return None, "no practice is known for these situations"
        usable = [one for one in found if _OFFERS.get(one.practice.action, "") in ("", *permitted)]
        if not usable:
            return None, "what worked would offer what is not permitted here"
        return min(usable, key=_surest), ""


def load_practices(settings: DecideSettings) -> Practices:
    """Read knowledge, and decisions where they are given.

    Raises:
        TianjingError: no such files, a line that is none, or a file that is not the one of its manifest.
    """
    assert settings.knowledge is not None
    path = settings.knowledge / FILE_NAME
    digest = _intact(settings.knowledge, path)
    reviews = None if settings.decisions is None else _reviews(settings.decisions)
    by_situation: dict[str, list[Suggestion]] = {}
    for practice in read_jsonl(path, Practice):
        if (made := _suggestion(practice, settings, reviews)) is None:
            continue
        for name in {folded(practice.situation), folded(made.situation)}:
            by_situation.setdefault(name, []).append(made)
    return Practices({name: sorted(found, key=_surest) for name, found in by_situation.items()}, digest)


def _surest(one: Suggestion) -> tuple[float, str]:
    return -one.practice.ci_low, one.practice.id


def _intact(folder: Path, path: Path) -> str:
    """Digest of the practices' file, which is the one that the manifest names."""
    if not path.is_file():
        raise ServeError(f"{path}: no such file", "name the folder that `tianjing data extract --out` wrote")
    digest = sha256_file(path)
    named = {record.path: record.sha256 for record in read_manifest(folder).files}
    if named.get(FILE_NAME) != digest:
        raise ServeError(
            f"{path}: not the file that {folder / MANIFEST} names",
            "extract again; what was changed by hand is not suggested",
        )
    return digest


def _reviews(path: Path) -> dict[str, Review]:
    """Practice id -> the last decision on it."""
    if not path.is_file():
        raise ServeError(f"{path}: no such file of decisions", "record a review: tianjing data review --apply")
    reviews = {}
    with open(path, "rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                review = parse_line(line, Review)
            except ValueError as error:
                raise ServeError(f"{path}:{number}: {error}", "take the file from a backup") from None
            if review.kind == "practice":
                reviews[review.unit] = review
    return reviews


def _suggestion(
    practice: Practice, settings: DecideSettings, reviews: Mapping[str, Review] | None
) -> Suggestion | None:
    sure = not practice.exploratory and practice.q <= settings.max_q and practice.ci_low > 0
    if practice.verdict != "allowed" or practice.outcome != settings.outcome or not sure:
        return None
    edits: Mapping[str, str] = {}
    if reviews is not None:
        review = reviews.get(practice.id)
        if review is None or review.decision == "reject" or not _same_subject(practice, review):
            return None
        edits = review.edits
    situation = edits.get("situation") or practice.situation_wording or practice.situation
    action = edits.get("action") or practice.action_wording or ACTS.get(practice.action, practice.action)
    return Suggestion(practice, situation, action)


def _same_subject(practice: Practice, review: Review) -> bool:
    """Whether the decision was on this practice, and not on another one under the same id."""
    return all(review.reviewed.get(name) == getattr(practice, name) for name in ("situation", "action", "outcome"))
