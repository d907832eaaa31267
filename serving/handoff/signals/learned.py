"""What no pattern foresaw: linear models over the runs of one to four characters of a message.

`scripts/train_signals.py` fits them (L2 logistic regression, each kind against the rest, and `any`: whether a person
is needed at all) and writes `weights.json`. A score is a bias plus sum(w) / sqrt(n) over the n different features that
the model knows: the dot product with the message's binary vector scaled to length one. That a pattern of a kind was
found is a feature as well, `=kind`, and that it was found but denied, `=not_kind`. No run holds a space or `=`.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.errors import ServeError
from serving.handoff.signals.kinds import Kind

WEIGHTS: Final = Path(__file__).with_name("weights.json")
LEARNED_KINDS: Final[tuple[Kind, ...]] = tuple(kind for kind in get_args(Kind) if kind != "repeated_failure")
ANY: Final = "any"
COLUMNS: Final = (*LEARNED_KINDS, ANY)
# What no score takes back: talk of dying, and the plain wish for a person.
FIRM: Final[frozenset[Kind]] = frozenset({"self_harm", "human_wanted"})
FORMAT: Final = 1
MOST_CHARS: Final = 300
LONGEST: Final = 4
_MARKS: Final = re.compile(r"[^\w?]+|_+")
_DIGITS: Final = re.compile(r"[\d]+")


def runs(sentence: str) -> set[str]:
    """The different runs of one to `LONGEST` characters, with the ends marked; numbers and marks are folded."""
    text = "^" + _MARKS.sub(",", _DIGITS.sub("0", sentence.lower())).strip(",") + "$"
    ends = range(1, LONGEST + 1)
    return {text[i : i + n] for n in ends for i in range(len(text) - n + 1)}


def hints(matched: Iterable[Kind], withdrawn: Iterable[Kind]) -> set[str]:
    """The features that tell what patterns found, and what they found but the context takes back."""
    return {f"={kind}" for kind in matched} | {f"=not_{kind}" for kind in withdrawn}


@dataclass(frozen=True)
class Learned:
    """The fitted models; columns are those of `COLUMNS`.

    Attributes:
        rows: the row of `weights` for each feature.
        weights: (features, columns), in logits.
        bias: (columns,).
        say: (columns,) the logit from which on a kind is said; for `any`, that a person is needed.
        keep: (columns,) the logit below which what a pattern found is taken back.
        digest: SHA-256 of the file.
    """

    rows: dict[str, int]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    say: NDArray[np.float32]
    keep: NDArray[np.float32]
    digest: str = ""

    def scores(self, words: str, matched: Iterable[Kind] = (), withdrawn: Iterable[Kind] = ()) -> NDArray[np.float32]:
        """(columns,) logits: the largest of the pieces of up to `MOST_CHARS` characters.

        Args:
            words: as `context.customer_words` gives them.
            matched: the kinds that patterns found.
            withdrawn: those of which every match is denied, asked about or supposed.
        """
        told = hints(matched, withdrawn)
        pieces = (words[i : i + MOST_CHARS] for i in range(0, max(1, len(words)), MOST_CHARS))
        return np.max([self._score(runs(piece) | told) for piece in pieces], axis=0)

    def decide(self, scores: NDArray[np.float32], matched: Iterable[Kind], margin: float = 0.0) -> frozenset[Kind]:
        """The kinds that count, of those matched and those that the scores tell.

        Talk of dying counts on its own, whatever `any` and the margin say; words of it are never taken back.

        Args:
            margin: logits that a kind must score beyond its threshold when no pattern found it.
        """
        told = dict(zip(COLUMNS, (scores - self.say).tolist(), strict=True))
        kept = dict(zip(COLUMNS, (scores - self.keep).tolist(), strict=True))
        matched = frozenset(matched)
        stay = {kind for kind in matched if kind not in LEARNED_KINDS or min(kept[kind], kept[ANY]) >= 0}
        stay |= matched & FIRM
        found = {kind for kind in LEARNED_KINDS if min(told[kind], told[ANY]) >= margin}
        if told["self_harm"] >= 0:
            found.add("self_harm")
        return frozenset(stay | found)

    def _score(self, features: set[str]) -> NDArray[np.float32]:
        known = [row for feature in features if (row := self.rows.get(feature)) is not None]
        if not known:
            return self.bias
        total: NDArray[np.float32] = self.weights[known].sum(axis=0) / np.float32(len(known) ** 0.5)
        return total + self.bias


@functools.cache
def learned(path: Path = WEIGHTS) -> Learned:
    """The model of a file, read once.

    Raises:
        ServeError: the file is missing or is not what the training script writes.
    """
    try:
        return unpacked(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ServeError(
            f"{path}: no weights of hand-off signals: {error}",
            "install the package again, or write them with `python scripts/train_signals.py --write`",
        ) from None


def packed(model: Learned) -> bytes:
    """The content of a weights file: eight bits a weight, one scale a column."""
    scale = np.maximum(np.abs(model.weights).max(axis=0), 1e-6) / 127
    levels = np.rint(model.weights / scale).astype(np.int8)
    listed = sorted(model.rows, key=model.rows.__getitem__)
    fields = {
        "format": FORMAT,
        "columns": COLUMNS,
        "say": [round(float(x), 3) for x in model.say],
        "keep": [round(float(x), 3) for x in model.keep],
        "bias": [round(float(x), 4) for x in model.bias],
        "scale": [round(float(x), 7) for x in scale],
        "levels": base64.b64encode(levels.tobytes()).decode(),
        "features": " ".join(listed),
    }
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def unpacked(content: bytes) -> Learned:
    """The model that `packed` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is not what `packed` writes.
    """
    fields: dict[str, Any] = orjson.loads(content)
    if fields["format"] != FORMAT or tuple(fields["columns"]) != COLUMNS:
        raise ValueError(f"format {fields['format']} of {fields['columns']}")
    listed = fields["features"].split(" ")
    shape = len(listed), len(COLUMNS)
    levels = np.frombuffer(base64.b64decode(fields["levels"], validate=True), np.int8).reshape(shape)
    numbers = [np.array(fields[name], np.float32) for name in ("scale", "bias", "say", "keep")]
    if not all(x.shape == shape[1:] and np.isfinite(x).all() for x in numbers):
        raise ValueError("scale, bias, say and keep need one finite number a column")
    scale, bias, say, keep = numbers
    rows = {run: row for row, run in enumerate(listed)}
    if len(rows) != len(listed):
        raise ValueError("a feature stands twice")
    return Learned(rows, levels.astype(np.float32) * scale, bias, say, keep, hashlib.sha256(content).hexdigest())
