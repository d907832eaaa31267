"""Practices: what mining finds of the planted truth, beside what is done without adjustment.

    python scripts/bench/practices.py [recovery] [null] [hidden] [numbers] [--first-seed 101 --seeds 20] [--quick]

Cases are post-loan calls of the simulator (`practices_corpus.py`). Situations are inferred from text with ten labelled
calls each (`data_recipes.experience.situations`), acts are heard by the lexicon, activities read from the log, strata
are the buckets of arrears. The simulator draws outcomes systematically, which makes errors smaller than those of
independent cases; *redrawn* outcomes are drawn independently from the planted probabilities, with the planted
missingness.

`recovery`: recall over the eight working acts (one per situation; q at most 0.05, positive, not exploratory), precision
over all findings (the planted sign; an act planted as 0 is false with either), the error of the effect of the working
act, and how many 95 % intervals of all tested pairs hold the truth. *Planted*: the effect in truth.json, against an act
that does nothing. *Contrast*: the same against what the compared cases were planted to have, which is what a comparison
of calls measures.
`null`: the same cases, all effects set to 0, confounding kept: data sets with any finding.
`hidden`: a confounder that the files do not hold makes an act that does nothing look like a practice. It is drawn for
each *call*, so that nothing else in the files goes with it, or for each *customer*, so that it also counts in what
became of the customer's other calls.
`numbers`: the same tables by statsmodels' StratifiedTable, where installed, and AIPW with scikit-learn's models.

Peers on the same pairs: Fisher's exact test at p < 0.05, the same with Benjamini-Hochberg, and logistic regression of
the outcome on the act alone (Wald). Seeds 1 to 10 were used while building, 121 to 140 for the figures of
docs/benchmarks.md, 181 to 200 for those of `hidden`. Needs scikit-learn (`dev`). Exit 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import platform
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import fmean

import numpy as np
from practices_corpus import HIDDEN, NOTHING_HIDDEN, Hidden, Planted, corpus
from practices_peers import MAX_Q, Finding, numbers_by_others, peers

from data_recipes.config import PracticesConfig
from data_recipes.experience.practices import Case, Exposure, Told, cases, mine
from data_recipes.experience.practices.associations import Association, associations
from data_recipes.experience.situations import KnownReason, SituationsConfig, infer_situations
from tianjing.records import Practice
from tianjing.simulation import structural
from tianjing.simulation.agents import PLACEBO
from tianjing.simulation.planted import ACTIVITIES, SITUATIONS, Surface

CONFIG = PracticesConfig(situation="text")
SIZES: dict[Surface, tuple[int, ...]] = {"both": (2000, 5000), "a": (2000, 5000), "b": (2000, 5000)}
LABELLED = 10
MAX_ERROR = {2000: 0.045, 5000: 0.03}
NULL_SETS = 200
# E-values of the limit below which a practice could be flagged: risk ratios of 1.33, 1.5 and 1.8.
THRESHOLDS = (2.0, 2.366, 3.0)
_ACT_OF = {activity: act for act, activity in ACTIVITIES.items()}
Draw = Callable[[Planted, random.Random], bool]


@dataclass
class Material:
    """One corpus: what was planted, the cases that the pipeline makes of it, and how often it infers the situation."""

    planted: dict[str, Planted]
    cases: list[Case]
    accuracy: float


@functools.cache
def material(seed: int, surface: Surface, size: int) -> Material:
    """The corpus of a seed; no case's own logged reason is used, and ten of each situation are known to learn from."""
    rows = _corpus(seed, surface)[:size]
    dialogues = [row.dialogue for row in rows]
    found = infer_situations(dialogues, _known(rows), SituationsConfig())
    told = {case: Told(one.situation, one.turn, one.probability, one.otherwise) for case, one in found.items()}
    right = fmean(row.dialogue.id in told and told[row.dialogue.id].situation == row.situation for row in rows)
    customers = {row.dialogue.customer: row.customer for row in rows}
    log = [event for row in rows for event in row.events]
    mined, _ = cases(dialogues, log, [], customers, CONFIG, told)
    mined = [replace(case, dialogue=case.dialogue.model_copy(update={"turns": ()})) for case in mined]
    return Material({row.dialogue.id: _without_words(row) for row in rows}, mined, right)


def _without_words(row: Planted) -> Planted:
    """What is kept of a call while the others are read."""
    return replace(row, dialogue=row.dialogue.model_copy(update={"turns": ()}))


@functools.lru_cache(maxsize=2)
def _corpus(seed: int, surface: Surface) -> list[Planted]:
    return corpus(seed, surface, max(SIZES[surface]))


def _known(rows: Sequence[Planted]) -> dict[str, KnownReason]:
    """Ten labelled calls of each situation, evenly over the sites."""
    sites = sorted({row.dialogue.agent[0] for row in rows})
    seen: Counter[tuple[str, str]] = Counter()
    known = {}
    for row in rows:
        place = (row.situation, row.dialogue.agent[0])
        seen[place] += 1
        if seen[place] <= LABELLED // len(sites):
            known[row.dialogue.id] = KnownReason(row.situation, row.act_turn - 1)
    return known


def systematic(row: Planted, rng: random.Random) -> bool:
    """As the simulator drew it."""
    return row.kept


def redrawn(row: Planted, rng: random.Random) -> bool:
    """Independently, with the planted probability."""
    return rng.random() < row.propensity


def without_effect(row: Planted, rng: random.Random) -> bool:
    """Independently, with every act's effect taken off: bucket, agent, month and hidden state still count."""
    return rng.random() < row.propensity - structural.effect(row.situation, row.act)


def with_outcomes(found: Material, draw: Draw, seed: str) -> list[Case]:
    """The cases with an outcome each, or none where the simulator would lose it."""
    rng = random.Random(seed)
    rows = []
    for case in found.cases:
        kept = draw(found.planted[case.id], rng)
        rows.append(replace(case, kept=None if structural.missing_reason(kept, rng) else kept))
    return dated(rows, seed)


def dated(rows: Sequence[Case], seed: str) -> list[Case]:
    """The cases with the time at which the outcome was known: 3 to 30 days later, as the simulator writes it."""
    rng = random.Random(f"{seed}:dates")
    return [replace(case, known_at=case.dialogue.started_at + timedelta(days=rng.randint(3, 30))) for case in rows]


def planted_effect(situation: str, action: str) -> float:
    return structural.effect(situation, _ACT_OF.get(action, action))


def contrast(rows: Iterable[Planted], situation: str, action: str, given: Sequence[str]) -> float:
    """Planted effects where the action was taken less those where neither it nor any of `given` was, same situation."""
    taken, others = [], []
    for row in rows:
        if row.situation == situation:
            done = {row.act, *(event.activity for event in row.events)}
            if action in done:
                taken.append(structural.effect(situation, row.act))
            elif done.isdisjoint(given):
                others.append(structural.effect(situation, row.act))
    return fmean(taken) - fmean(others) if taken and others else 0.0


def ours(pairs: Sequence[Association]) -> set[Finding]:
    return {
        (pair.group.situation, pair.group.actions[pair.action], 1 if pair.effect.difference > 0 else -1)
        for pair in pairs
        if pair.q <= MAX_Q and not pair.exploratory
    }


@dataclass
class Score:
    """Sums over corpora."""

    working: int = 0
    working_found: int = 0
    harmful: int = 0
    harmful_found: int = 0
    findings: int = 0
    right: int = 0

    def add(self, found: set[Finding], kind_actions: Callable[[str], str]) -> None:
        for situation, planted in SITUATIONS.items():
            self.working += 1
            self.working_found += (situation, kind_actions(planted.act), 1) in found
            for act in structural.HARM:
                if structural.effect(situation, act) < 0:
                    self.harmful += 1
                    self.harmful_found += (situation, kind_actions(act), -1) in found
        self.findings += len(found)
        self.right += sum(np.sign(planted_effect(situation, action)) == sign for situation, action, sign in found)

    @property
    def recall(self) -> float:
        return self.working_found / self.working

    @property
    def precision(self) -> float:
        return self.right / self.findings if self.findings else math.nan

    def row(self) -> str:
        harm = self.harmful_found / self.harmful
        return f"{self.recall:.3f} | {harm:.3f} | {self.precision:.3f} ({self.right}/{self.findings})"


def acts_only(found: set[Finding]) -> set[Finding]:
    return {finding for finding in found if finding[1] not in _ACT_OF}


def recovery(seeds: Sequence[int], quick: bool) -> bool:
    """Recall, precision, error and coverage by surface, size and how outcomes were drawn."""
    scores: dict[tuple[str, int, str, str], Score] = defaultdict(Score)
    errors: dict[tuple[str, int, str, str], list[float]] = defaultdict(list)
    covered: dict[tuple[str, int, str, str], list[bool]] = defaultdict(list)
    accuracy: dict[tuple[str, int], list[float]] = defaultdict(list)
    counted: dict[tuple[str, int], list[int]] = defaultdict(list)
    fragile: list[bool] = []
    for surface, sizes in SIZES.items():
        for seed in seeds:
            for size in sizes:
                part = material(seed, surface, size)
                accuracy[surface, size].append(part.accuracy)
                for name, draw in (("systematic", systematic), ("redrawn", redrawn)):
                    rows = with_outcomes(part, draw, f"{seed}:{surface}:{size}:{name}")
                    pairs = associations(rows, CONFIG)
                    counted[surface, size].append(len(pairs))
                    found = ours(pairs)
                    scores[surface, size, name, "ours"].add(acts_only(found), str)
                    scores[surface, size, name, "ours, activities"].add(
                        found - acts_only(found), lambda act: ACTIVITIES[act]
                    )
                    if surface == "both":
                        for peer, theirs in peers([p for p in pairs if p.group.kind == "act"]).items():
                            scores[surface, size, name, peer].add(theirs, str)
                    _estimates(part, pairs, (surface, size, name), errors, covered)
                    if surface == "both" and name == "redrawn":
                        practices = mine(rows, CONFIG)
                        _second(part, practices, (surface, size, name), errors, covered)
                        fragile += [p.fragile for p in _found_working(practices)]
    _print_recovery(scores, errors, covered, accuracy, counted)
    print(
        f"\nWorking acts found in the redrawn corpora of both surfaces that are flagged fragile: {fmean(fragile):.3f}"
    )
    return all(
        scores[surface, 2000, "systematic", "ours"].recall >= 0.9
        and scores[surface, 2000, "systematic", "ours"].precision >= 0.95
        and all(fmean(errors[surface, size, "systematic", "planted"]) <= MAX_ERROR[size] for size in sizes)
        and all(fmean(covered[surface, size, "systematic", "contrast"]) >= 0.93 for size in sizes)
        for surface, sizes in SIZES.items()
    )


def _found_working(practices: Sequence[Practice]) -> list[Practice]:
    return [
        p
        for p in practices
        if p.q <= MAX_Q and not p.exploratory and p.kind == "act" and p.action == SITUATIONS[p.situation].act
    ]


def _estimates(
    part: Material,
    pairs: Sequence[Association],
    key: tuple[str, int, str],
    errors: dict[tuple[str, int, str, str], list[float]],
    covered: dict[tuple[str, int, str, str], list[bool]],
) -> None:
    rows = list(part.planted.values())
    for pair in pairs:
        situation, action = pair.group.situation, pair.group.actions[pair.action]
        if pair.group.kind == "activity" and action not in _ACT_OF:
            continue  # steps of every call, which have no planted effect
        given = [pair.group.actions[other] for other in pair.given]
        truth = {"planted": planted_effect(situation, action), "contrast": contrast(rows, situation, action, given)}
        for name, value in truth.items():
            covered[(*key, name)].append(pair.effect.ci_low <= value <= pair.effect.ci_high)
            if action == SITUATIONS[situation].act:
                errors[(*key, name)].append(abs(pair.effect.difference - value))
                errors[(*key, f"{name} bias")].append(pair.effect.difference - value)


def _second(
    part: Material,
    practices: Sequence[Practice],
    key: tuple[str, int, str],
    errors: dict[tuple[str, int, str, str], list[float]],
    covered: dict[tuple[str, int, str, str], list[bool]],
) -> None:
    """The same of the doubly robust estimate."""
    rows = list(part.planted.values())
    for practice in practices:
        second = practice.doubly_robust
        if second is None or (practice.kind == "activity" and practice.action not in _ACT_OF):
            continue
        value = contrast(rows, practice.situation, practice.action, practice.given)
        covered[(*key, "doubly robust")].append(second.ci_low <= value <= second.ci_high)
        if practice.action == SITUATIONS[practice.situation].act:
            errors[(*key, "doubly robust")].append(abs(second.effect - value))


def _print_recovery(scores, errors, covered, accuracy, counted) -> None:  # type: ignore[no-untyped-def]
    told = (f"{key[0]} {key[1]}: {fmean(v):.3f} (least {min(v):.3f})" for key, v in accuracy.items())
    print("Situation inferred rightly:", ", ".join(told))
    print("\n| surface | cases | outcomes | method | recall, 8 working acts | recall, harmful acts | precision |")
    print("|---|---|---|---|---|---|---|")
    for key, score in sorted(scores.items(), key=lambda item: (item[0][1], item[0][0] != "both", item[0])):
        print(f"| {' | '.join(map(str, key))} | {score.row()} |")
    print("\nError of the effect of the working act (bias in brackets), and coverage over all tested pairs.\n")
    print("| surface | cases | outcomes | pairs | to planted | to contrast | coverage: contrast | planted |")
    print("|---|---|---|---|---|---|---|---|")
    for surface, sizes in SIZES.items():
        for size in sizes:
            for name in ("systematic", "redrawn"):
                _print_errors((surface, size, name), fmean(counted[surface, size]), errors, covered)
    for size in SIZES["both"]:
        key = ("both", size, "redrawn", "doubly robust")
        print(f"\nDoubly robust, both, {size} cases, redrawn: error to contrast {fmean(errors[key]):.4f}, ", end="")
        print(f"coverage {fmean(covered[key]):.3f} of {len(covered[key])}")


def _print_errors(key, pairs, errors, covered) -> None:  # type: ignore[no-untyped-def]
    cells = [*map(str, key), f"{pairs:.0f}"]
    for truth in ("planted", "contrast"):
        cells.append(f"{fmean(errors[(*key, truth)]):.4f} ({fmean(errors[(*key, f'{truth} bias')]):+.4f})")
    cells += [f"{fmean(covered[(*key, truth)]):.3f}" for truth in ("contrast", "planted")]
    print(f"| {' | '.join(cells)} |")


def null(seeds: Sequence[int], quick: bool) -> bool:
    """Data sets without any effect in which something is found."""
    hits: dict[str, int] = defaultdict(int)
    sets = 20 if quick else NULL_SETS
    each = -(-sets // len(seeds))
    done = 0
    for seed in seeds:
        part = material(seed, "both", 2000)
        for number in range(min(each, sets - done)):
            pairs = associations(with_outcomes(part, without_effect, f"{seed}:null:{number}"), CONFIG)
            hits["ours"] += bool(ours(pairs))
            hits["ours, exploratory pairs counted too"] += any(pair.q <= MAX_Q for pair in pairs)
            for peer, theirs in peers([p for p in pairs if p.group.kind == "act"]).items():
                hits[peer] += bool(theirs)
            done += 1
    print(f"{done} data sets of 2,000 cases, both surfaces\n\n| method | data sets with a finding |\n|---|---|")
    for name, count in hits.items():
        print(f"| {name} | {count} = {count / done:.3f} |")
    return hits["ours"] <= 0.05 * done


def hidden(seeds: Sequence[int], quick: bool) -> bool:
    """Spurious practices that a hidden confounder makes: how many are found, and how many of them are flagged."""
    config = PracticesConfig.model_validate({**CONFIG.model_dump(), "actions": ("act",)})
    print(
        "| cases | of the | act with / without it, adds | spurious found | fragile | earlier outcome: confounded",
        end="",
    )
    print(" | not seen | cannot tell | any doubt | working found | fragile | confounded | not seen | cannot tell |")
    print(f"|{'---|' * 14}")
    flagged = True
    curves = []
    cells = [(size, "call", NOTHING_HIDDEN) for size in (2000, 5000)]
    cells += [(5000, of, kind) for of in ("call", "customer") for kind in HIDDEN]
    for size, of, kind in cells:
        spurious: list[Practice] = []
        working: list[Practice] = []
        for seed in seeds:
            practices = mine(_confounded(material(seed, "both", size), kind, seed, of), config)
            working += _found_working(practices)
            spurious += [p for p in practices if p.action == PLACEBO and p.q <= MAX_Q and not p.exploratory]
        row = [f"{size:,}", of, f"{kind.name}: {kind.with_it} / {kind.without}, {kind.adds:+}"]
        row += [f"{len(spurious)}/{8 * len(seeds)}", *_doubted(spurious)]
        row.append(_share(bool(p.doubts) for p in spurious))
        row += [f"{len(working)}/{8 * len(seeds)}", *_doubted(working)]
        print(f"| {' | '.join(row)} |", flush=True)
        flagged &= not spurious or fmean(p.fragile for p in spurious) >= 0.95
        curves.append(f"| {size:,}, {of}, {kind.name} | {' | '.join(_below(spurious) + _below(working))} |")
    heads = [f"{what} below {one:g}" for what in ("spurious", "working") for one in THRESHOLDS]
    print(f"\nBy the E-value of the limit alone:\n\n| hidden trait | {' | '.join(heads)} |")
    print("\n".join([f"|{'---|' * (len(heads) + 1)}", *curves]))
    return flagged


def _below(practices: Sequence[Practice]) -> list[str]:
    """Shares whose limit has a lower E-value than each of `THRESHOLDS`."""
    return [_share((p.e_value_limit or 1.0) < one for p in practices) for one in THRESHOLDS]


def _doubted(practices: Sequence[Practice]) -> list[str]:
    """Shares that are fragile, and of which the earlier outcome says what."""
    said = [p.earlier_outcome.says for p in practices if p.earlier_outcome]
    words = ("confounded", "not seen", "cannot tell")
    return [_share(p.fragile for p in practices), *(_share(one == word for one in said) for word in words)]


def _share(which: Iterable[bool]) -> str:
    found = list(which)
    return f"{fmean(found):.3f}" if found else "–"


def _confounded(part: Material, kind: Hidden, seed: int, of: str) -> list[Case]:
    """Cases whose hidden trait is drawn once for each call, or once for each customer."""
    rng = random.Random(f"{seed}:hidden:{kind.name}" + (":customer" if of == "customer" else ""))
    traits: dict[str, bool] = {}
    rows = []
    for case in part.cases:
        row = part.planted[case.id]
        bearer = case.id if of == "call" else case.dialogue.customer
        if bearer not in traits:
            traits[bearer] = rng.random() < 0.5
        there = traits[bearer]
        others = tuple(e for e in case.exposures if e.action != PLACEBO)
        taken = rng.random() < (kind.with_it if there else kind.without)
        added = (Exposure("act", PLACEBO, case.reason_turn + 1),) if taken else ()
        kept = rng.random() < row.propensity + kind.adds * (0.5 if there else -0.5)
        rows.append(replace(case, exposures=others + added, kept=kept))
    return dated(rows, f"{seed}:hidden:{kind.name}")


def numbers(seeds: Sequence[int], quick: bool) -> bool:
    """The same figures by other people's code."""
    pairs = associations(with_outcomes(material(seeds[0], "both", 2000), redrawn, "numbers"), CONFIG)
    return numbers_by_others([pair for pair in pairs if not pair.exploratory])


PARTS = {"recovery": recovery, "null": null, "hidden": hidden, "numbers": numbers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; without it, everything")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="two seeds and a tenth of the null data sets")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + (2 if arguments.quick else arguments.seeds))
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors, seeds {seeds[0]} to {seeds[-1]}")
    missed = []
    for name in arguments.parts or PARTS:
        started = time.process_time()
        print(f"\n## {name}\n")
        if not PARTS[name](seeds, arguments.quick):
            missed.append(name)
        print(f"\n{time.process_time() - started:.0f} s of one core")
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
