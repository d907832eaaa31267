"""The personal data of one request: masked in every piece, each value by one placeholder throughout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from serving.guard.jsontext import Readable
from serving.protocol.call import Speaker
from tianjing.privacy import Session
from tianjing.privacy.answers import asked_by
from tianjing.privacy.findings import fold
from tianjing.privacy.hints import places
from tianjing.privacy.turns import Clues, turn_matches

# Of these the canonical form is what an application wants back (138 1234 5678 -> 13812345678), of others the words.
_NUMBERS = frozenset(("mobile", "landline", "id_card", "permit", "passport", "bank_card", "credit_code", "qq"))


class Personal:
    """Placeholders of one request.

    Args:
        known: fields of the customer's record, by the names of `tianjing.privacy.FIELD_KINDS`.
    """

    def __init__(self, known: Mapping[str, str]):
        self.session = Session(known)
        self.values: dict[str, str] = {}
        """Placeholder -> what it stands for, for those that stand in the request."""
        self.found: Counter[str] = Counter()

    def mask(self, said: Sequence[tuple[Speaker, Readable]]) -> list[str]:
        """The texts as the model may see them: a number read out over several is masked in each."""
        turns = [(speaker, readable.text) for speaker, readable in said]
        folded = [fold(text) for _, text in turns]
        asks = [asked_by(text) for _, text in turns]
        clues = Clues(folded, [places(text) for text in folded], asks, [True] * len(turns))
        matches = turn_matches(self.session, turns, clues)
        masked = self.session.replaced(turns, matches)
        for one, found in zip(masked, matches, strict=True):
            for finding, replacement, (_, match) in zip(one.findings, one.replacements, found, strict=True):
                self.found[finding.kind] += 1
                value = match.value if finding.kind in _NUMBERS else finding.text
                if len(value) > len(self.values.get(replacement, "")):
                    self.values[replacement] = value
        return [readable.written(one.text) for (_, readable), one in zip(said, masked, strict=True)]
