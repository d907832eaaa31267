"""Aho-Corasick over dictionaries: follows a stream one character at a time, and knows which word may be unfinished.

A node with hundreds of children (every sound begins some word) is one dictionary look-up here; the automata of C
libraries that search a node's children in turn were ten times slower on such words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Automaton(Generic[Value]):
    """Words and what each stands for.

    Attributes:
        longest: characters of the longest word, at least 1.
        step: per state, character -> state; the characters are interned, so that interned ones are found at once.
        fail: per state, the state of its longest proper suffix.
        found: per state, (length, value) of every word that ends there.
        unfinished: per state, how many of the last characters may begin a word of `open_words` that goes on.
    """

    def __init__(self, words: Mapping[str, Value], open_words: frozenset[str]):
        self.longest = max(map(len, words), default=1)
        self.step: list[dict[str, int]] = [{}]
        self.fail: list[int] = [0]
        self.found: list[tuple[tuple[int, Value], ...]] = [()]
        self.unfinished: list[int] = [0]
        for word, value in words.items():
            state = 0
            for depth, char in enumerate(map(sys.intern, word)):
                if depth and word in open_words:
                    self.unfinished[state] = depth
                following = self.step[state].get(char)
                if following is None:
                    following = self.step[state][char] = len(self.step)
                    self.step.append({})
                    self.fail.append(0)
                    self.found.append(())
                    self.unfinished.append(0)
                state = following
            self.found[state] = ((len(word), value),)
        self._link()

    def _link(self) -> None:
        level = list(self.step[0].values())
        while level:
            deeper = []
            for state in level:
                suffix = self.fail[state]
                self.found[state] += self.found[suffix]
                self.unfinished[state] = self.unfinished[state] or self.unfinished[suffix]
                for char, following in self.step[state].items():
                    self.fail[following] = self.after(suffix, char)
                    deeper.append(following)
            level = deeper

    def iter(self, text: str) -> Iterator[tuple[int, int, Value]]:
        """(index behind the word, its length, what it stands for) of every word in `text`."""
        step, fail, found, state = self.step, self.fail, self.found, 0
        for end, char in enumerate(text, 1):
            following = step[state].get(char)
            while following is None and state:
                state = fail[state]
                following = step[state].get(char)
            state = following or 0
            for size, value in found[state]:
                yield end, size, value

    def unfinished_at_end(self, text: str) -> int:
        """How many of the last characters of `text` may begin a word of `open_words` that goes on."""
        state = 0
        for char in text[-self.longest :]:
            state = self.after(state, char)
        return self.unfinished[state]

    def after(self, state: int, char: str) -> int:
        """The state that follows `state` on `char`."""
        following = self.step[state].get(char)
        while following is None and state:
            state = self.fail[state]
            following = self.step[state].get(char)
        return following or 0
