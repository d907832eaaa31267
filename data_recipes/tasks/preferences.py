"""Preference pairs (偏好对): to the prompt of a next reply, what worked and what did not in the same situation.

chosen     the answer of the next-reply row: the practice, said by the agent of this case, whose promise was kept
rejected   what another agent said to the same reason in another case of the same split: an act that goes with a worse
           outcome, or another act than the practice, and the promise was not kept; or words that break a rule, whatever
           became of the case, marked as a breach with its rules

Both answers have the form of the task, and both or neither state a number, or name somebody, that the prompt does not
show: neither form nor knowledge tells them apart.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from data_recipes.bm25 import BM25
from data_recipes.config import BuildConfig, PracticesConfig
from data_recipes.experience.evidence import known_cases
from data_recipes.experience.practices import Case
from data_recipes.knowledge import Knowledge
from data_recipes.tasks.draft import turn_id
from data_recipes.tasks.next_reply import TASK
from data_recipes.tasks.verdicts import Verdicts
from tianjing import acts
from tianjing.order import order_key
from tianjing.privacy import find
from tianjing.records import Example, Message, Practice, Preference, Split
from tianjing.tasks import TASKS
from tianjing.tasks.mediation import claimed
from tianjing.tasks.next_reply import MAX_ACTS
from tianjing.text import compact

Why = Literal["harmful", "other", "breach"]
_NEAREST = 50
_NAME = re.compile(r"〔[^〕]*〕")


@dataclass(frozen=True)
class _Candidate:
    """A reply that may be rejected: the case and its turn, its words, the act it is known by, and why it is worse."""

    case: Case
    turn: int
    words: str
    act: str
    heard: tuple[str, ...]
    why: Why
    rules: tuple[str, ...] = ()
    practice: str = ""
    """The practice with a worse outcome that it followed."""


def draft_preferences(
    rows: Sequence[Example],
    knowledge: Knowledge,
    splits: Mapping[str, Split],
    breached: set[tuple[str, int]],
    mining: PracticesConfig,
    verdicts: Verdicts,
    config: BuildConfig,
) -> tuple[list[Preference], Counter[str]]:
    """`preference.pairs` pairs for each next-reply row whose promise was kept; and the rows without one, by reason.

    Args:
        rows: rows that passed every check of the dataset; a pair has the prompt and the answer of one of them.
    """
    practices = {practice.id: practice for practice in knowledge.practices}
    found = known_cases(knowledge, mining)
    kept = {case.dialogue.id for case in found if case.kept}
    judge = _Judge(practices.values(), breached, verdicts, config.next_reply.max_q)
    twins = {duplicate.id for duplicate in knowledge.duplicates}
    pools: dict[tuple[Split, str], list[_Candidate]] = defaultdict(list)
    for case in found:
        candidate = judge.candidate(case) if case.dialogue.id not in twins else None
        if candidate is not None:
            pools[splits[case.dialogue.customer], case.situation].append(candidate)
    wanted: dict[tuple[Split, str], list[Example]] = defaultdict(list)
    for row in rows:
        if row.task == TASK and row.reference["reply"] and _case_id(row) in kept:
            wanted[row.split, practices[row.practice_ids[0]].situation].append(row)
    made: list[Preference] = []
    dropped: Counter[str] = Counter()
    for key, own in sorted(wanted.items()):
        pairing = _Pairing(pools[key], practices, config)
        for row in sorted(own, key=lambda row: order_key(config.seed, row.id)):
            pairs = pairing.of(row)
            made += pairs
            if not pairs:
                dropped["preference: no reply that did not work could stand beside it"] += 1
    return sorted(made, key=lambda pair: pair.id), dropped


class _Judge:
    """Says whether the reply of a case is one to reject, and why."""

    def __init__(self, practices: Iterable[Practice], breached: set[tuple[str, int]], verdicts: Verdicts, max_q: float):
        self._breached, self._verdicts = breached, verdicts
        known = list(practices)
        self._vetoed = {(one.situation, one.action): one for one in known if one.verdict == "vetoed"}
        self._harmful = {
            (one.situation, one.action): one
            for one in known
            if one.ci_high < 0 and one.q < max_q and not one.exploratory and one.verdict == "allowed"
        }

    def candidate(self, case: Case) -> _Candidate | None:
        """The turn right after the reason, as far as it has an act to be known by and is worse than a practice."""
        turn = case.reason_turn + 1
        turns = case.dialogue.turns
        if turn >= len(turns) or turns[turn].speaker != "agent":
            return None
        words = turns[turn].text
        heard = acts.tag(words)
        if not 0 < len(heard) <= MAX_ACTS:
            return None
        vetoed = next((act for act in heard if (case.situation, act) in self._vetoed), None)
        rules = tuple(finding.rule for finding in self._verdicts.breaches(case.dialogue, words))
        if vetoed or rules or (case.dialogue.id, turn) in self._breached:
            rules += self._vetoed[case.situation, vetoed].rules if vetoed else ()
            found = tuple(dict.fromkeys(rules)) or ("inspector",)
            return _Candidate(case, turn, words, vetoed or heard[0], heard, "breach", found)
        if case.kept is not False:
            return None
        harmful = next((act for act in heard if (case.situation, act) in self._harmful), None)
        if harmful:
            followed = self._harmful[case.situation, harmful].id
            return _Candidate(case, turn, words, harmful, heard, "harmful", practice=followed)
        return _Candidate(case, turn, words, heard[0], heard, "other")


class _Pairing:
    """Pairs the rows of one situation with its candidates: the nearest reason first, none more often than others."""

    def __init__(self, pool: Sequence[_Candidate], practices: Mapping[str, Practice], config: BuildConfig):
        self._pool, self._practices, self._config = pool, practices, config
        self._near = BM25([one.case.dialogue.turns[one.case.reason_turn].text for one in pool])
        self._used: Counter[int] = Counter()

    def of(self, row: Example) -> list[Preference]:
        practice = self._practices[row.practice_ids[0]]
        shown = " ".join(turn["text"] for turn in row.fields["turns"])
        ranked = self._near.rank(row.fields["turns"][-1]["text"], limit=_NEAREST)
        fitting = [index for index, _ in ranked if self._fits(self._pool[index], row, practice, shown)]
        fitting.sort(key=lambda index: self._used[index])  # stable: the nearest of those used least
        pairs: list[Preference] = []
        answers = {compact(row.messages[-1].content)}
        for index in fitting:
            pair = self._pair(row, practice, self._pool[index], len(pairs))
            answer = compact(pair.rejected[0].content)
            if len(pairs) < self._config.preference.pairs and answer not in answers:
                answers.add(answer)
                self._used[index] += 1
                pairs.append(pair)
        return pairs

    def _fits(self, one: _Candidate, row: Example, practice: Practice, shown: str) -> bool:
        if one.case.dialogue.id == _case_id(row) or practice.action in one.heard:
            return False
        if one.why == "breach" and not self._config.preference.breaches:
            return False
        return _knows(one.words, shown) == _knows(row.reference["reply"], shown) and not find(one.words)

    def _pair(self, row: Example, practice: Practice, one: _Candidate, number: int) -> Preference:
        reference = {**row.reference, "act": one.act, "reply": one.words}
        reference.pop("act_wording", None)
        rejected = TASKS[TASK].target(reference)
        followed = (one.practice,) if one.practice else ()
        return Preference(
            id=f"preference:{row.id.partition(':')[2]}:{number}",
            task=row.task,
            group=row.group,
            split=row.split,
            prompt=row.messages[:-1],
            chosen=row.messages[-1:],
            rejected=(Message(role="assistant", content=rejected),),
            weight=row.weight,
            why=one.why,
            rules=one.rules,
            sources=row.sources,
            rejected_sources=(turn_id(one.case.dialogue, one.turn),),
            practice_ids=(practice.id,),
            rejected_practice_ids=followed,
            licence=row.licence,
            source=row.source,
        )


def _knows(words: str, shown: str) -> tuple[bool, bool]:
    """Whether words claim a number, and whether they name somebody, that the prompt does not show."""
    return not claimed(words) <= claimed(shown), not set(_NAME.findall(words)) <= set(_NAME.findall(shown))


def _case_id(row: Example) -> str:
    return row.sources[0].rpartition("#")[0]
