"""JSON as text that detectors can read, and back: tool-call arguments, tools' results, structured answers.

Escapes would hide digits (`\\u0031`) and whole names, and a placeholder for a bare number would break the JSON. So
strings are decoded on the way in, and on the way out encoded again, with quotation marks around what is no number any
more. Both ways work on pieces that are cut anywhere.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Stand for an escaped quotation mark and a backslash inside of a string, so that a plain " always is structure.
QUOTE, BACKSLASH = "\U000f0022", "\U000f005c"
_SIMPLE: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", '"': QUOTE, "\\": BACKSLASH}
_STRUCTURE: Final = frozenset('{}[],: \t\r\n"')
_PRIMITIVE: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
OPEN, CLOSE = "〔", "〕"
# No placeholder is longer.
PLACEHOLDER_CHARS: Final = 16
_SCALAR: Final = frozenset(string.ascii_letters + string.digits + "+-.")
# No number that an application could read is longer.
_SCALAR_CHARS: Final = 512
_UNKNOWN: Final = "\ufffd"
# What needs no look at each character: without escapes, and inside of a string.
_UNESCAPED: Final = re.compile(f'[^"\\\\{QUOTE}{BACKSLASH}]+')
_WORDS: Final = re.compile(f'[^"{OPEN}]+')
# However deep JSON stands in JSON, and in text that is none.
_SLASHES: Final = rf"[\\{BACKSLASH}]"
_POINT: Final = re.compile(
    rf"(?<!{_SLASHES}){_SLASHES}+u"
    rf"(?:([dD][89abAB][0-9a-fA-F]{{2}}){_SLASHES}+u([dD][c-fC-F][0-9a-fA-F]{{2}})|([0-9a-fA-F]{{4}}))"
)


class Decoder:
    """JSON in; the same out with the strings decoded."""

    def __init__(self) -> None:
        self._inside = False
        self._escape = ""
        self._high = 0  # the first half of a surrogate pair

    def push(self, text: str) -> str:
        """Take the next piece."""
        out, at = [], 0
        while at < len(text):
            if not self._escape and not self._high and (run := _UNESCAPED.match(text, at)):
                out.append(run[0])
                at = run.end()
            else:
                out.append(self._char(text[at]))
                at += 1
        return "".join(out)

    def finish(self) -> str:
        """What an unfinished escape leaves."""
        rest = (_UNKNOWN if self._high else "") + self._escape.replace("\\", BACKSLASH)
        self._escape, self._high = "", 0
        return rest

    def _char(self, char: str) -> str:
        if self._escape:
            return self._escaped(char)
        if self._inside and char == "\\":
            self._escape = char
            return ""
        if char == '"':
            self._inside = not self._inside
        return self._lone() + (_UNKNOWN if char in (QUOTE, BACKSLASH) else char)

    def _escaped(self, char: str) -> str:
        self._escape += char
        body = self._escape[1:]
        if body[0] != "u":
            self._escape = ""
            return self._lone() + (_SIMPLE.get(char) or BACKSLASH + char)
        if char not in "u0123456789abcdefABCDEF":
            self._escape = ""
            return self._lone() + BACKSLASH + body
        if len(body) < 5:
            return ""
        self._escape = ""
        return self._point(int(body[1:], 16))

    def _point(self, point: int) -> str:
        if 0xDC00 <= point < 0xE000 and self._high:
            point, self._high = 0x10000 + ((self._high - 0xD800) << 10) + (point - 0xDC00), 0
        before = self._lone()
        if 0xD800 <= point < 0xDC00:
            self._high = point
            return before
        char = _UNKNOWN if 0xDC00 <= point < 0xE000 else chr(point)
        return before + {'"': QUOTE, "\\": BACKSLASH, QUOTE: _UNKNOWN, BACKSLASH: _UNKNOWN}.get(char, char)

    def _lone(self) -> str:
        """A first half without its second is no character."""
        lone, self._high = _UNKNOWN if self._high else "", 0
        return lone


class Encoder:
    """What `Decoder` gave, guarded, in; JSON out. What is no JSON, prose say, goes through as it is and is not held.

    Args:
        values: placeholder -> what it stands for again.
    """

    def __init__(self, values: Mapping[str, str]):
        self._values = values
        self._inside = False
        self._prose = False  # outside of strings, in what is neither a number nor a word of JSON
        self._token = ""  # outside of strings: a number or word; in prose and inside: what may be a placeholder

    def push(self, text: str) -> str:
        """Take the next piece."""
        out, at = [], 0
        while at < len(text):
            if self._inside and not self._token and (run := _WORDS.match(text, at)):
                out.append(_escape(run[0]))
                at = run.end()
            else:
                out.append(self._char(text[at]))
                at += 1
        return "".join(out)

    def finish(self) -> str:
        """The rest."""
        return self._flush()

    def _char(self, char: str) -> str:
        if char == '"' or (not self._inside and char in _STRUCTURE):
            sent = self._flush() + char
            self._inside, self._prose = char == '"' and not self._inside, False
            return sent
        if not self._inside and not self._prose:
            return self._scalar(char)
        if char == OPEN:
            sent = self._flush()
            self._token = char
            return sent
        if not self._token:
            return _escape(char) if self._inside else char
        self._token += char
        return self._flush() if char == CLOSE or len(self._token) > PLACEHOLDER_CHARS else ""

    def _scalar(self, char: str) -> str:
        self._token += char
        begun = self._token.rfind(OPEN)
        named = begun >= 0 and len(self._token) - begun <= PLACEHOLDER_CHARS and CLOSE not in self._token[begun:-1]
        if (named or char in _SCALAR) and len(self._token) < _SCALAR_CHARS:
            return ""
        token, self._token, self._prose = self._token, "", True
        return self.push(token)

    def _flush(self) -> str:
        token, self._token = self._token, ""
        if self._inside:
            return _escape(self._values.get(token, token))
        if OPEN not in token:
            return token
        restored = re.sub("〔[^〔〕]*〕", lambda found: self._values.get(found[0], found[0]), token)
        return restored if self._prose or _PRIMITIVE.fullmatch(restored) else f'"{_escape(restored)}"'


def _escape(text: str) -> str:
    plain = text.replace(QUOTE, '"').replace(BACKSLASH, "\\")
    if plain.isprintable() and '"' not in plain and "\\" not in plain:
        return plain
    return json.dumps(plain, ensure_ascii=False)[1:-1]


def is_json(text: str) -> bool:
    """Whether the text is one JSON value."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


@dataclass(frozen=True)
class Readable:
    """A text of a request as the model understands it.

    Attributes:
        raw: as it came.
        text: decoded, for detectors that mask.
        is_json: it must be JSON again afterwards.
    """

    raw: str
    text: str
    is_json: bool

    @property
    def plain(self) -> str:
        """The text for detectors that only judge."""
        return self.text.replace(QUOTE, '"').replace(BACKSLASH, "\\") if self.is_json else self.text

    def written(self, masked: str) -> str:
        """What the model gets: `masked` in the form of the text as it came, and that itself if nothing is masked."""
        if masked == self.text:
            return self.raw
        if not self.is_json:
            return masked
        encoder = Encoder({})
        return encoder.push(masked) + encoder.finish()


def readable(text: str, *, as_json: bool = False) -> Readable:
    """A text of a request: JSON objects and arrays are decoded, and so is what escapes (`\\u738b`) hide elsewhere.

    Args:
        as_json: the text is JSON whatever it looks like.
    """
    if not as_json and not (text.lstrip()[:1] in ("{", "[") and is_json(text)):
        return Readable(text, _spelt_out(text), False)
    decoder = Decoder()
    return Readable(text, _spelt_out(decoder.push(text) + decoder.finish()), True)


def _spelt_out(text: str) -> str:
    """JSON in a string of JSON has its escapes escaped, in a sentence as they are; to a model both are plain."""
    return _POINT.sub(_char_of, text) if "\\u" in text or f"{BACKSLASH}u" in text else text


def _char_of(escape: re.Match[str]) -> str:
    high, low, point = escape.groups()
    code = int(point, 16) if point else 0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00
    char = chr(code)
    # Others would end the string they stand in, or are no characters.
    is_text = code >= 0x20 and not 0xD800 <= code < 0xE000 and char not in f'"\\{QUOTE}{BACKSLASH}'
    return char if is_text else escape[0]


class Restorer:
    """Placeholders of a plain text become what they stand for; text is held back while one may still close."""

    def __init__(self, values: Mapping[str, str]):
        self._values = values
        self._held = ""

    def push(self, text: str) -> str:
        """Take the next piece."""
        text = self._held + text
        begun = text.rfind(OPEN)
        cut = len(text)
        if begun >= 0 and CLOSE not in text[begun:] and len(text) - begun < PLACEHOLDER_CHARS:
            cut = begun
        self._held = text[cut:]
        return re.sub("〔[^〔〕]*〕", lambda found: self._values.get(found[0], found[0]), text[:cut])

    def finish(self) -> str:
        """The rest."""
        held, self._held = self._held, ""
        return held
