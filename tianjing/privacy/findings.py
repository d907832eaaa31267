"""What the recognisers report, and the view of a text that may still be growing."""

from __future__ import annotations

from dataclasses import dataclass

# kind -> the word in its placeholder, e.g. 〔手机1〕
KINDS: dict[str, str] = {
    "mobile": "手机",
    "landline": "座机",
    "id_card": "身份证",
    "bank_card": "银行卡",
    "email": "邮箱",
    "name": "姓名",
    "address": "地址",
    "other": "信息",
}

# fields of a customer record -> kind; any other field is "other"
FIELD_KINDS: dict[str, str] = {
    "name": "name",
    "mobile": "mobile",
    "phone": "mobile",
    "landline": "landline",
    "id_card": "id_card",
    "bank_card": "bank_card",
    "email": "email",
    "address": "address",
}


@dataclass(frozen=True)
class Finding:
    """One piece of personal data: characters `start` to `end` of the raw text, which read `text`."""

    kind: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Match:
    """A recognised span; `value` is its canonical form (digits without separators), by which placeholders are kept."""

    kind: str
    end: int
    value: str


class MoreText(Exception):
    """What stands here cannot be decided before more of the stream has arrived."""


class View:
    """Folded text of which more may come.

    Reading past the end raises MoreText while the stream is open and gives "" once it is closed. A recogniser that
    reads only through `at`, in order, therefore decides the same on a prefix as on the whole.
    """

    __slots__ = ("closed", "text")

    def __init__(self, text: str, closed: bool):
        self.text = text
        self.closed = closed

    def at(self, index: int) -> str:
        if index < len(self.text):
            return self.text[index]
        if self.closed:
            return ""
        raise MoreText

    def before(self, index: int, length: int) -> str:
        """Up to `length` characters that precede `index`."""
        return self.text[max(0, index - length) : index]

    def startswith(self, value: str, index: int) -> bool:
        return all(self.at(index + offset) == char for offset, char in enumerate(value))
