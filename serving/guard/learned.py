"""The learned rail: two linear models that find the wordings no pattern foresaw, beside the patterns.

Logistic regression over `features`, one model for injections and one for requests for unlawful help, trained by
`scripts/train_injection.py`. The weights lie in `packs/learned.json`; nothing but numpy is needed to use them.
"""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from serving.errors import ServeError
from serving.guard import features
from serving.guard.folding import encoded
from tianjing.config import StrictModel

Kind = Literal["injection", "unlawful"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_FILE: Final = "packs/learned.json"


class Weights(StrictModel):
    """One model as the file holds it."""

    places: str
    """Base64 of one int8 for each place."""
    scale: float = Field(gt=0, allow_inf_nan=False)
    """What one unit of a place counts, in log-odds."""
    bias: float = Field(allow_inf_nan=False)
    threshold: float = Field(gt=0, lt=1)
    """Probability from which a text is found; chosen out of fold."""


class LearnedFile(StrictModel):
    """`packs/learned.json`."""

    features: str
    """`features.DIGEST` of the training."""
    readings: dict[str, str]
    """Syllable without tone -> the characters that are read so."""
    models: dict[Kind, Weights]


@dataclass(frozen=True)
class _Model:
    places: npt.NDArray[np.float32]
    bias: float
    threshold: float


class Reading:
    """The features of a text, window by window, computed once."""

    def __init__(self, text: str, readings: dict[int, str]):
        self._text = text
        self._readings = readings

    @cached_property
    def plain(self) -> list[features.Places]:
        """Of the text as it stands."""
        return features.windows(self._text, self._readings)

    @cached_property
    def hidden(self) -> list[features.Places]:
        """Of what is encoded in it."""
        return [places for text in encoded(self._text) for places in features.windows(text, self._readings)]


@dataclass(frozen=True)
class Learned:
    """The two models, shared by all requests.

    Attributes:
        sha256: of the weights file.
    """

    readings: dict[int, str]
    models: dict[Kind, _Model]
    sha256: str

    def read(self, text: str) -> Reading:
        """The features of a text, for the models to share."""
        return Reading(text, self.readings)

    def score(self, kind: Kind, reading: Reading) -> float:
        """Probability (0 to 1) that a text is of a kind: that of its worst window.

        What is encoded in the text is read, too, for injections. A third of the training set were attacks, so this is
        no probability among a company's own requests.
        """
        model = self.models[kind]
        seen = [*reading.plain, *reading.hidden] if kind == "injection" else reading.plain
        best = max(float(model.places[places].sum()) / math.sqrt(len(places)) for places in seen) + model.bias
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, best))))

    def finds(self, kind: Kind, reading: Reading, threshold: float | None = None) -> bool:
        """Whether a text reaches the threshold; None stands for that of the weights."""
        return self.score(kind, reading) >= (self.models[kind].threshold if threshold is None else threshold)


@cache
def shipped() -> Learned:
    """The weights that come with the package, read once.

    Raises:
        ServeError: the file is missing, broken, or was trained for other features.
    """
    file = resources.files("serving.guard") / _FILE
    try:
        data = file.read_bytes()
    except OSError as error:
        raise _refused(f"cannot be read: {error.strerror}") from error
    return parsed(data)


def parsed(data: bytes) -> Learned:
    """The models of a weights file.

    Raises:
        ServeError: as `shipped`.
    """
    try:
        held = LearnedFile.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise _refused(f"field '{'.'.join(map(str, first['loc']))}': {first['msg']}") from error
    if held.features != features.DIGEST:
        raise _refused("was trained for other features than this version computes")
    if missing := [kind for kind in KINDS if kind not in held.models]:
        raise _refused(f"has no model '{missing[0]}'")
    readings = {ord(char): syllable for syllable, chars in held.readings.items() for char in chars}
    models = {kind: _model(kind, weights) for kind, weights in held.models.items()}
    return Learned(readings, models, hashlib.sha256(data).hexdigest())


def _model(kind: Kind, weights: Weights) -> _Model:
    try:
        places = np.frombuffer(base64.b64decode(weights.places, validate=True), dtype=np.int8)
    except ValueError as error:
        raise _refused(f"field 'models.{kind}.places': {error}") from error
    if len(places) != 1 << features.BITS:
        raise _refused(f"field 'models.{kind}.places': {len(places)} places, expected {1 << features.BITS}")
    return _Model(places.astype(np.float32) * np.float32(weights.scale), weights.bias, weights.threshold)


def _refused(reason: str) -> ServeError:
    return ServeError(
        f"serving/guard/{_FILE} {reason}", "install the package again, or run `python scripts/train_injection.py`"
    )
