"""The float32 reference with a memory: what it said of a fork or an answer is kept and not computed twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from evals.parity.compare import Fork
from evals.parity.records import Gap, Scored
from evals.parity.reference import Reference
from tianjing.config import StrictModel
from tianjing.files import canonical_json, read_journal, sha256_bytes


class Judged(StrictModel):
    """A line of the journal: a fork with its gap, or an answer with its log-probabilities."""

    key: str
    gap: Gap | None = None
    scored: Scored | None = None


class Consulted:
    """The adapter in float32, loaded when it is first asked what the journal does not know.

    Args:
        load: makes the reference.
        digest: fingerprint of base and adapter.
    """

    def __init__(self, load: Callable[[], Reference], digest: str, path: Path):
        self._load, self._digest, self._path = load, digest, path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # no answer at all is a finding, too
        self._known = {row.key: row for row in read_journal(path, Judged)}

    @cached_property
    def reference(self) -> Reference:
        return self._load()

    def close(self) -> None:
        """Give the memory back."""
        if "reference" in self.__dict__:
            self.reference.close()
            del self.reference

    def gap(self, prompt: Sequence[int], fork: Fork) -> Gap:
        """How far the lesser of a fork's tokens is behind the best."""
        _, before, *chosen = fork
        key = self._key(prompt, fork)
        if key not in self._known:
            self._keep(Judged(key=key, gap=self.reference.gap(prompt, before, chosen)))
        gap = self._known[key].gap
        assert gap is not None
        return gap

    def score(self, prompt: Sequence[int], tokens: Sequence[int]) -> Scored:
        """The log-probabilities of an answer's tokens."""
        key = self._key(prompt, tokens)
        if key not in self._known:
            self._keep(Judged(key=key, scored=self.reference.score(prompt, tokens)))
        scored = self._known[key].scored
        assert scored is not None
        return scored

    def answer(self, prompt: Sequence[int], max_tokens: int, drafts: Sequence[Sequence[int]]) -> list[int]:
        """The greedy answer: the likeliest token after those before it, up to its end or `max_tokens`.

        One pass over a draft gives the likeliest token in every place, so all up to the first that the draft has
        otherwise, and that one, are the answer's. Whatever the drafts are, the answer is the same; with good ones it
        is computed in one pass instead of one a token.
        """
        answer: list[int] = []
        while len(answer) < max_tokens and not self.reference.ends(answer):
            draft = next((d for d in drafts if len(d) > len(answer) and list(d[: len(answer)]) == answer), None)
            if draft is None:
                return answer + self.reference.generate([[*prompt, *answer]], max_tokens - len(answer))[0]
            best = self.score(prompt, draft).best
            while len(answer) < len(draft):
                answer.append(best[len(answer)])
                if answer[-1] != draft[len(answer) - 1]:
                    break
        return answer

    def _keep(self, row: Judged) -> None:
        with open(self._path, "a", encoding="utf-8") as stream:
            stream.write(row.model_dump_json() + "\n")
        self._known[row.key] = row

    def _key(self, prompt: Sequence[int], asked: Any) -> str:
        return sha256_bytes(canonical_json([self._digest, prompt, asked]).encode())
