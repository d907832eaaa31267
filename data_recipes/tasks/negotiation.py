"""Steps of a negotiation: what the calls that worked did, and the way from there to a plan that is quoted.

A call of the corpus holds one decisive act and no quotation. The question for the reason (`reason`) and the act (`act`)
are learned as they were said. The way on is joined: after the answer to the act another call's question for the means
and its answer, the cost engine's quotation on this call's own account, the offer in words around its exact amounts, and
another call's refusal or counter-proposal. Every turn used is a source of its row.

With `experience` the calls are those in which the situation's best practice was followed and the promise was kept;
without, calls by chance. What is joined on comes from the same exchanges in both, so that a model trained on the one
differs from a model trained on the other in the experience alone.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from data_recipes.config import BuildConfig, PracticesConfig
from data_recipes.experience.evidence import known_cases, vetoed_acts, weigh
from data_recipes.experience.practices import Case, best_practices
from data_recipes.knowledge import Knowledge
from data_recipes.tasks.draft import Draft, Drafts, from_dialogue, turn_id
from data_recipes.tasks.exchanges import (
    Exchanges,
    Means,
    Said,
    answer_to_act,
    deferral_offered,
    exchanges,
    find_amount,
    find_day,
)
from tianjing import acts
from tianjing.finance.errors import FinanceError
from tianjing.finance.offers import PlanPolicy, outstanding
from tianjing.records import Account, Split, Turn
from tianjing.tasks.negotiation import CONTEXT_CHARS, CONTEXT_TURNS, call_of
from tianjing.tasks.next_reply import MAX_ACTS
from tianjing.tasks.plan_call import plan_text, run_call
from tianjing.tasks.talk import context

TASK = "negotiation"
_OFFERS = ("按您的情况，{plan}，您看行吗？", "那给您{plan}，您看可以吗？", "好的，{plan}，这样安排行不行？")


@dataclass(frozen=True)
class _Talk:
    """A talk as far as it went: the turns, and where each of them stands in the raw material."""

    turns: tuple[Turn, ...]
    sources: tuple[str, ...]

    def then(self, speaker: str, text: str, *sources: str) -> _Talk:
        return _Talk((*self.turns, Turn(speaker=speaker, text=text)), (*self.sources, *sources))


def draft_negotiation(
    knowledge: Knowledge,
    splits: Mapping[str, Split],
    breached: set[tuple[str, int]],
    mining: PracticesConfig,
    config: BuildConfig,
    licence: str = "",
) -> Drafts:
    """Rows of the steps. Test: acts of every held-out case of a situation with a practice, and what follows on them.

    A turn in which an inspector or the rulebook found a breach (`breached`) is never taught, whatever came of the case.
    """
    drafts = Drafts()
    wanted = config.negotiation
    best = best_practices(knowledge.practices, wanted.max_q)
    vetoed = vetoed_acts(knowledge.practices)
    accounts = _accounts(knowledge.accounts)
    found = known_cases(knowledge, mining)
    by_split: dict[Split, list[Case]] = defaultdict(list)
    for case in found:
        by_split[splits[case.dialogue.customer]].append(case)
    said = {split: exchanges(rows, breached) for split, rows in by_split.items()}
    for case in found:
        split = splits[case.dialogue.customer]
        practice = best.get(case.situation)
        if practice is None:
            drafts.dropped[f"{TASK}: no practice is sure enough in this situation"] += 1
            continue
        account = _account(case, accounts)
        if isinstance(account, str):
            drafts.dropped[f"{TASK}: {account}"] += 1
            continue
        # What is tested is the practice, in both arms.
        followed = wanted.experience or split == "test"
        act = _act(case, practice.action if followed else None, breached, vetoed)
        if split != "test" and act is None:
            reason = "the agent did not follow the practice" if followed else "no act can be read"
            drafts.dropped[f"{TASK}: {reason}"] += 1
            continue
        if split != "test" and followed and not case.kept:
            drafts.dropped[f"{TASK}: the promise was not kept"] += 1
            continue
        taught = act or practice.action
        writer = _Writer(case, account, wanted.policy, said[split], config.seed)
        for row in writer.rows(taught, act is not None, breached):
            draft = _draft(case, splits, licence, row)
            follows = followed and row.reference["step"] == "act"
            drafts.rows.append(replace(draft, practice_ids=(practice.id,)) if follows else draft)
    drafts.rows = weigh(drafts.rows, {practice.id: practice for practice in best.values()})
    return drafts


@dataclass(frozen=True)
class _Row:
    turn: int
    name: str
    talk: _Talk
    fields: Mapping[str, Any]
    reference: Mapping[str, Any]
    joined: bool


class _Writer:
    """Writes the rows of one call. The same call, seed and exchanges give the same rows."""

    def __init__(self, case: Case, account: Account, policy: PlanPolicy, said: Exchanges, seed: int):
        self.case, self.said = case, said
        self.facts: dict[str, Any] = {
            "product": account.product,
            "outstanding": f"{outstanding(account):.2f}",
            "as_of": account.as_of.isoformat(),
            "policy": policy.model_dump(mode="json"),
        }
        self.rng = random.Random(f"{seed}:{TASK}:{case.dialogue.id}")

    def rows(self, act: str, acted: bool, breached: set[tuple[str, int]]) -> Iterator[_Row]:
        """The steps of the call. `acted`: its own agent did the act, so that its words are taught and lead on."""
        case, turns = self.case, self.case.dialogue.turns
        asked = case.reason_turn - 1
        asks = asked > 0 and turns[asked].speaker == "agent" and not acts.tag(turns[asked].text)
        if asks and (case.dialogue.id, asked) not in breached:
            yield self._row("reason", self._own(asked), {"reply": turns[asked].text}, asked)
        last = case.reason_turn + 1 if acted else case.reason_turn
        reference = {"situation": case.situation, "act": act, "reply": turns[last].text if acted else ""}
        yield self._row("act", self._own(case.reason_turn + 1), reference, last)
        answer = answer_to_act(case)
        if acted and answer is not None:
            yield from self._way_on(self._own(answer + 1), answer, act)

    def _way_on(self, talk: _Talk, answer: int, act: str) -> Iterator[_Row]:
        """From the answer to the act to a plan, and to another one where it is turned down."""
        dialogue = self.case.dialogue
        if act == "ask_affordable_amount":  # the means are told already
            asked, told = (Said(dialogue.id, index, dialogue.turns[index].text) for index in (answer - 1, answer))
            own = Means(asked, told, find_amount(told.text))
            if own.amount is not None:
                spoken, amount = own.varied(self.rng)
                said = Turn(speaker="customer", text=spoken)
                yield from self._quoted(replace(talk, turns=(*talk.turns[:-1], said)), amount, {}, answer)
            return
        day, wait = find_day(dialogue.turns[answer].text), deferral_offered(dialogue.turns[answer - 1])
        when = {"day": day} if day is not None else {"wait_days": wait}
        for pool in (self.said.means, self.said.evasive):
            if not pool:
                continue
            means = self.rng.choice(pool)
            spoken, amount = means.varied(self.rng)
            if amount is not None:
                yield self._row("means", talk, {"reply": means.asked.text}, answer, means.asked, joined=True)
            asking = talk.then("agent", means.asked.text, means.asked.source)
            yield from self._quoted(asking.then("customer", spoken, means.answer.source), amount, when, answer)

    def _quoted(self, talk: _Talk, amount: Decimal | None, when: Mapping[str, int], answer: int) -> Iterator[_Row]:
        """The quotation, the offer, and the next quotation: later where an amount that was named is refused or a day
        is named, else in as many instalments as there may be."""
        policy = PlanPolicy.model_validate(self.facts["policy"])
        latest = {"wait_days": policy.deferral_days[-1]}
        half = max(policy.min_instalments, policy.max_instalments // 2)
        much: dict[str, Any] = {"instalments": half} if amount is None else {"monthly_yuan": str(amount)}
        result = self._result({**much, **when})
        name = "quote-unknown" if amount is None else "quote"
        yield self._row("quote", talk, {"call": {**much, **when}, "reply": ""}, answer, joined=True, name=name)
        offered = self.rng.choice(_OFFERS).format(plan=result)
        quoted = talk.then("system", f"试算结果：{result}")
        shown = "offer-unknown" if amount is None else "offer"
        yield self._row("offer", quoted, {"reply": offered}, answer, joined=True, name=shown)
        put = quoted.then("agent", offered)
        if amount is None:
            most = {"instalments": policy.max_instalments, **latest}
            yield from self._again("quote-most", put, self.said.refusals, lambda reply: most, answer)
            return
        yield from self._again("quote-later", put, self.said.refusals, lambda reply: {**much, **latest}, answer)
        yield from self._again(
            "quote-day", put, self.said.days, lambda reply: {**much, "day": find_day(reply.text)}, answer
        )

    def _again(
        self, name: str, put: _Talk, pool: Sequence[Said], call: Callable[[Said], dict[str, Any]], answer: int
    ) -> Iterator[_Row]:
        if pool:
            reply = self.rng.choice(pool)
            after = put.then("customer", reply.text, reply.source)
            yield self._row("quote", after, {"call": call(reply), "reply": ""}, answer, joined=True, name=name)

    def _result(self, call: Mapping[str, Any]) -> str:
        return plan_text(run_call(call_of({"call": call}), self.facts))

    def _own(self, until: int) -> _Talk:
        dialogue = self.case.dialogue
        first = max(0, until - CONTEXT_TURNS)
        shown = range(first, until)
        return _Talk(tuple(dialogue.turns[first:until]), tuple(turn_id(dialogue, index) for index in shown))

    def _row(
        self,
        step: str,
        talk: _Talk,
        reference: Mapping[str, Any],
        turn: int,
        spoken: Said | None = None,
        *,
        joined: bool = False,
        name: str = "",
    ) -> _Row:
        own = turn_id(self.case.dialogue, turn)
        talk = replace(talk, sources=tuple(dict.fromkeys((*talk.sources, spoken.source if spoken else own))))
        shown = context(talk.turns, CONTEXT_TURNS, CONTEXT_CHARS)
        return _Row(turn, name or step, talk, {**self.facts, "turns": shown}, {"step": step, **reference}, joined)


def _draft(case: Case, splits: Mapping[str, Split], licence: str, row: _Row) -> Draft:
    step = row.reference["step"]
    draft = from_dialogue(
        TASK,
        case.dialogue,
        row.turn,
        splits,
        licence,
        fields=row.fields,
        reference=row.reference,
        informative=row.talk.turns[-1].text if step == "act" else f"{row.name}{row.talk.turns[-1].text}",
        stratum=f"act:{case.situation}" if step == "act" else row.name,
        sources=row.talk.sources,
        origin="derived" if row.joined else "log",
    )
    return replace(draft, id=f"{draft.id}:{row.name}")


def _act(case: Case, wanted: str | None, breached: set[tuple[str, int]], vetoed: set[tuple[str, str]]) -> str | None:
    """The act of the agent's turn right after the reason: the one that is wanted, or any; None if it has none.

    A turn in which a vetoed act is heard, too, has none.
    """
    index = case.reason_turn + 1
    turns = case.dialogue.turns
    if index >= len(turns) or turns[index].speaker != "agent" or (case.dialogue.id, index) in breached:
        return None
    found = acts.tag(turns[index].text)
    if not found or len(found) > MAX_ACTS or any((case.situation, act) in vetoed for act in found):
        return None
    return (wanted if wanted in found else None) if wanted else found[0]


def _accounts(accounts: Sequence[Account]) -> dict[tuple[str, str], list[Account]]:
    found: dict[tuple[str, str], list[Account]] = defaultdict(list)
    for account in accounts:
        found[account.customer, account.as_of.isoformat()].append(account)
    return found


def _account(case: Case, accounts: Mapping[tuple[str, str], Sequence[Account]]) -> Account | str:
    """The account that the call is about, or why it cannot be told."""
    dialogue = case.dialogue
    of_day = accounts.get((dialogue.customer, dialogue.started_at.date().isoformat()), ())
    if len(of_day) > 1:
        spoken = "".join(turn.text for turn in dialogue.turns)
        of_day = [account for account in of_day if account.product in spoken]
    if len(of_day) != 1:
        return "no account of the day of the call" if not of_day else "several accounts of the day of the call"
    try:
        outstanding(of_day[0])
    except FinanceError:
        return "the account gives no amount that is owed"
    return of_day[0]
