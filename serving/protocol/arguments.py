r"""The arguments of a tool call on their way through the guard.

They are JSON in a string, written piece by piece. The guard has to see what the application will read: `\u738b` and 王
are the same character to it, and a number that is masked must become a string, or the JSON breaks. So escapes are taken
out in front of the guard (`Unescaped`), and behind it what JSON needs is put back (`Requoted`).
"""

from __future__ import annotations

import json
import re
from typing import Literal

from serving.guard.base import Outlet

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([^u]))", re.DOTALL)
# An escape, or the first half of a surrogate pair, that may go on in the next piece.
_OPEN = re.compile(r"\\(?:u[0-9a-fA-F]{0,3}|u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?)?")
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/"}
_BACK = {chr(code): json.dumps(chr(code))[1:-1] for code in range(0x20)}
_RUN = re.compile(r'[^"\\\x00-\x1f]+')  # of a string
_LETTERS = re.compile(r'[^\s{}\[\],:"]+')  # of a number or literal
_MASK = "〔"  # a placeholder begins with it


class Unescaped:
    r"""JSON text in, the same JSON with its characters written out; only `\"` and `\\` stay as they are."""

    def __init__(self) -> None:
        self._rest = ""

    def push(self, text: str) -> str:
        """Take the next piece; an escape that is not complete waits."""
        text = self._rest + text
        self._rest = ""
        out, at = [], 0
        while (start := text.find("\\", at)) >= 0:
            out.append(text[at:start])
            if _OPEN.fullmatch(text, start):
                self._rest = text[start:]
                return "".join(out)
            plain, at = _written_out(text, start)
            out.append(plain)
        out.append(text[at:])
        return "".join(out)

    def finish(self) -> str:
        """What is left."""
        rest, self._rest = self._rest, ""
        return rest


def _written_out(text: str, start: int) -> tuple[str, int]:
    """What the escape at `start` stands for, and where it ends."""
    match = _ESCAPE.match(text, start)
    if match is None:
        return "\\", start + 1  # no escape of JSON: not ours to mend
    end = match.end()
    if match[1] is None:
        return _CONTROLS.get(match[2], match[0]), end
    code = int(match[1], 16)
    if 0xD800 <= code < 0xDC00:
        second = _ESCAPE.match(text, end)
        low = int(second[1], 16) if second and second[1] else 0
        if second and 0xDC00 <= low < 0xE000:
            return chr(0x10000 + ((code - 0xD800) << 10) + low - 0xDC00), second.end()
    if 0xD800 <= code < 0xE000:
        return "�", end
    char = chr(code)
    return ("\\" + char if char in '"\\' else char), end


class Requoted:
    """Guarded JSON text in, JSON out: placeholders outside of strings become strings, control characters escapes."""

    def __init__(self) -> None:
        self._in_string = False
        self._escaped = False
        self._scalar = ""  # a number or literal that is not complete

    def push(self, text: str) -> str:
        """Take the next piece; a number waits for its end, for it may become a string."""
        out: list[str] = []
        at = 0
        while at < len(text):
            at = self._string(text, at, out) if self._in_string else self._outside(text, at, out)
        return "".join(out)

    def finish(self) -> str:
        """What is left."""
        scalar, self._scalar = self._scalar, ""
        return json.dumps(scalar, ensure_ascii=False) if _MASK in scalar else scalar

    def _string(self, text: str, at: int, out: list[str]) -> int:
        if not self._escaped and (run := _RUN.match(text, at)):
            out.append(run[0])
            return run.end()
        char = text[at]
        out.append(_BACK.get(char, char))
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            self._in_string = False
        return at + 1

    def _outside(self, text: str, at: int, out: list[str]) -> int:
        if run := _LETTERS.match(text, at):
            self._scalar += run[0]
            return run.end()
        out += [self.finish(), text[at]]
        self._in_string = text[at] == '"'
        return at + 1


class ArgumentsOutlet:
    """The way out of a tool call's arguments."""

    def __init__(self, outlet: Outlet):
        self._outlet = outlet
        self._before, self._after = Unescaped(), Requoted()

    @property
    def ended(self) -> Literal["block", "handoff"] | None:
        """As of the outlet inside."""
        return self._outlet.ended

    @property
    def released_chars(self) -> int:
        """As of the outlet inside."""
        return self._outlet.released_chars

    def push(self, delta: str, now_ms: float = 0.0) -> str:
        """Take the next piece of the arguments; raises as the outlet inside."""
        return self._after.push(self._outlet.push(self._before.push(delta), now_ms))

    def cut_off(self) -> str:
        """Nothing stands behind arguments."""
        return ""

    def finish(self) -> str:
        """Take the end of the arguments; raises as the outlet inside."""
        released = self._outlet.push(rest) if (rest := self._before.finish()) else ""
        if not self.ended:
            released += self._outlet.finish()
        released = self._after.push(released)
        return released if self.ended else released + self._after.finish()


def written_out(arguments: str) -> str:
    """Arguments of a request as the guard reads them.

    Raises:
        ValueError: they are no JSON object.
    """
    text = arguments or "{}"
    if not _is_object(text):
        raise ValueError("must be a JSON object in a string")
    unescaped = Unescaped()
    return unescaped.push(text) + unescaped.finish()


def masked_object(text: str) -> str:
    """Guarded arguments as a JSON object; what the guard has broken beyond mending becomes the text of one field."""
    requoted = Requoted()
    mended = requoted.push(text) + requoted.finish()
    return mended if _is_object(mended) else json.dumps({"masked": text}, ensure_ascii=False)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
