"""The scanner, and what is built on it: find, mask, a session's placeholders, and the streaming masker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tianjing.privacy import names, numbers
from tianjing.privacy.findings import FIELD_KINDS, KINDS, Finding, Match, MoreText, View
from tianjing.text import fold

# Recognisers look back at most this far (words such as 卡号 before a number).
_LEFT_CONTEXT_CHARS = 24
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,40}\.){1,3}[A-Za-z]{2,10}")
_EMAIL_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-@")
_EMAIL_LOCAL_CHARS, _EMAIL_CHARS_MAX = 64, 199
_KNOWN_NUMBER_DIGITS = 7


@dataclass(frozen=True)
class Masked:
    """A text with placeholders, and what they stand for."""

    text: str
    findings: tuple[Finding, ...]


class _Scanner:
    """Left to right, leftmost match first, longest of those that begin at one character."""

    def __init__(self, known: Mapping[str, str] | None):
        self.values: dict[str, list[tuple[str, str]]] = {}
        self.numbers: dict[str, str] = {}
        for name, raw in (known or {}).items():
            value, kind = fold(str(raw)).strip(), FIELD_KINDS.get(name, "other")
            if len(value) < 2:
                continue
            self._add(value, kind)
            if value.isdigit() and len(value) >= _KNOWN_NUMBER_DIGITS:
                self.numbers[value] = kind
            if kind == "name" and len(value) == 3 and value[:2] not in names.COMPOUND:
                self._add(value[1:], kind)  # 王建国 is also called 建国
        firsts = "".join(map(re.escape, sorted(set(self.values) | names.STARTS | set(numbers.DIGITS))))
        self._starts = re.compile(f"[A-Za-z0-9{firsts}]")

    def _add(self, value: str, kind: str) -> None:
        self.values.setdefault(value[0], []).append((value, kind))

    def scan(self, view: View, start: int) -> Iterator[tuple[int, Match] | int]:
        """Yield (start, match) pairs; at last the index up to which all is decided."""
        position = start
        while candidate := self._starts.search(view.text, position):
            index = candidate.start()
            try:
                match = self._match(view, index)
            except MoreText:
                yield index
                return
            if match:
                yield index, match
            position = match.end if match else index + 1
        yield len(view.text)

    def _match(self, view: View, index: int) -> Match | None:
        char = view.text[index]
        found = [
            Match(kind, index + len(value), value)
            for value, kind in self.values.get(char, ())
            if view.startswith(value, index)
        ]
        if char in numbers.DIGITS and (number := numbers.match_number(view, index, self.numbers)):
            found.append(number)
        if char in names.STARTS and (name := names.match_name(view, index)):
            found.append(name)
        if char in _EMAIL_CHARS and (email := _match_email(view, index)):
            found.append(email)
        return max(found, key=lambda match: match.end, default=None)


def _match_email(view: View, start: int) -> Match | None:
    before = view.before(start, 1)
    if before and before in _EMAIL_CHARS:
        return None
    end, at_sign = start, False
    while end - start < _EMAIL_CHARS_MAX and (char := view.at(end)) and char in _EMAIL_CHARS:
        at_sign = at_sign or char == "@"
        end += 1
        if not at_sign and end - start > _EMAIL_LOCAL_CHARS:
            return None
    match = _EMAIL.match(view.text, start, end)
    return Match("email", match.end(), match[0].lower()) if match else None


@dataclass
class Session:
    """Placeholders that stay the same for one value through a conversation: 〔手机1〕, 〔手机2〕."""

    known: Mapping[str, str] | None = None
    _numbers: dict[tuple[str, str], int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._scanner = _Scanner(self.known)

    def find(self, text: str) -> tuple[Finding, ...]:
        """Personal data in `text`, in order, without overlaps."""
        view = View(fold(text), closed=True)
        found = [item for item in self._scanner.scan(view, 0) if not isinstance(item, int)]
        return tuple(Finding(match.kind, start, match.end, text[start : match.end]) for start, match in found)

    def mask(self, text: str) -> Masked:
        """Replace what `find` finds by placeholders."""
        view = View(fold(text), closed=True)
        return self._mask(text, view, 0)[0]

    def stream(self) -> StreamMasker:
        """A streaming masker that shares this session's placeholders."""
        return StreamMasker(session=self)

    def placeholder(self, match: Match) -> str:
        key = (match.kind, self._canonical(match))
        if key not in self._numbers:
            self._numbers[key] = 1 + sum(1 for kind, _ in self._numbers if kind == match.kind)
        return f"〔{KINDS[match.kind]}{self._numbers[key]}〕"

    def _canonical(self, match: Match) -> str:
        """王 (of 王先生) and 建国 are the 王建国 of the customer record or of an earlier turn."""
        if match.kind != "name":
            return match.value
        full = [fold(str(value)) for name, value in (self.known or {}).items() if FIELD_KINDS.get(name) == "name"]
        full += [value for kind, value in self._numbers if kind == "name"]
        same = (
            name
            for name in full
            if name == match.value or (len(name) > len(match.value) and _is_part(match.value, name))
        )
        return next(same, match.value)

    def _mask(self, text: str, view: View, start: int) -> tuple[Masked, int]:
        """Mask from `start` as far as all is decided; returns it and the index reached."""
        parts, findings, position = [], [], start
        for item in self._scanner.scan(view, start):
            if isinstance(item, int):
                parts.append(text[position:item])
                position = item
                break
            begin, match = item
            parts += [text[position:begin], self.placeholder(match)]
            findings.append(Finding(match.kind, begin, match.end, text[begin : match.end]))
            position = match.end
        return Masked("".join(parts), tuple(findings)), position


def _is_part(part: str, name: str) -> bool:
    return name.startswith(part) or (len(part) == 2 and name.endswith(part))


class StreamMasker:
    """Masks a stream: the text given out so far never holds a part of something that will be masked.

    `"".join(push(delta) for delta in deltas) + finish()` equals `mask("".join(deltas)).text` for any chunking.
    Held back is only an open candidate: at most 200 characters (an e-mail address), for a mobile number 12 to 15,
    for a name 5, for ordinary prose none.
    """

    def __init__(self, known: Mapping[str, str] | None = None, session: Session | None = None):
        self._session = session or Session(known)
        self._text = ""
        self._done = 0
        self.findings: list[str] = []

    def push(self, delta: str) -> str:
        """Take the next piece and return what may be released."""
        return self._advance(delta, closed=False)

    def finish(self) -> str:
        """Close the stream and return the rest."""
        return self._advance("", closed=True)

    @property
    def held(self) -> int:
        """Characters held back now."""
        return len(self._text) - self._done

    def _advance(self, delta: str, closed: bool) -> str:
        self._text += delta
        masked, self._done = self._session._mask(self._text, View(fold(self._text), closed), self._done)
        self.findings += [finding.kind for finding in masked.findings]
        drop = max(0, self._done - _LEFT_CONTEXT_CHARS)
        self._text, self._done = self._text[drop:], self._done - drop
        return masked.text


def find(text: str, known: Mapping[str, str] | None = None) -> tuple[Finding, ...]:
    """Personal data in `text` with offsets into it; `known` holds fields of the customer's record (name, mobile, …)."""
    return Session(known).find(text)


def mask(text: str, known: Mapping[str, str] | None = None) -> Masked:
    """`text` with personal data replaced by typed placeholders."""
    return Session(known).mask(text)
