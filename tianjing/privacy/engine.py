"""What is built on the scanner: find, mask, and a session's replacements. Streams are `tianjing.guard`'s."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tianjing.privacy.acts import Act
from tianjing.privacy.findings import FIELD_KINDS, KINDS, Finding, Match, View, findings_of, fold
from tianjing.privacy.hints import Places
from tianjing.privacy.scanner import Scanner


class Masked(NamedTuple):
    """A text with placeholders, and what they stand for: `replacements` holds one for each finding."""

    text: str
    findings: tuple[Finding, ...]
    replacements: tuple[str, ...] = ()


class Session:
    """One conversation: what is known of the customer, the names heard so far, and one replacement for one value.

    By default the replacement is a typed placeholder that stays the same: 〔手机1〕, 〔手机2〕. `find` leaves the
    session as it was; `mask` remembers names heard in full: 王建国 of one turn is found in the next.

    Args:
        known: fields of the customer's record, by the names in `FIELD_KINDS`; others are masked as 〔信息〕.
        act: what to put in place of a finding (`tianjing.privacy.acts`); None gives placeholders.
        person: the customer's id: with it a pseudonym follows the person, not only the name.
    """

    def __init__(self, known: Mapping[str, str] | None = None, act: Act | None = None, person: str = ""):
        self.known = known
        self.act = act
        self.person = person
        self.scanner = Scanner(known)
        self._numbers: dict[tuple[str, str], int] = {}
        self._counts: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._own = ""
        for name, value in (known or {}).items():
            if FIELD_KINDS.get(name) == "name":
                own = fold(str(value)).strip()
                self._own = self._own or own
                self._remember(own)

    def find(self, text: str) -> tuple[Finding, ...]:
        """Personal data in `text`, in order, without overlaps."""
        return findings_of(text, self.matches(text))

    def matches(
        self, text: str, places: Places | None = None, *, learn: bool = False, folded: bool = False
    ) -> list[tuple[int, Match]]:
        """What `find` finds as (start, match), with canonical values.

        Args:
            places: the places of this text, if they are known already.
            learn: remember names heard in full.
            folded: `text` has been folded already.
        """
        view = View(text if folded else fold(text), closed=True)
        return self.scanner.scan(view, 0, places, learn=learn)[0]

    def replace(self, text: str, matches: Sequence[tuple[int, Match]]) -> Masked:
        """`text` with these matches, in order and without overlaps, replaced."""
        if not matches:
            return Masked(text, ())
        parts: list[str] = []
        findings: list[Finding] = []
        position = 0
        for begin, match in matches:
            raw = text[begin : match.end]
            parts.append(text[position:begin])
            parts.append(self.replacement(match, raw))
            findings.append(Finding(match.kind, begin, match.end, raw))
            position = match.end
        parts.append(text[position:])
        return Masked("".join(parts), tuple(findings), tuple(parts[1::2]))

    def replaced(self, turns: Sequence[tuple[str, str]], found: Sequence[list[tuple[int, Match]]]) -> list[Masked]:
        """`replace` of the turns (speaker, text) of a dialogue, in order."""
        return [self.replace(turn[1], matches) for turn, matches in zip(turns, found, strict=True)]

    def mask(self, text: str) -> Masked:
        """Replace what `find` finds."""
        return self.replace(text, self.matches(text, learn=True))

    def placeholder(self, match: Match) -> str:
        """The typed placeholder of a match, e.g. 〔手机1〕."""
        key = (match.kind, self._canonical(match))
        if key not in self._numbers:
            self._counts[match.kind] = self._counts.get(match.kind, 0) + 1
            self._numbers[key] = self._counts[match.kind]
        return f"〔{KINDS[match.kind]}{self._numbers[key]}〕"

    def replacement(self, match: Match, raw: str) -> str:
        """What stands for `raw`, the text of `match`."""
        if self.act is None:
            return self.placeholder(match)
        value = self._canonical(match)
        own = match.kind == "name" and value == self._own
        return self.act(match.kind, f"{value}\n{self.person}" if own and self.person else value, raw)

    def _canonical(self, match: Match) -> str:
        """王 (of 王先生) and 建国 are the 王建国 of the customer record or of an earlier turn."""
        if match.kind != "name":
            return match.value
        name = self._names.get(match.value, match.value)
        self._remember(name)
        return name

    def _remember(self, name: str) -> None:
        names = self._names
        names.setdefault(name, name)
        for length in range(1, len(name)):
            names.setdefault(name[:length], name)
        names.setdefault(name[-2:], name)

    def trial(self) -> Session:
        """A session that knows what this one knows and keeps to itself what it learns."""
        twin = copy.copy(self)
        twin._numbers, twin._counts, twin._names = dict(self._numbers), dict(self._counts), dict(self._names)
        twin.scanner = self.scanner.trial()
        return twin


def find(text: str, known: Mapping[str, str] | None = None) -> tuple[Finding, ...]:
    """Personal data in `text` with offsets into it; `known` holds fields of the customer's record (name, mobile, …)."""
    return Session(known).find(text)


def mask(text: str, known: Mapping[str, str] | None = None) -> Masked:
    """`text` with personal data replaced by typed placeholders."""
    return Session(known).mask(text)
