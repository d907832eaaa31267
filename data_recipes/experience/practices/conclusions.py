"""What can and what cannot be concluded from the material: said in words, never left to an empty table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from data_recipes.config import PracticesConfig
from data_recipes.experience.practices.cases import Case
from data_recipes.experience.practices.clock import Clocks
from tianjing.records import Conclusion, Customer, Event, Practice

# Below about so many cases a practice is found in half of the simulated corpora or fewer.
_FEW_CASES = 1000


def conclude(
    found: Sequence[Case],
    practices: Sequence[Practice],
    events: Sequence[Event],
    dialogues: Collection[str],
    customers: Mapping[str, Customer],
    clocks: Clocks,
    config: PracticesConfig,
) -> list[Conclusion]:
    """Statements about the material as a whole, the gravest first; `dialogues` are the ids that are there."""
    said = [*_material(found, events, dialogues, clocks, config), *_comparison(found, customers, config)]
    if not any(conclusion.blocks for conclusion in said):
        said.append(_result(practices))
    return sorted(said, key=lambda conclusion: not conclusion.blocks)


def _material(
    found: Sequence[Case], events: Sequence[Event], dialogues: Collection[str], clocks: Clocks, config: PracticesConfig
) -> Iterator[Conclusion]:
    strangers = Counter(event.case not in dialogues for event in events)[True]
    if strangers:
        yield Conclusion(
            code="events_without_dialogue",
            statement=f"{strangers} of {len(events)} entries of the operation log name a case without a dialogue: what"
            " was done there counts in no practice.",
            remedy="bring the dialogues of these cases, or name dialogue ids as cases of the log",
            cases=strangers,
        )
    for shift in sorted(set(clocks.shifts.values())):
        actors = [actor for actor, seconds in clocks.shifts.items() if seconds == shift]
        yield Conclusion(
            code="clock_repaired",
            statement=f"The operation log of {_some(actors)} runs {-shift:+d} s against the dialogues; its entries were"
            " put on the dialogues' clock.",
            remedy="check the time zone of the log's export",
            cases=len(actors),
        )
    if clocks.unreadable:
        yield Conclusion(
            code="clock_unreadable",
            statement=f"The operation log of {_some(clocks.unreadable)} fits the dialogues at no shift of its clock:"
            " its entries count in no practice and label no turn.",
            remedy="export events with the time at which they were entered during the call, and name the activities"
            " that are logged after it in practices.exclude_activities",
            cases=len(clocks.unreadable),
        )
    if not found:
        where = f"activity {config.reason_activity} with attribute {config.reason_attribute}"
        yield Conclusion(
            code="no_situation",
            statement="No dialogue has a situation, so no practice can be looked for.",
            remedy=f"log it ({where}), or set practices.situation to text",
            blocks=True,
        )


def _comparison(
    found: Sequence[Case], customers: Mapping[str, Customer], config: PracticesConfig
) -> Iterator[Conclusion]:
    known = [case for case in found if case.kept is not None]
    if found and not known:
        yield Conclusion(
            code="no_outcomes",
            statement=f"No case has the outcome {config.outcome}: what agents do can be told, what goes with a better"
            " outcome cannot.",
            remedy=f"bring outcomes.jsonl with name {config.outcome} and the dialogue id as case",
            cases=len(found),
            blocks=True,
        )
    if not known:
        return
    if len({case.kept for case in known}) == 1:
        yield Conclusion(
            code="equal_outcomes",
            statement=f"All {len(known)} cases have the same outcome ({config.outcome} {int(bool(known[0].kept))}): no"
            " action can go with a better or worse one.",
            remedy="check how the outcome is measured; cases of both outcomes are needed",
            cases=len(known),
            blocks=True,
        )
    elif len(known) < _FEW_CASES:
        yield Conclusion(
            code="few_cases",
            statement=f"{len(known)} cases have a situation and an outcome: strong associations may show, weaker ones"
            " will be missed, and that a pair is not listed as sure says little.",
            remedy=f"bring {_FEW_CASES} cases or more",
            cases=len(known),
        )
    if len({case.agent for case in known}) == 1:
        yield Conclusion(
            code="one_agent",
            statement=f"All cases are those of agent {known[0].agent}: what goes with the action and what goes with the"
            " agent cannot be told apart, so every practice is exploratory.",
            remedy="bring cases of more agents",
            cases=len(known),
        )
    if len({case.month for case in known}) == 1:
        yield Conclusion(
            code="one_month",
            statement=f"All cases are of {known[0].month}: whether a practice holds in another month is not known.",
            remedy="bring cases of more months",
            cases=len(known),
        )
    for field in config.strata:
        profiles = (customers.get(case.dialogue.customer) for case in known)
        without = sum(profile is None or profile.field(field) is None for profile in profiles)
        if without:
            yield Conclusion(
                code="stratum_missing",
                statement=f"{without} of {len(known)} cases have no {field}: they are compared with one another, and"
                f" confounding by {field} among them is not undone.",
                remedy=f"bring {field} in customers.jsonl, or set practices.strata to fields that are there",
                cases=without,
            )
    missing = len(found) - len(known)
    if missing > 0.1 * len(found):
        yield Conclusion(
            code="outcomes_missing",
            statement=f"The outcome of {missing} of {len(found)} cases is missing: if it is missing more often where"
            " the promise was broken, rates are too good.",
            remedy="find out which outcomes are missing, and why",
            cases=missing,
        )


def _result(practices: Sequence[Practice]) -> Conclusion:
    sure = [practice for practice in practices if practice.q <= 0.05 and not practice.exploratory]
    better = sum(practice.effect > 0 for practice in sure)
    fragile = sum(practice.fragile for practice in sure)
    vetoed = sum(practice.verdict == "vetoed" for practice in sure)
    untold = sum(one.earlier_outcome is not None and one.earlier_outcome.says == "cannot tell" for one in sure)
    return Conclusion(
        code="associations",
        statement=f"{len(practices)} pairs of a situation and an action were tested: {better} are associated with a"
        f" better and {len(sure) - better} with a worse outcome (q at most 0.05). Of these {fragile} are fragile and"
        f" {vetoed} vetoed; for {untold} it cannot be told from earlier outcomes whether the action goes to other"
        " customers. An association is not a cause.",
        remedy="review them before anything is taught",
        cases=len(practices),
    )


def _some(names: Collection[str]) -> str:
    shown = sorted(names)[:3]
    return ", ".join(shown) + (f" and {len(names) - 3} others" if len(names) > 3 else "")
