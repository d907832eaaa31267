"""Clean one turn: width, fillers, stutters, personal data; every character remembers where it came from.

The alignment lets a quotation of the raw turn (an inspector's evidence) be found again in the cleaned one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tianjing.privacy import Session
from tianjing.text import tidy

# Conservative on purpose: what may be a word stays. 呃 and 嗯 are never part of one; 那个 only before a pause.
_FILLERS = re.compile(r"(?:[嗯呃]+|(?:(?<=[，。！？、,…])|^)(?:那个|这个|就是说)(?=[，、,…]))[，、,…\s]*")
_TRAILING_FILLER = re.compile(r"[，、,…\s]+[嗯呃]+(?=[。！？]|$)")
_STUTTERS = re.compile(
    r"([我你您他她])\1+|(?:(?<=[，。！？、,…])|^)([我你您他她])(?:[，、,…]\2)+|(我想|这个|那个|就是|因为|然后|但是|可以)(?:[，、,…]?\3)+"
    r"|([^\d\W零〇一二两三四五六七八九幺十百千万]{1,4}?)\4{2,}"
)
_PAUSES = re.compile(r"(?<=[，、,])[，、,]+|^[，、,。…\s]+")


@dataclass(frozen=True)
class Aligned:
    """`origins[i]` is the index in the raw text that character i came from."""

    text: str
    origins: tuple[int, ...]

    def cut(self, pattern: re.Pattern[str], keep: Callable[[re.Match[str]], int] = lambda match: 0) -> Aligned:
        """Remove what matches, except its first `keep(match)` characters."""
        kept: list[int] = []
        position = 0
        for match in pattern.finditer(self.text):
            kept += range(position, match.start() + keep(match))
            position = match.end()
        kept += range(position, len(self.text))
        return Aligned("".join(self.text[i] for i in kept), tuple(self.origins[i] for i in kept))

    def slice_of(self, start: int, end: int) -> str:
        """The part that came from raw characters `start` to `end`."""
        return "".join(char for char, origin in zip(self.text, self.origins, strict=True) if start <= origin < end)


def clean(raw: str) -> Aligned:
    """Width folded, fillers and stutters removed; a turn that is nothing but fillers stays as it is."""
    text = _tidy(raw)
    shorter = text.cut(_TRAILING_FILLER).cut(_FILLERS).cut(_FILLERS).cut(_STUTTERS, _first_of_stutter).cut(_PAUSES)
    return shorter if re.search(r"\w", shorter.text) else text


def redact(cleaned: Aligned, session: Session) -> Aligned:
    """Replace personal data by placeholders; a placeholder comes from where the datum began."""
    chars: list[str] = []
    origins: list[int] = []
    position = 0
    masked = session.mask(cleaned.text)
    rest = masked.text
    for finding in masked.findings:
        before = cleaned.text[position : finding.start]
        rest = rest[len(before) :]
        placeholder = rest[: rest.index("〕") + 1]
        rest = rest[len(placeholder) :]
        chars += [*before, *placeholder]
        origins += [*cleaned.origins[position : finding.start], *[cleaned.origins[finding.start]] * len(placeholder)]
        position = finding.end
    chars += cleaned.text[position:]
    origins += cleaned.origins[position:]
    return Aligned("".join(chars), tuple(origins))


def quoted(quotation: str, raw: str, cleaned: Aligned) -> str | None:
    """The cleaned form of a quotation of the raw turn, or None if the turn does not hold it."""
    start = raw.find(quotation)
    if not quotation or start < 0:
        return None
    return cleaned.slice_of(start, start + len(quotation)).strip()


def _tidy(raw: str) -> Aligned:
    chars: list[str] = []
    origins: list[int] = []
    for index, char in enumerate(raw):
        folded = " " if char in " \t\n\r　\u00a0" else tidy(char)
        if folded == " " and (not chars or chars[-1] == " "):
            continue
        chars += folded
        origins += [index] * len(folded)
    if chars and chars[-1] == " ":
        chars.pop()
        origins.pop()
    return Aligned("".join(chars), tuple(origins))


def _first_of_stutter(match: re.Match[str]) -> int:
    return len(next(group for group in match.groups() if group))


def duplicate_key(customer: str, turns: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Two dialogues of one customer with the same words are one."""
    return customer, "\n".join(f"{speaker}:{text}" for speaker, text in turns)
