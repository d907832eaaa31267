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

_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"\{(\w+)\}")
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
        for part in parts:
            for symbol, alternatives in part.items():
                if symbol in self.productions:
                    raise GrammarError(f"{name}: symbol '{symbol}' is defined twice")
                self.productions[symbol] = tuple(alternatives)
        for symbol, alternatives in self.productions.items():
            self._check(symbol, alternatives)

    def _check(self, symbol: str, alternatives: Sequence[str]) -> None:
        if not alternatives:
            raise GrammarError(f"{self.name}: symbol '{symbol}' has no production")
        for text in alternatives:
            if text.count("[") != text.count("]") or text.count("«") != text.count("»"):
                raise GrammarError(f"{self.name}: '{symbol}': unbalanced brackets in {text!r}")
            for name in _NAME.findall(text):
                if name not in self.productions and name not in self.slots:
                    raise GrammarError(f"{self.name}: '{symbol}': unknown name '{name}' in {text!r}")

    def __contains__(self, symbol: str) -> bool:
        return symbol in self.productions

    def say(self, symbol: str, rng: random.Random, slots: Mapping[str, str] | None = None) -> str:
        """One sentence for `symbol`, without evidence marks."""
        return self.mark(symbol, rng, slots).text

    def mark(self, symbol: str, rng: random.Random, slots: Mapping[str, str] | None = None) -> Marked:
        """One sentence for `symbol`, cut at its evidence (empty where the production marks none)."""
        text = _STRAY_COMMA.sub("", self._expand(f"{{{symbol}}}", rng, slots or {}, 0))
        found = _EVIDENCE.search(text)
        if found is None:
            return Marked(text, "", "")
        return Marked(text[: found.start()], found[1], text[found.end() :])

    def _expand(self, text: str, rng: random.Random, slots: Mapping[str, str], depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise GrammarError(f"{self.name}: recursion deeper than {_MAX_DEPTH} at {text!r}")
        while found := _INNERMOST.search(text):
            text = text[: found.start()] + rng.choice(found[1].split("|")) + text[found.end() :]

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name in slots:
                return slots[name]
            if name not in self.productions:
                raise GrammarError(f"{self.name}: slot '{name}' was not filled in {text!r}")
            return self._expand(rng.choice(self.productions[name]), rng, slots, depth + 1)

        return _NAME.sub(fill, text)
