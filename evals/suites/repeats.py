"""Rows that say the same twice: one question is one group, one item has one answer, one option stands once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from evals.errors import EvalError
from tianjing.files import canonical_json
from tianjing.records import Example

# Width is no difference; ² and 2 are two things, so no NFKC.
_WIDTH = str.maketrans({code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)})
# What a row says of itself and does not ask.
_ABOUT = ("ids", "subject", "kind")


@dataclass
class Repeats:
    """What was read of one task so far.

    Attributes:
        groups: question with its context → group of the row that asked it first.
        items: question with its options → (answer, split, file and line) of the row that held it first.
    """

    groups: dict[str, str] = field(default_factory=dict)
    items: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def group_of(self, fields: Mapping[str, Any], group: str) -> str:
        """The group of the row that asked the same question first, else `group`."""
        return self.groups.setdefault(_question(fields), group)

    def doubts(self, row: Example, where: str) -> Iterator[EvalError]:
        """What is doubtful about a row: an option that stands twice, an item that was there before with another answer
        or in the other split."""
        options = [_plain(str(option)) for option in row.fields.get("options", ())]
        twice = [option for option in options if options.count(option) > 1]
        if twice:
            letters = " and ".join(_letters(options, twice[0]))
            yield EvalError(
                f"{where}: options {letters} are the same, '{twice[0]:.40}'", "write two options, or take one out"
            )
        answer = _answer(row)
        first, split, place = self.items.setdefault(_item(row.fields), (answer, row.split, where))
        if first != answer:
            yield EvalError(
                f"{where}: the same item as {place} with another right answer", "mend one, or take both out"
            )
        elif split != row.split:
            yield EvalError(
                f"{where}: the same item as {place}, once tested and once a worked example", "take one of them out"
            )


def _question(fields: Mapping[str, Any]) -> str:
    if "question" not in fields:
        return _item(fields)
    return _plain(canonical_json([fields.get("context", ""), fields["question"]]))


def _item(fields: Mapping[str, Any]) -> str:
    """What is asked, the same for options in another order."""
    asked = {name: value for name, value in fields.items() if name not in _ABOUT}
    if "options" in asked:
        asked["options"] = sorted(map(str, asked["options"]))
    return _plain(canonical_json(asked))


def _answer(row: Example) -> str:
    """The right answer; of a choice the texts of its options, whatever their letters."""
    if "ids" not in row.fields:
        return _plain(canonical_json(row.reference))
    texts = dict(zip(row.fields["ids"], map(str, row.fields["options"]), strict=True))
    return _plain(canonical_json(sorted(texts[letter] for letter in str(row.reference["answer"]))))


def _plain(text: str) -> str:
    return " ".join(text.translate(_WIDTH).split())


def _letters(options: list[str], text: str) -> list[str]:
    return [chr(ord("A") + place) for place, option in enumerate(options) if option == text]
