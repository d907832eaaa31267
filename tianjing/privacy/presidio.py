"""Our entities for a Presidio user: `registry.add_recognizer(TianjingRecognizer())`. Needs the extra `presidio`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tianjing.errors import TianjingError
from tianjing.privacy.engine import find
from tianjing.privacy.findings import KINDS

try:
    from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult
except ImportError:
    raise TianjingError("presidio-analyzer is not installed", "pip install 'tianjing[presidio]'") from None

if TYPE_CHECKING:
    from presidio_analyzer.nlp_engine import NlpArtifacts

# Presidio's own names where it has one for the same thing, CN_… for the rest.
ENTITIES: dict[str, str] = {
    "mobile": "PHONE_NUMBER",
    "landline": "PHONE_NUMBER",
    "bank_card": "CREDIT_CARD",
    "email": "EMAIL_ADDRESS",
    "name": "PERSON",
    "address": "LOCATION",
    "birth_date": "DATE_TIME",
    "employer": "ORGANIZATION",
}
ENTITIES |= {kind: f"CN_{kind.upper()}" for kind in KINDS if kind not in ENTITIES and kind != "other"}

# By what a finding rests on: a check digit, a form with a fixed beginning, words around it.
_SCORES = {
    "id_card": 1.0,
    "credit_code": 1.0,
    "bank_card": 0.95,
    "mobile": 0.95,
    "email": 1.0,
    "permit": 0.9,
    "plate": 0.9,
}
_OTHER_SCORE = 0.85


class TianjingRecognizer(EntityRecognizer):
    """One recogniser for all kinds; it needs no NLP engine and no model.

    Args:
        entities: which of `ENTITIES`' values to report; all by default.
        language: the language under which Presidio calls it; the recogniser itself reads Chinese.
    """

    def __init__(self, entities: Iterable[str] | None = None, language: str = "zh"):
        super().__init__(
            supported_entities=sorted(set(entities or ENTITIES.values())),
            supported_language=language,
            name="TianjingRecognizer",
        )

    def load(self) -> None:
        """Nothing to load."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None) -> list[Any]:
        """Presidio's `RecognizerResult` for each finding whose entity is asked for."""
        wanted = set(entities or self.supported_entities) & set(self.supported_entities)
        results = []
        for finding in find(text):
            entity = ENTITIES[finding.kind]
            if entity in wanted:
                score = _SCORES.get(finding.kind, _OTHER_SCORE)
                explanation = AnalysisExplanation(
                    recognizer=type(self).__name__,
                    original_score=score,
                    textual_explanation=f"tianjing.privacy: {finding.kind}",
                )
                results.append(RecognizerResult(entity, finding.start, finding.end, score, explanation))
        return results
