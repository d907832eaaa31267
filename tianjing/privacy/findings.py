"""What the recognisers report, and the view of a text that may still be growing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from tianjing import text as shared

# kind -> the word in its placeholder, e.g. 〔手机1〕
KINDS: Final[dict[str, str]] = {
    "mobile": "手机",
    "landline": "座机",
    "id_card": "身份证",
    "permit": "通行证",
    "passport": "护照",
    "bank_card": "银行卡",
    "credit_code": "信用代码",
    "plate": "车牌",
    "email": "邮箱",
    "wechat": "微信",
    "qq": "QQ",
    "name": "姓名",
    "birth_date": "出生日期",
    "employer": "单位",
    "address": "地址",
    "other": "信息",
}

# fields of a customer record -> kind; any other field is "other"
FIELD_KINDS: Final[dict[str, str]] = {
    "name": "name",
    "mobile": "mobile",
    "phone": "mobile",
    "landline": "landline",
    "id_card": "id_card",
    "permit": "permit",
    "passport": "passport",
    "bank_card": "bank_card",
    "credit_code": "credit_code",
    "plate": "plate",
    "email": "email",
    "wechat": "wechat",
    "qq": "qq",
    "birth_date": "birth_date",
    "birthday": "birth_date",
    "employer": "employer",
    "company": "employer",
    "address": "address",
}

# Full-width punctuation that nearly every Chinese sentence has: replaced at the speed of C, before the general fold.
_WIDE: Final = tuple(zip("，：？！（）；　", ",:?!(); ", strict=True))
# Pieces of a stream: up to this length character by character is faster.
_SHORT_CHARS: Final = 8
# Character -> what it folds to. A text may hold any character, so only so many are kept.
_FOLDED: Final[dict[str, str]] = {}
_MOST_FOLDED: Final = 20_000
_UNFOLDED: Final = re.compile(r"[^\x00-\x7f\u4e00-\u9fff\u3001-\u3029\u2010\u2012-\u2023\u2026\u2027\u00b7]+")


def fold(text: str) -> str:
    """`tianjing.text.fold`, several times faster for ordinary prose: NFKC by character, same length."""
    if text.isascii():
        return text
    if len(text) <= _SHORT_CHARS:
        return _fold_short(text)
    if not _UNFOLDED.search(text):
        return text
    for wide, narrow in _WIDE:
        text = text.replace(wide, narrow)
    return _UNFOLDED.sub(lambda match: shared.fold(match[0]), text)


def _fold_short(text: str) -> str:
    for index in range(len(text)):
        point = ord(text[index])
        if point > 0x7F and not 0x4E00 <= point <= 0x9FFF:
            return "".join([_FOLDED.get(char) or _fold_char(char) for char in text])
    return text


def _fold_char(char: str) -> str:
    folded = shared.fold(char)
    if len(_FOLDED) < _MOST_FOLDED:
        _FOLDED[char] = folded
    return folded


class Finding(NamedTuple):
    """One piece of personal data: characters `start` to `end` of the raw text, which read `text`."""

    kind: str
    start: int
    end: int
    text: str


class Match(NamedTuple):
    """A recognised span; `value` is its canonical form (digits without separators), by which placeholders are kept.

    `full` marks a name that was heard in full (surname and given name), so that later parts of it are known.
    """

    kind: str
    end: int
    value: str
    full: bool = False


def findings_of(text: str, matches: Iterable[tuple[int, Match]]) -> tuple[Finding, ...]:
    """What the (start, match) pairs of `text` report."""
    return tuple(Finding(match.kind, start, match.end, text[start : match.end]) for start, match in matches)


class View:
    """Folded text of which more may come.

    Reading past the end gives "", as at the end of a closed text, and says so in `short` while the stream is open: what
    a recogniser then returns does not count, more of the stream must have arrived first. A recogniser that reads only
    through `at`, in order, therefore decides the same on a prefix as on the whole. Behind `index` it may look through
    `before`, at most `LEFT_CONTEXT_CHARS` far: a stream forgets what lies farther back.

    Attributes:
        short: more text is needed to decide; never of a closed text.
        needed: if so, how long the text must be for another look to say anything else,
        run_of: or, if not None, the run that must end for that.
    """

    __slots__ = ("closed", "needed", "run_of", "short", "text")

    def __init__(self, text: str, closed: bool):
        self.text = text
        self.closed = closed
        self.short = False
        self.needed = 0
        self.run_of: re.Pattern[str] | None = None

    def wait(self, needed: int, run_of: re.Pattern[str] | None = None) -> None:
        """Note that more text is needed. What was needed first counts: nothing is decided behind it."""
        if not self.closed and not self.short:
            self.short, self.needed, self.run_of = True, needed, run_of

    def at(self, index: int) -> str:
        """The character at `index`, "" behind the end."""
        if index < len(self.text):
            return self.text[index]
        self.wait(index + 1)
        return ""

    def before(self, index: int, length: int) -> str:
        """Up to `length` characters that precede `index`."""
        return self.text[max(0, index - length) : index]

    def after(self, index: int, length: int) -> str:
        """Up to `length` characters from `index` on; all of them are needed."""
        if index + length > len(self.text):
            self.wait(index + length)
        return self.text[index : index + length]

    def run(self, index: int, allowed: re.Pattern[str], length: int) -> str:
        """The longest run from `index` that `allowed` takes (one class of characters, repeated), cut at `length`.

        It is decided once a character follows that is not allowed.
        """
        match = allowed.match(self.text, index, index + length)
        end = match.end() if match else index
        if end == len(self.text) and end - index < length:
            self.wait(index + length, allowed)
        return self.text[index:end]

    def startswith(self, value: str, index: int) -> bool:
        """Whether `value` stands at `index`; asks for more text only while all so far agrees."""
        here = self.text[index : index + len(value)]
        if here == value:
            return True
        if len(here) < len(value) and value.startswith(here):
            self.wait(len(self.text) + 1)
        return False


# How far before its start a recogniser may look.
LEFT_CONTEXT_CHARS: Final = 24
