"""Answers with their texts side by side: flips between the models, flips under another wording, and failures.

Nothing is picked for its looks: in every bucket (task, condition) the cards come by item id, the buckets take turns,
and what no longer fits the page is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup, escape

from evals.perturb.layout import lay_out
from evals.records import GREEDY, OF_SAMPLED, SAMPLED, Attempt, Item
from evals.report.difference import cut, side_by_side
from evals.report.words import arm_name, condition_name, condition_order, number
from tianjing.privacy import mask
from tianjing.tasks import Task

# Bytes of all cards together, how they are shared out, and the most of each kind: a page that is read, and can be sent.
MAX_BYTES = 2_000_000
_SHARES = {"negative": 0.4, "positive": 0.2, "failure": 0.6, "unchanged": 0.05, "answer": 0.35}
_MOST = {"negative": 80, "positive": 20, "failure": 80, "unchanged": 6, "answer": 40}


@dataclass(frozen=True)
class Side:
    """One of two texts. `asked` is the prompt, where the prompts are what differs."""

    title: str
    note: str
    text: Markup
    right: bool
    asked: Markup | None = None


@dataclass(frozen=True)
class Card:
    """One item under one condition. `question` is None where the sides show their own prompts."""

    item: Item
    task: str
    condition: str
    question: str | None
    expected: str
    sides: tuple[Side, Side]


@dataclass(frozen=True)
class CardSet:
    """The cards of a kind that the page shows, of `total` there are."""

    kind: str
    cards: Sequence[Card]
    total: int

    @property
    def left_out(self) -> int:
        return self.total - len(self.cards)


_GUARDED = "check"

Build = Callable[[], Card]
Bucket = tuple[str, str]


class Cards:
    """Finds and builds the cards of a run.

    Args:
        arms: those of the run; the last is the candidate.
        success_at: the score from which an answer counts as right.
    """

    def __init__(
        self,
        items: Sequence[Item],
        attempts: Sequence[Attempt],
        tasks: Mapping[str, Task],
        arms: Sequence[str],
        success_at: float,
    ):
        # Probes guard secrets and provoke what must not be said: the section on safety shows them, masked.
        self.items = {item.id: item for item in items if _GUARDED not in item.fields}
        self.tasks, self.arms, self.success_at = tasks, arms, success_at
        conditions = {attempt.condition for attempt in attempts}
        # The plain question first.
        order = {name: place for place, name in enumerate(sorted(conditions, key=condition_order))}
        greedy = {name for name in conditions if name != SAMPLED and not name.endswith(OF_SAMPLED)}
        asked = [attempt for attempt in attempts if attempt.condition in greedy and attempt.item in self.items]
        asked.sort(key=lambda attempt: (order[attempt.condition], attempt.item))
        # By item, condition and arm; in this order cards are shown.
        self.first: dict[tuple[str, str, str], Attempt] = {
            (attempt.item, attempt.condition, attempt.arm): attempt for attempt in asked
        }

    def between_arms(self) -> list[CardSet]:
        """Flips base → candidate, those for the worse first, and a few items on which nothing changed."""
        base, candidate = self.arms
        found: dict[str, dict[Bucket, list[Build]]] = {kind: defaultdict(list) for kind in _SHARES}
        for (item, condition, arm), old in self.first.items():
            new = self.first.get((item, condition, candidate))
            if arm != base or new is None:
                continue
            before, after = self._right(old), self._right(new)
            kind = "unchanged" if before == after else "positive" if after else "negative"
            if kind == "unchanged" and condition != GREEDY:
                continue
            found[kind][old.task, condition].append(partial(self._flip, old, new))
        return [_take(kind, found[kind]) for kind in ("negative", "positive", "unchanged")]

    def failures(self) -> list[CardSet]:
        """Wrong answers beside the right ones, for a run of one model."""
        found: dict[Bucket, list[Build]] = defaultdict(list)
        for (_, condition, _), attempt in self.first.items():
            if not self._right(attempt):
                found[attempt.task, condition].append(partial(self._failure, attempt))
        return [_take("failure", found)]

    def answer_flips(self) -> CardSet:
        """The candidate's answers that changed when the same question was asked in another way."""
        candidate = self.arms[-1]
        found: dict[Bucket, list[Build]] = defaultdict(list)
        for (item, condition, arm), varied in self.first.items():
            plain = self.first.get((item, GREEDY, candidate))
            if arm != candidate or condition not in self.items[item].variants or plain is None:
                continue
            if plain.answer is None or plain.answer != varied.answer:
                found[varied.task, condition].append(partial(self._reworded, plain, varied))
        return _take("answer", found)

    def _right(self, attempt: Attempt) -> bool:
        return attempt.score >= self.success_at

    def _flip(self, old: Attempt, new: Attempt) -> Card:
        texts = side_by_side(_shown(old), _shown(new))
        return self._card(old, cut(self._question(old)), (self._side(old, texts[0]), self._side(new, texts[1])))

    def _failure(self, attempt: Attempt) -> Card:
        texts = side_by_side(self._expected(self.items[attempt.item]), _shown(attempt))
        reference = Side("参考答案 reference", "", texts[0], True)
        return self._card(attempt, cut(self._question(attempt)), (reference, self._side(attempt, texts[1])))

    def _reworded(self, plain: Attempt, varied: Attempt) -> Card:
        texts = side_by_side(_shown(plain), _shown(varied))
        prompts = side_by_side(self._question(plain), self._question(varied))
        sides = (
            self._side(plain, texts[0], condition_name(GREEDY), prompts[0]),
            self._side(varied, texts[1], condition_name(varied.condition), prompts[1]),
        )
        return self._card(varied, None, sides)

    def _card(self, attempt: Attempt, question: str | None, sides: tuple[Side, Side]) -> Card:
        item = self.items[attempt.item]
        expected = cut(self._expected(item))
        return Card(item, item.task, attempt.condition, question, expected, sides)

    def _side(self, attempt: Attempt, text: Markup, title: str = "", asked: Markup | None = None) -> Side:
        told = [f"得分 {number(attempt.score)}", attempt.rule]
        if attempt.finish_reason == "length":
            told.append("被截断 truncated")
        named = title or f"{arm_name(attempt.arm)} {attempt.arm}"
        return Side(named, " · ".join(told), text, self._right(attempt), asked)

    def _expected(self, item: Item) -> str:
        return mask(self.tasks[item.task].target(item.reference)).text

    def _question(self, attempt: Attempt) -> str:
        """The question as it was asked under the attempt's condition, with the turns put before it."""
        item = self.items[attempt.item]
        variant = item.variants.get(attempt.condition)
        asked = self.tasks[item.task].render(item.asked(attempt.condition), variant.wording if variant else 0)
        if variant:
            asked = lay_out(asked, variant.layout)
        before = [f"{message.role}: {message.content}" for message in variant.before] if variant else []
        return mask("\n".join([*before, asked])).text


def _shown(attempt: Attempt) -> str:
    """What came back, without personal data: a page is handed around more freely than the evidence."""
    if attempt.error is not None:
        return f"（请求失败）{attempt.error}"
    return mask(attempt.output).text or "（空）"


def _take(kind: str, found: Mapping[Bucket, Sequence[Build]]) -> CardSet:
    """Cards from each bucket in turn until the number or the bytes of this kind are used up."""
    left = MAX_BYTES * _SHARES[kind]
    cards: list[Card] = []
    for turn in range(max(map(len, found.values()), default=0)):
        for builds in found.values():
            if turn < len(builds) and len(cards) < _MOST[kind] and left > 0:
                cards.append(builds[turn]())
                left -= _size(cards[-1])
    return CardSet(kind, cards, sum(map(len, found.values())))


def _size(card: Card) -> int:
    parts = [
        card.question or "",
        card.expected,
        *(part for side in card.sides for part in (side.text, side.asked or "")),
    ]
    return sum(len(escape(part).encode()) for part in parts) + 1200
