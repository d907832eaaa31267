"""The phrase language of the rulebook: small, linear to match, no regular expressions.

    @kin ~6 @tell ~4 @debt      words of vocabulary sets in this order; ~6: at most 6 characters between (default 4)
    我是|这里是 ~0 @authority    words in place; ~0: directly adjacent
    {@tell @kin @debt}~8        these in any order, at most 8 characters between each two
    @certain @waive?            ? may be missing
    @unpaid ~10 / @jail         what stands before / must be there, but is no part of the hit

A gap never crosses the end of a sentence. A word that stands in a longer one may be no word of its own; a pack lists
such longer forms, `找死: 找死角 安装死机`, in which @ names a vocabulary set likewise: `二百五: "@numeral二百五"`
(`~` ends the name of the set where a letter or digit follows: `@numeral~110`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tianjing.rulebook.folding import CODES, PLAIN, STOP

DEFAULT_GAP = 4
_TOKEN = re.compile(r"\{[^{}]*\}(?:~\d+)?|~\d+|/|[^\s{}]+")
_ALL_ORDERS_MAX = 4
# What tells that a word is part of a longer one stands within so many characters of it: a stream waits for them.
BESIDE_MAX_CHARS = 8
_SET = re.compile(r"@([a-z0-9]+(?:[._-][a-z0-9]+)*)~?")


# What stands directly before a word, and directly behind it.
Beside = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """One slot: any of `words`, at most `gap` cells after the slot before it."""

    words: frozenset[str]
    gap: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """Slots in order; the first `context` of them precede the hit."""

    steps: tuple[Step, ...]
    context: int


def parse(source: str, vocabulary: Mapping[str, tuple[str, ...]]) -> list[Pattern]:
    """Every plain sequence that `source` stands for.

    Raises:
        ValueError: an unknown vocabulary set, an empty slot, or a misplaced ~ or /; the message names it.
    """
    alternatives: list[list[tuple[Step, bool]]] = [[]]
    gap, context_at, slots = DEFAULT_GAP, None, 0
    for token in _TOKEN.findall(source):
        if token == "/":
            if context_at is not None or not slots:
                raise ValueError("'/' stands once, after the context")
            context_at = slots
            continue
        if token.startswith("~"):
            gap = int(token[1:])
            continue
        if token.startswith("{"):
            choices = _any_order(token, vocabulary, gap)
        else:
            optional = token.endswith("?")
            step = Step(_words(token.removesuffix("?"), vocabulary), gap)
            choices = [[step], []] if optional else [[step]]
        in_context = context_at is None
        alternatives = [
            [*before, *((step, in_context) for step in choice)] for before in alternatives for choice in choices
        ]
        slots, gap = slots + 1, DEFAULT_GAP
    found = []
    for alternative in alternatives:
        steps = tuple(step for step, _ in alternative)
        context = 0 if context_at is None else sum(1 for _, inside in alternative if inside)
        if len(steps) <= context:
            raise ValueError("nothing is left of the pattern when its optional words are missing")
        found.append(Pattern(steps, context))
    return found


def beside(word: str, forms: Sequence[str], vocabulary: Mapping[str, tuple[str, ...]]) -> tuple[Beside, ...]:
    """What stands beside `word` in the longer forms of which it is only a part.

    Raises:
        ValueError: a form does not hold the word, is no longer, reaches too far, or holds the end of a sentence.
    """
    found: dict[Beside, None] = {}
    for form in forms:
        for whole in _spelt_out(form, vocabulary):
            if word not in whole or word == whole:
                raise ValueError(f"'{form}' is no longer form of '{word}'")
            at = whole.find(word)
            while at >= 0:
                left, right = whole[:at].translate(PLAIN), whole[at + len(word) :].translate(PLAIN)
                if max(len(left), len(right)) > BESIDE_MAX_CHARS:
                    raise ValueError(f"'{form}' reaches more than {BESIDE_MAX_CHARS} characters beyond '{word}'")
                if STOP in (left + right).translate(CODES):
                    raise ValueError(f"'{form}' holds the end of a sentence")
                found[left, right] = None
                at = whole.find(word, at + 1)
    return tuple(found)


def _spelt_out(form: str, vocabulary: Mapping[str, tuple[str, ...]]) -> list[str]:
    """`form` with each word of the sets it names."""
    pieces = _SET.split(form)
    choices = [_words(f"@{piece}", vocabulary) if odd % 2 else (piece,) for odd, piece in enumerate(pieces)]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _any_order(token: str, vocabulary: Mapping[str, tuple[str, ...]], gap: int) -> list[list[Step]]:
    body, _, inner = token[1:].partition("}")
    inner_gap = int(inner[1:]) if inner else DEFAULT_GAP
    parts = [_words(part, vocabulary) for part in body.split()]
    if not 2 <= len(parts) <= _ALL_ORDERS_MAX:
        raise ValueError(f"{token}: between 2 and {_ALL_ORDERS_MAX} slots can stand in any order")
    return [
        [Step(words, gap if first else inner_gap) for first, words in zip((True, *[False] * 9), order, strict=False)]
        for order in itertools.permutations(parts)
    ]


def _words(token: str, vocabulary: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    words: set[str] = set()
    for part in token.split("|"):
        if part.startswith("@"):
            if part[1:] not in vocabulary:
                raise ValueError(f"no vocabulary set '{part[1:]}'; known: {', '.join(sorted(vocabulary))}")
            words.update(vocabulary[part[1:]])
        elif part:
            words.add(part)
        else:
            raise ValueError(f"an empty word in '{token}'")
    return frozenset(words)
