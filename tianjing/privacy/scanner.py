"""The one left-to-right scanner: leftmost match first, longest of those that begin at one character."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Final

from tianjing.privacy import codes, dates, hints, names
from tianjing.privacy.addresses import match_address
from tianjing.privacy.dates import match_birth_date, read_date
from tianjing.privacy.digits import DIGITS, plain_digits
from tianjing.privacy.employers import match_employer
from tianjing.privacy.findings import FIELD_KINDS, Match, View, fold
from tianjing.privacy.hints import ADDRESS, CODE, DATE, EMPLOYER, NAME, NUMBER, Places
from tianjing.privacy.names import match_name
from tianjing.privacy.numbers import match_number
from tianjing.privacy.openings import UNSEEN, next_open
from tianjing.privacy.words import is_ordinary

_KNOWN_NUMBER_DIGITS: Final = 5
# A conversation names few people; without a bound a hostile text would make the scan quadratic.
_MAX_LEARNED: Final = 64
# Of an index: where known values begin has not been looked for.
_UNSEARCHED: Final = -2
_DATE_STARTS: Final = frozenset(DIGITS) | dates.STARTS
_NUMBER_KINDS: Final = frozenset(("mobile", "landline", "id_card", "permit", "bank_card", "qq", "passport", "wechat"))


class Scanner:
    """What to look for in one conversation: the customer's record, names heard so far, and every recogniser."""

    def __init__(self, known: Mapping[str, str] | None = None):
        # By their first character: (values, kind, characters of them that are masked, canonical form).
        self._values: dict[str, tuple[tuple[tuple[str, ...], str, str, str], ...]] = {}
        self._numbers: dict[str, str] = {}
        self._birth_date = ""
        self._heard: frozenset[str] = frozenset()
        self._shared = False
        for name, raw in (known or {}).items():
            value, kind = fold(str(raw)).strip(), FIELD_KINDS.get(name, "other")
            if len(value) > 1:
                self._know(value, kind)

    def _know(self, value: str, kind: str) -> None:
        self._add(value, kind, value, value)
        if kind == "birth_date":
            self._birth_date = read_date(value)
        elif kind == "name":
            self._add_parts(value)
        elif kind in _NUMBER_KINDS or value.isdigit():
            digits = plain_digits(value)
            if len(digits) >= _KNOWN_NUMBER_DIGITS:
                self._numbers[digits[-11:] if kind == "mobile" else digits] = kind

    def _add(self, value: str, kind: str, part: str, canonical: str) -> None:
        self._add_all((value,), kind, part, canonical)

    def _add_all(self, values: tuple[str, ...], kind: str, part: str, canonical: str) -> None:
        first = values[0][0]
        self._values[first] = (*self._values.get(first, ()), (values, kind, part, canonical))

    def _add_parts(self, name: str) -> None:
        """A name spelled with spaces, and its parts: 王 建 国, 建国, 老王, 王总."""
        for called, part in names.parts(name):
            self._add_all(called, "name", part, name)
        if len(name) < 5:
            self._add(" ".join(name), "name", " ".join(name), name)

    def trial(self) -> Scanner:
        """A scanner that knows what this one knows and keeps to itself what it learns."""
        twin = copy.copy(self)
        twin._shared = self._shared = True
        return twin

    def learn(self, name: str) -> None:
        """From here on this name, heard in full, and its parts are known."""
        if name in self._heard or len(self._heard) >= _MAX_LEARNED:
            return
        if self._shared:
            self._values, self._shared = dict(self._values), False
        self._heard |= {name}
        self._add(name, "name", name, name)
        self._add_parts(name)

    def learned(self) -> frozenset[str]:
        """The names heard in full so far."""
        return self._heard

    def holds(self, text: str) -> bool:
        """Whether a known value, or a name heard, stands in the folded `text`."""
        for first in self._values:  # noqa: SIM110  compiled, a loop is faster than a generator
            if first in text and self._standing(text, first, 0) >= 0:
                return True
        return False

    def _standing(self, text: str, first: str, position: int) -> int:
        """The first index, at `position` or later, where a known value stands that begins with `first`, or -1."""
        known = self._values[first]
        index = text.find(first, position)
        while index >= 0:
            for values, _, _, _ in known:
                if text.startswith(values, index):
                    return index
            index = text.find(first, index + 1)
        return -1

    def match_at(self, view: View, index: int) -> tuple[int, Match] | None:
        """What begins at `index` of a closed text, and where its masked part does, as `scan` finds it there."""
        return self._match(view, index, hints.ALL)

    def scan(
        self, view: View, start: int, places: Places | None = None, *, learn: bool = True
    ) -> tuple[list[tuple[int, Match]], int]:
        """(start, match) pairs in order, and the index up to which all is decided.

        Args:
            places: the places of this text, if they are known already.
            learn: keep names heard in full for the next text; within this one they are known in any case.
        """
        text = view.text
        if view.closed and places is None:
            places = hints.places(text)
        scanner, position = self, start
        matches: list[tuple[int, Match]] = []
        upcoming: dict[str, int] = {}
        known = _UNSEARCHED
        while True:
            if places is None:
                index, which = next_open(text, position, scanner._values)
                if which == UNSEEN:
                    view.wait(index + 2)
                    return matches, index
            else:
                if known == _UNSEARCHED or 0 <= known < position:
                    known = scanner._next_known(text, position, upcoming)
                index = places.next(position)
                if known >= 0 and (index < 0 or known < index):
                    index = known
                which = places.recognisers(index)
            if index < 0:
                return matches, len(text)
            position = index + 1
            if not which and text[index] not in scanner._values:
                continue
            found = scanner._match(view, index, which)
            if view.short:
                return matches, index
            if found:
                _, match = found
                if match.full:
                    scanner = scanner if learn or scanner is not self else self.trial()
                    scanner.learn(match.value)
                    known = _UNSEARCHED
                    upcoming.clear()
                matches.append(found)
                position = match.end

    def _next_known(self, text: str, position: int, upcoming: dict[str, int]) -> int:
        """The next index at which a known value stands, or -1; `upcoming` holds it for each first character."""
        nearest = -1
        for first in self._values:
            index = upcoming.get(first, _UNSEARCHED)
            if index == _UNSEARCHED or 0 <= index < position:
                index = self._standing(text, first, position)
                upcoming[first] = index
            if index >= 0 and (nearest < 0 or index < nearest):
                nearest = index
        return nearest

    def _match(self, view: View, index: int, recognisers: int) -> tuple[int, Match] | None:
        """The longest match at `index`, and where its masked part begins (behind the 老 of 老王)."""
        char = view.text[index]
        best: Match | None = None
        begin = index
        for values, kind, part, canonical in self._values.get(char, ()):
            # One look at all of them; with more text to come, each must say whether it may still stand here.
            if view.closed and not view.text.startswith(values, index):
                continue
            for value in values:
                if view.startswith(value, index):
                    offset = value.find(part)
                    end = index + offset + len(part)
                    if kind == "name" and part == value and len(part) < 4 and is_ordinary(view, index, end):
                        continue
                    if best is None or end > best.end:
                        best, begin = Match(kind, end, canonical), index + offset
        match = self._recognised(view, index, char, recognisers) if recognisers else None
        if match and (best is None or match.end > best.end):
            return index, match
        return (begin, best) if best else None

    def _recognised(self, view: View, index: int, char: str, which: int) -> Match | None:
        """The longest match of the recognisers at `index`, of equals the first."""
        best: Match | None = None
        if which & DATE and char in _DATE_STARTS:
            best = match_birth_date(view, index, self._birth_date)
        if which & NUMBER and not view.short and char in DIGITS:
            best = _longer(best, match_number(view, index, self._numbers))
        if which & CODE and not view.short:
            code = codes.match_plate(view, index) if char in codes.STARTS else codes.match_code(view, index)
            best = _longer(best, code)
        if which & NAME and not view.short:
            best = _longer(best, match_name(view, index))
        if which & ADDRESS and not view.short and char.isalnum() and not (char.isascii() and char.isalpha()):
            best = _longer(best, match_address(view, index))
        if which & EMPLOYER and not view.short and not char.isascii():
            best = _longer(best, match_employer(view, index))
        return best


def _longer(best: Match | None, match: Match | None) -> Match | None:
    return match if match and (best is None or match.end > best.end) else best
