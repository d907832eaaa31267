"""Why a person, and not the AI, must speak with this customer."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from serving.decide.request import DecideBody
from serving.decide.settings import DecideSettings
from serving.handoff import signals
from tianjing.rulebook import Rulebook


@dataclass(frozen=True)
class Reason:
    """Why something was decided. `id` is a rule, a signal, a situation or a flag; `detail` never repeats words."""

    kind: Literal["rule", "signal", "situation", "profile", "account"]
    id: str
    detail: str = ""


def reasons_for_a_person(
    body: DecideBody,
    settings: DecideSettings,
    book: Rulebook,
    day: date,
    fits: bool = True,
    margin: float | None = 0.0,
) -> tuple[Reason, ...]:
    """Empty when the AI may speak.

    Args:
        fits: whether the account's row agrees with its own schedule.
        margin: of the learned signals, as `serving.handoff.signals.detect` takes it.
    """
    found = [*_said(body.session.words or "", book, day, margin)]
    human = {folded(name) for name in settings.human_situations}
    found += [Reason("situation", name) for name in body.session.situations if folded(name) in human]
    found += [Reason("profile", name) for name in body.profile.flags if folded(name) in human]
    if body.profile.age is not None and body.profile.age < settings.adult_age:
        found.append(Reason("profile", "minor", f"younger than {settings.adult_age}"))
    if not fits:
        found.append(Reason("account", "arrears_do_not_fit", "the arrears do not follow from the schedule"))
    return tuple(dict.fromkeys(found))


def folded(name: str) -> str:
    """A name as names are compared: whatever its width, case and blanks."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _said(words: str, book: Rulebook, day: date, margin: float | None) -> Iterator[Reason]:
    if not words:
        return
    yield from (Reason("signal", signal.kind) for signal in signals.detect(words, margin=margin))
    for rule in {hit.rule.id: hit.rule for hit in book.matcher("customer").find(words)}.values():
        if rule.action == "handoff" and rule.in_force(day):
            yield Reason("rule", rule.id, rule.title)
