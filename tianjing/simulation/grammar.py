"""A small text grammar: productions with nested choices, slots and marked evidence.

Notation of a production: `[a|b|]` is a choice (an empty branch makes it optional), `{name}` is another
production or a slot given by the caller, `«…»` marks the words that an inspector would quote as evidence.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Productions = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Name:
    """A reference to another production or to a slot."""

    name: str


# A production as read once: literal text, a reference, or a choice of such sequences.
_Part = str | _Name | tuple["_Sequence", ...]
_Sequence = tuple[_Part, ...]

_TOKEN = re.compile(r"\{(\w+)\}|([\[|\]])")
_EVIDENCE = re.compile(r"«([^«»]*)»")
# What empty branches leave behind: a comma that opens the sentence, or stands before another mark.
_STRAY_COMMA = re.compile(r"^，+|，(?=[，。！？])")
_MAX_DEPTH = 12


class GrammarError(ValueError):
    """A production that cannot be expanded; the message names it."""


@dataclass(frozen=True)
class Marked:
    """A sentence cut at its evidence marks: `before + evidence + after` is the text that is spoken."""

    before: str
    evidence: str
    after: str

    @property
    def text(self) -> str:
        return self.before + self.evidence + self.after


class Grammar:
    """Productions by symbol, with the slots that a caller fills in."""

    def __init__(self, name: str, parts: Iterable[Productions], slots: Iterable[str]):
        """`slots` are the names a caller may fill.

        Raises:
            GrammarError: a symbol defined twice, an empty symbol, an unknown reference or unbalanced brackets.
        """
        self.name = name
        self.slots = frozenset(slots)
        self.productions: dict[str, tuple[str, ...]] = {}
        self._read: dict[str, tuple[_Sequence, ...]] = {}
        for part in parts:
            for symbol, alternatives in part.items():
                if symbol in self.productions:
                    raise GrammarError(f"{name}: symbol '{symbol}' is defined twice")
                self.productions[symbol] = tuple(alternatives)
        for symbol, alternatives in self.productions.items():
            if not alternatives:
                raise GrammarError(f"{name}: symbol '{symbol}' has no production")
            self._read[symbol] = tuple(self._parse(symbol, text) for text in alternatives)

    def _parse(self, symbol: str, text: str) -> _Sequence:
        """The parts of one production."""
        if text.count("«") != text.count("»"):
            raise GrammarError(f"{self.name}: '{symbol}': unbalanced evidence marks in {text!r}")
        # One entry per open bracket: the branches so far, the last of which is being read.
        open_choices: list[list[list[_Part]]] = [[[]]]
        done = 0
        for token in _TOKEN.finditer(text):
            if token.start() > done:
                open_choices[-1][-1].append(text[done : token.start()])
            done = token.end()
            if token[1]:
                if token[1] not in self.productions and token[1] not in self.slots:
                    raise GrammarError(f"{self.name}: '{symbol}': unknown name '{token[1]}' in {text!r}")
                open_choices[-1][-1].append(_Name(token[1]))
            elif token[2] == "[":
                open_choices.append([[]])
            elif len(open_choices) == 1:
                raise GrammarError(f"{self.name}: '{symbol}': unbalanced brackets in {text!r}")
            elif token[2] == "|":
                open_choices[-1].append([])
            else:
                choice = tuple(tuple(branch) for branch in open_choices.pop())
                open_choices[-1][-1].append(choice)
        if len(open_choices) != 1:
            raise GrammarError(f"{self.name}: '{symbol}': unbalanced brackets in {text!r}")
        if done < len(text):
            open_choices[-1][-1].append(text[done:])
        return tuple(open_choices[0][0])

    def __contains__(self, symbol: str) -> bool:
        return symbol in self.productions

    def say(self, symbol: str, rng: random.Random, slots: Mapping[str, str] | None = None) -> str:
        """One sentence for `symbol`, without evidence marks."""
        return self.mark(symbol, rng, slots).text

    def mark(self, symbol: str, rng: random.Random, slots: Mapping[str, str] | None = None) -> Marked:
        """One sentence for `symbol`, cut at its evidence (empty where the production marks none)."""
        said: list[str] = []
        self._expand((_Name(symbol),), rng, slots or {}, said, 0)
        text = _STRAY_COMMA.sub("", "".join(said))
        found = _EVIDENCE.search(text)
        if found is None:
            return Marked(text, "", "")
        return Marked(text[: found.start()], found[1], text[found.end() :])

    def _expand(
        self, parts: _Sequence, rng: random.Random, slots: Mapping[str, str], said: list[str], depth: int
    ) -> None:
        """Append the words of `parts` to `said`."""
        for part in parts:
            if isinstance(part, str):
                said.append(part)
            elif isinstance(part, tuple):
                self._expand(part[int(rng.random() * len(part))], rng, slots, said, depth)
            elif part.name in slots:
                said.append(slots[part.name])
            elif part.name not in self._read:
                raise GrammarError(f"{self.name}: slot '{part.name}' was not filled")
            elif depth >= _MAX_DEPTH:
                raise GrammarError(f"{self.name}: recursion deeper than {_MAX_DEPTH} at '{part.name}'")
            else:
                alternatives = self._read[part.name]
                chosen = alternatives[int(rng.random() * len(alternatives))]
                self._expand(chosen, rng, slots, said, depth + 1)
