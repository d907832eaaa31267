"""Labels that a person gives: JSON Lines of a dialogue's turn, or of a text wherever it is said, and its act."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from data_recipes.errors import DataError
from data_recipes.experience.tagging.features import folded
from tianjing.config import StrictModel
from tianjing.files import parse_line
from tianjing.records import Dialogue

Place = tuple[str, int]
"""A dialogue's id and the index of a turn in it."""


class Label(StrictModel):
    """One line: `{"dialogue", "turn", "label"}` or `{"text", "label"}`."""

    label: str = Field(min_length=1)
    """The act; by convention `none` for a turn that does nothing of interest."""
    dialogue: str | None = None
    turn: int | None = Field(default=None, ge=0)
    """Index of the turn, from 0."""
    text: str | None = Field(default=None, min_length=1)
    """Words of a turn; case, width, numbers and masked values do not count. Every turn with these words is meant."""

    @model_validator(mode="after")
    def _one_target(self) -> Label:
        by_place = self.dialogue is not None and self.turn is not None
        half = (self.dialogue is None) != (self.turn is None)
        if half or by_place == (self.text is not None):
            raise ValueError("give either 'text', or 'dialogue' and 'turn'")
        return self


@dataclass(frozen=True)
class Labels:
    """The label of each labelled turn, and how many lines named words that nobody says."""

    by_place: Mapping[Place, str]
    unsaid: int


def read_labels(path: Path, dialogues: Sequence[Dialogue]) -> Labels:
    """Read a labels file and find its turns.

    Raises:
        DataError: no such file, no label, a line that is none, a dialogue or turn that is not there, or one turn with
            two labels; with file and line.
    """
    turns = {dialogue.id: dialogue.turns for dialogue in dialogues}
    places = _places_by_words(dialogues)
    found: dict[Place, tuple[str, int]] = {}
    unsaid = 0
    for line, label in _lines(path):
        targets = _targets(label, turns, places, f"{path}:{line}")
        unsaid += not targets
        for place in targets:
            known = found.setdefault(place, (label.label, line))
            if known[0] != label.label:
                raise DataError(
                    f"{path}:{line}: turn {place[1]} of dialogue {place[0]} is '{label.label}' here and '{known[0]}' "
                    f"in line {known[1]}",
                    "a turn has one label: delete one of the two lines",
                )
    if not found:
        raise DataError(
            f"{path}: labels no turn of these dialogues ({unsaid} lines name words that nobody says)",
            'give lines such as {"text": "您的身份证后四位", "label": "verify_identity"}; clusters.jsonl offers texts',
        )
    return Labels({place: label for place, (label, _) in found.items()}, unsaid)


def _lines(path: Path) -> Iterable[tuple[int, Label]]:
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}", "give a JSON Lines file of labels") from None
    for number, line in enumerate(raw.splitlines(), 1):
        if line.strip():
            try:
                yield number, parse_line(line, Label)
            except ValueError as error:
                raise DataError(
                    f"{path}:{number}: {error}",
                    'mend the line; one is {"text": …, "label": …} or {"dialogue": …, "turn": …, "label": …}',
                ) from None


def _places_by_words(dialogues: Sequence[Dialogue]) -> Mapping[str, list[Place]]:
    found: dict[str, list[Place]] = defaultdict(list)
    for dialogue in dialogues:
        for index, turn in enumerate(dialogue.turns):
            found[words_of(turn.text)].append((dialogue.id, index))
    return found


def words_of(text: str) -> str:
    """What two turns with the same words have in common."""
    return " ".join(folded(text).split())


def _targets(
    label: Label, turns: Mapping[str, Sequence[object]], places: Mapping[str, list[Place]], where: str
) -> list[Place]:
    if label.text is not None:
        return places.get(words_of(label.text), [])
    assert label.dialogue is not None and label.turn is not None
    if label.dialogue not in turns:
        raise DataError(f"{where}: no dialogue '{label.dialogue}'", "give the id of one of the dialogues read")
    if label.turn >= len(turns[label.dialogue]):
        raise DataError(
            f"{where}: dialogue {label.dialogue} has {len(turns[label.dialogue])} turns, there is no turn {label.turn}",
            "count turns from 0",
        )
    return [(label.dialogue, label.turn)]
