"""Character grams of short Chinese texts: MinHash band keys that propose near duplicates, Jaccard indexes that decide.

White space, punctuation, width and case are folded away first. All of it is arithmetic on arrays over many texts at
once. T texts of one call, B bands, P pairs.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BANDS = 20
ROWS_PER_BAND = 6
# Words are too coarse for 10 to 300 characters, and under 50 characters one changed word changes most 5-grams.
GRAM, SHORT_GRAM = 5, 3
SHORT_CHARS, EXACT_CHARS = 50, 15

Uint64 = NDArray[np.uint64]
Int64 = NDArray[np.int64]

# A block of grams and one permutation of it stay in the second-level cache; smaller blocks are all calls and no work.
_BLOCK_CHARS = 131_072
# Texts and pairs are sorted by 12 bits of place and 52 of hash in one array.
_PLACES = 4_096
_HASH_BITS = np.uint64(52)
_U64 = np.uint64
_GAMMA = 0x9E3779B97F4A7C15
_KEY = b"tianjing.duplicates"


class GramSets(NamedTuple):
    """Distinct gram hashes of each text, ascending; the starts [T + 1]; the sizes [T]."""

    hashes: Uint64
    bounds: Int64
    sizes: Int64


def row_keys(texts: Iterable[str]) -> Uint64:
    """[T, 1 + B]: the exact key of each text, then its B = 20 band keys of r = 6 minima each. Columns are contiguous.

    Texts with Jaccard index J agree in a band with probability J^r and in at least one with 1 - (1 - J^r)^B (Leskovec,
    Rajaraman and Ullman, Mining of Massive Datasets, 3.4): 0.9977 at J = 0.8, 0.93 at 0.7, 0.62 at 0.6, 0.08 at 0.4.
    The exact key is BLAKE2b of the folded text: among 10 million texts two differing ones meet with probability 3e-6.

    Grams are 5 characters, 3 in a text of fewer than 50 folded characters, and a text of fewer than 15 is its own only
    gram, so it has exact copies alone. Two texts on either side of such a limit do not share grams and never meet.
    """
    blocks = [_block_keys(block) for block in _blocks(texts)]
    return np.asfortranarray(np.concatenate(blocks)) if blocks else np.empty((0, 1 + BANDS), _U64, order="F")


def jaccard(left: Sequence[str], right: Sequence[str]) -> NDArray[np.float64]:
    """[P]: Jaccard index of the gram sets of `left[i]` and `right[i]`; 0 where their grams differ in length."""
    texts = [*left, *right]
    places = np.arange(len(left), dtype=np.int64)
    return overlap(gram_sets(texts), places, places + len(left))


def gram_sets(texts: Sequence[str]) -> GramSets:
    """Gram sets by 52-bit hashes: two differing grams of a pair of dialogues meet with probability 1e-10."""
    codes, starts = _folded(texts)
    hashes, bounds = _grams(codes, starts)
    parts = []
    sizes = np.empty(len(texts), dtype=np.int64)
    for first in range(0, len(texts), _PLACES):
        last = min(first + _PLACES, len(texts))
        own = hashes[bounds[first] : bounds[last]] >> _U64(12)
        own |= np.repeat(np.arange(last - first, dtype=np.uint64) << _HASH_BITS, np.diff(bounds[first : last + 1]))
        own.sort()
        distinct = own[np.concatenate([[True], own[1:] != own[:-1]])]
        sizes[first:last] = np.bincount((distinct >> _HASH_BITS).astype(np.int64), minlength=last - first)
        parts.append(distinct & ((_U64(1) << _HASH_BITS) - _U64(1)))
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return GramSets(np.concatenate(parts) if parts else np.empty(0, _U64), bounds, sizes)


def overlap(sets: GramSets, left: Int64, right: Int64) -> NDArray[np.float64]:
    """[P]: Jaccard index of the sets number `left[i]` and `right[i]`."""
    found = np.empty(len(left), dtype=np.float64)
    for first in range(0, len(left), _PLACES):
        a, b = left[first : first + _PLACES], right[first : first + _PLACES]
        members = np.concatenate([a, b])
        counts = sets.sizes[members]
        bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        places = np.arange(bounds[-1]) + np.repeat(sets.bounds[members] - bounds[:-1], counts)
        pair = np.tile(np.arange(len(a), dtype=np.uint64) << _HASH_BITS, 2)
        hashes = sets.hashes[places] | np.repeat(pair, counts)
        hashes.sort()
        twice = hashes[1:][hashes[1:] == hashes[:-1]]
        shared = np.bincount((twice >> _HASH_BITS).astype(np.int64), minlength=len(a))
        found[first : first + _PLACES] = shared / (sets.sizes[a] + sets.sizes[b] - shared)
    return found


@functools.cache
def _fold_table() -> NDArray[np.uint32]:
    """Code point below 65,536 -> its folded form, 0 for what is neither letter nor digit."""

    def folded(code: int) -> int:
        char = chr(code)
        form = unicodedata.normalize("NFKC", char).casefold()
        char = form if len(form) == 1 else char
        return ord(char) if char.isalnum() else 0

    return np.array([0 if 0xD800 <= code < 0xE000 else folded(code) for code in range(0x10000)], dtype=np.uint32)


@functools.cache
def _multipliers() -> tuple[Uint64, NDArray[np.uint32]]:
    """Odd constants: one for each character of a gram, and one for each permutation."""
    generator = np.random.Generator(np.random.PCG64(0x7A6A))
    gram = generator.integers(0, 2**64, GRAM, dtype=np.uint64) | _U64(1)
    permutations = generator.integers(0, 2**32, BANDS * ROWS_PER_BAND, dtype=np.uint32) | np.uint32(1)
    return gram, permutations


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    block: list[str] = []
    chars = 0
    for text in texts:
        block.append(text)
        chars += len(text)
        if chars >= _BLOCK_CHARS:
            yield block
            block, chars = [], 0
    if block:
        yield block


def _folded(texts: Sequence[str]) -> tuple[NDArray[np.uint32], Int64]:
    """Folded code points, a 0 after each text and GRAM more at the end; the starts of the texts [T + 1]."""
    joined = "".join(text.replace("\0", "") + "\0" for text in texts)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    ends = codes == 0
    folded = _fold_table().take(codes, mode="clip")
    rare = codes >= 0x10000
    if rare.any():
        folded[rare] = codes[rare]
    kept = (folded != 0) | ends
    starts = np.concatenate([[0], np.cumsum(kept)[ends]]).astype(np.int64)
    return np.concatenate([folded[kept], np.zeros(GRAM, dtype=np.uint32)]), starts


def _grams(codes: NDArray[np.uint32], starts: Int64) -> tuple[Uint64, Int64]:
    """64-bit hashes of all grams, text by text with repetitions, at least one each; the starts [T + 1]."""
    lengths = np.diff(starts) - 1
    sizes = np.where(lengths >= SHORT_CHARS, GRAM, SHORT_GRAM)
    whole = lengths < EXACT_CHARS
    counts = np.where(whole, 1, lengths - sizes + 1)
    factors, _ = _multipliers()
    wide = codes.astype(np.uint64)
    total = int(starts[-1])
    hashes = wide[:total] * factors[0]
    for place in range(1, SHORT_GRAM):
        hashes += wide[place : place + total] * factors[place]
    tail = wide[SHORT_GRAM : SHORT_GRAM + total] * factors[SHORT_GRAM]
    for place in range(SHORT_GRAM + 1, GRAM):
        tail += wide[place : place + total] * factors[place]
    if (sizes == GRAM).all():
        hashes += tail
    else:
        hashes += tail * np.repeat(sizes == GRAM, lengths + 1)
    mixed = _mix(hashes)
    mixed[starts[:-1][whole]] = _digests(codes, starts, np.flatnonzero(whole).tolist())
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    places = np.arange(bounds[-1]) + np.repeat(starts[:-1] - bounds[:-1], counts)
    return mixed[places], bounds


def _mix(values: Uint64) -> Uint64:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), in place."""
    values ^= values >> _U64(30)
    values *= _U64(0xBF58476D1CE4E5B9)
    values ^= values >> _U64(27)
    values *= _U64(0x94D049BB133111EB)
    values ^= values >> _U64(31)
    return values


def _digests(codes: NDArray[np.uint32], starts: Int64, texts: Iterable[int]) -> Uint64:
    """BLAKE2b of the texts with these numbers."""
    data, at = codes.tobytes(), (4 * starts).tolist()
    new = functools.partial(hashlib.blake2b, digest_size=8, key=_KEY)
    return np.frombuffer(b"".join(new(data[at[text] : at[text + 1]]).digest() for text in texts), dtype="<u8")


def _block_keys(texts: Sequence[str]) -> Uint64:
    codes, starts = _folded(texts)
    hashes, bounds = _grams(codes, starts)
    keys = np.empty((len(texts), 1 + BANDS), dtype=np.uint64)
    keys[:, 0] = _digests(codes, starts, range(len(texts)))
    # Multiplying well-mixed 32-bit hashes by an odd constant is a permutation whose minimum is near enough min-wise:
    # the benchmark's recall follows the formula. It runs eight to an instruction; 64-bit multiplication does not.
    narrow = (hashes >> _U64(32)).astype(np.uint32)
    permuted = np.empty_like(narrow)
    _, permutations = _multipliers()
    minima = np.empty((BANDS * ROWS_PER_BAND, len(texts)), dtype=np.uint32)
    for factor, lowest in zip(permutations, minima, strict=True):
        np.multiply(narrow, factor, out=permuted)
        np.minimum.reduceat(permuted, bounds[:-1], out=lowest)
    bands = np.zeros((BANDS, len(texts)), dtype=np.uint64)
    for place in range(ROWS_PER_BAND):
        bands *= _U64(_GAMMA)
        bands += minima[place::ROWS_PER_BAND]
    keys[:, 1:] = _mix(bands).T
    return keys
