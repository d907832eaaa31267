"""The sample corpus: plans cases, writes their scenes, and saves them in the raw formats."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

from tianjing import acts
from tianjing.errors import TianjingError
from tianjing.files import atomic_write, write_jsonl
from tianjing.records import Customer, Dialogue, Event, Outcome, Turn
from tianjing.simulation import planted
from tianjing.simulation.people import Person, make_person
from tianjing.simulation.policies import SOURCES, quality_rules, source
from tianjing.simulation.scenes import Inspection, Plan, Scene, SceneWriter
from tianjing.simulation.sites import SITES, Site

MIN_CASES = 20

_EAST_SHARE = 0.7
_POST_LOAN_SHARE = 0.6
_NOISE_SHARE = 0.22  # of phone calls, which makes about a fifth of all dialogues
_CHAT_SHARE = 0.08
_DUPLICATE_SHARE = 0.01
_RETURNING_SHARE = 0.16
_INSPECTED_SHARE = 0.45
_BREACH_SHARE = 0.6
_NEAR_MISS_SHARE = 0.6  # of compliant findings
_WRONG_ANSWER_RATE = 0.04
_NO_BASIS_RATE = 0.12
_POLICY_IN_POST_LOAN = 0.25
_FIRST_DAY = datetime(2026, 1, 5, tzinfo=timezone(timedelta(hours=8)))
_DAYS = 177
_OPENS_S = 8 * 3600 + 1800  # 08:30
_LAST_CALL_S = 20 * 3600 + 1500  # 20:25: the call ends before 20:30


@dataclass
class Corpus:
    """The raw records, and `truth`: what was planted in them."""

    dialogues: list[Dialogue] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    truth: dict[str, Any] = field(default_factory=dict)


def generate(cases: int, seed: int, on_case: Callable[[int], None] | None = None) -> Corpus:
    """The corpus of `cases` dialogues; the same arguments give the same records.

    Args:
        cases: number of dialogues, duplicates included; at least 20.
        on_case: called with the number of dialogues done so far.

    Raises:
        TianjingError: `cases` is too small.
    """
    if cases < MIN_CASES:
        raise TianjingError(f"--cases {cases}: too few for a corpus", f"ask for at least {MIN_CASES}")
    return _Builder(cases, random.Random(seed)).build(seed, on_case)


def save(corpus: Corpus, out: Path, rules: bool = False, truth: bool = False) -> None:
    """Write the raw folder; `rules` adds the six policies as Markdown, `truth` adds `truth.json`."""
    out.mkdir(parents=True, exist_ok=True)
    write_jsonl(out / "dialogues.jsonl", corpus.dialogues)
    write_jsonl(out / "events.jsonl", corpus.events)
    write_jsonl(out / "outcomes.jsonl", corpus.outcomes)
    write_jsonl(out / "customers.jsonl", corpus.customers)
    if rules:
        for prefix in SOURCES:
            text = source(prefix)
            atomic_write(out / "rules" / f"{text.splitlines()[0].removeprefix('# ')}.md", text)
    if truth:
        atomic_write(out / "truth.json", json.dumps(corpus.truth, ensure_ascii=False, indent=1) + "\n")


class _Builder:
    def __init__(self, cases: int, rng: random.Random):
        self.cases = cases
        self.rng = rng
        self.corpus = Corpus()
        self.people: dict[str, list[Person]] = {site: [] for site in SITES}
        self.situation_of: dict[str, str] = {}
        self.senior = {agent: index % 2 == 0 for site in SITES.values() for index, agent in enumerate(site.agents)}
        self.used: dict[str, Counter[str]] = {site: Counter() for site in SITES}
        self.drawn: dict[tuple[str | bool, ...], float] = {}
        self.truth_rows: dict[str, list[Any]] = {key: [] for key in ("decisive", "questions", "noisy", "duplicates")}

    def build(self, seed: int, on_case: Callable[[int], None] | None) -> Corpus:
        rng = self.rng
        duplicates = round(self.cases * _DUPLICATE_SHARE)
        originals = self.cases - duplicates
        kinds = self._kinds(originals)
        starts = sorted(
            _FIRST_DAY + timedelta(days=rng.randrange(_DAYS), seconds=rng.randint(_OPENS_S, _LAST_CALL_S))
            for _ in range(originals)
        )
        copied = set(rng.sample(range(originals), duplicates))
        for index, (start, (site, post_loan)) in enumerate(zip(starts, kinds, strict=True)):
            self._case(start, SITES[site], post_loan)
            if index in copied:
                self._duplicate()
            if on_case is not None:
                on_case(len(self.corpus.dialogues))
        self.corpus.truth = {
            "seed": seed,
            "cases": self.cases,
            "working_acts": {name: situation.act for name, situation in planted.SITUATIONS.items()},
            "kept_with_working_act": planted.KEPT_WITH_WORKING_ACT,
            "kept_otherwise": planted.KEPT_OTHERWISE,
            "bucket_effect": planted.BUCKET_EFFECT,
            "harmful_effect": planted.HARMFUL_EFFECT,
            "senior_agents": sorted(agent for agent, senior in self.senior.items() if senior),
            "surface": {person.id: person.site for site in SITES for person in self.people[site]},
            **self.truth_rows,
        }
        return self.corpus

    def _kinds(self, count: int) -> list[tuple[str, bool]]:
        east = round(count * _EAST_SHARE)
        kinds = []
        for site, number in (("east", east), ("west", count - east)):
            post_loan = round(number * _POST_LOAN_SHARE)
            kinds += [(site, index < post_loan) for index in range(number)]
        self.rng.shuffle(kinds)
        return kinds

    def _case(self, start: datetime, site: Site, post_loan: bool) -> None:
        rng = self.rng
        person = self._person(site)
        agent = self._agent(site, person)
        chat = rng.random() < _CHAT_SHARE and not post_loan
        noisy = not chat and rng.random() < _NOISE_SHARE
        if post_loan:
            plan, kept = self._post_loan_plan(site, person, agent, noisy)
        else:
            questions = rng.choices((1, 2, 3), weights=(42, 41, 17))[0]
            inspection = self._inspection(site, self._service_rules(person))
            plan = Plan(person, agent, site, noisy, questions=questions, inspection=inspection)
            kept = None
        scene = SceneWriter(plan, rng, _WRONG_ANSWER_RATE, _NO_BASIS_RATE).write()
        self._record(plan, scene, start, "chat" if chat else "phone", kept)

    def _person(self, site: Site) -> Person:
        people = self.people[site.name]
        if people and self.rng.random() < _RETURNING_SHARE:
            return self.rng.choice(people)
        person = make_person(sum(map(len, self.people.values())) + 1, site.name, self.rng)
        people.append(person)
        self.corpus.customers.append(
            Customer.model_validate(
                {
                    "customer": person.id,
                    "site": person.site,
                    "name": person.name,
                    "mobile": person.mobile,
                    "id_card": person.id_card,
                    "product": person.product,
                    "overdue_bucket": person.bucket,
                    "amount": person.amount,
                }
            )
        )
        return person

    def _agent(self, site: Site, person: Person) -> str:
        senior = self.rng.random() < planted.SENIOR_BY_BUCKET[person.bucket]
        return self.rng.choice([agent for agent in site.agents if self.senior[agent] == senior])

    def _post_loan_plan(self, site: Site, person: Person, agent: str, noisy: bool) -> tuple[Plan, bool]:
        rng = self.rng
        situation = self.situation_of.get(person.id) or self._least_used(site, list(planted.SITUATIONS))
        self.situation_of[person.id] = situation
        act = planted.SITUATIONS[situation].act
        if not self._systematic((site.name, situation), planted.WORKING_ACT_RATE[self.senior[agent]]):
            others = [other for other in acts.ACTS if other != act]
            act = rng.choices(others, weights=[planted.OTHER_ACT_WEIGHTS.get(other, 1) for other in others])[0]
        kept = self._systematic(
            (site.name, situation, "kept", act == planted.SITUATIONS[situation].act),
            planted.kept_probability(situation, act, person.bucket),
        )
        return (
            Plan(
                person,
                agent,
                site,
                noisy,
                situation=situation,
                act=act,
                promises=rng.random() < (0.9 if kept else 0.45),
                questions=int(rng.random() < _POLICY_IN_POST_LOAN),
                inspection=self._inspection(site, self._post_loan_rules(situation)),
            ),
            kept,
        )

    def _least_used(self, site: Site, names: list[str]) -> str:
        """The name used least often at this site so far, ties broken at random: keeps strata even."""
        used = self.used[site.name]
        least = min(used[name] for name in names)
        chosen = self.rng.choice([name for name in names if used[name] == least])
        used[chosen] += 1
        return chosen

    def _systematic(self, stratum: tuple[str | bool, ...], probability: float) -> bool:
        """A draw by systematic sampling: within a stratum the share of True keeps to the planted probability."""
        before = self.drawn.setdefault(stratum, self.rng.random())
        self.drawn[stratum] = before + probability
        return int(before + probability) > int(before)

    @staticmethod
    def _post_loan_rules(situation: str) -> list[str]:
        """Inspection items whose cue fits: only a customer without money says "I have nothing to pay with"."""
        short = planted.SITUATIONS[situation].short_of_money
        return [rule for rule in quality_rules() if short or rule != "Q05"]

    @staticmethod
    def _service_rules(person: Person) -> list[str]:
        """A customer hardly in arrears is not dunned: only promises and passwords can go wrong."""
        return ["Q04", "Q07"] if person.bucket == "M0" else ["Q02", "Q04", "Q06", "Q07"]

    def _inspection(self, site: Site, rules: list[str]) -> Inspection | None:
        rng = self.rng
        if rng.random() >= _INSPECTED_SHARE:
            return None
        kind: Literal["breach", "near", "plain"] = "breach"
        if rng.random() >= _BREACH_SHARE:
            kind = "near" if rng.random() < _NEAR_MISS_SHARE else "plain"
        if kind == "plain":
            return Inspection(kind, "")
        chosen = self._least_used(site, [f"{kind}:{rule}" for rule in rules])
        return Inspection(kind, chosen.split(":")[1])

    def _record(self, plan: Plan, scene: Scene, start: datetime, channel: str, kept: bool | None) -> None:
        rng = self.rng
        case = f"d{len(self.corpus.dialogues) + 1:05d}"
        times = [start]
        for _, text in scene.turns[:-1]:
            times.append(times[-1] + timedelta(seconds=2 + len(text) // 5 + rng.randint(0, 4)))
        self.corpus.dialogues.append(
            Dialogue(
                id=case,
                customer=plan.person.id,
                agent=plan.agent,
                channel=channel,
                started_at=start,
                turns=tuple(
                    Turn(speaker=speaker, text=text, at=at)
                    for (speaker, text), at in zip(scene.turns, times, strict=True)
                ),
            )
        )
        for turn, activity, attributes in scene.events:
            self.corpus.events.append(
                Event(case=case, at=times[turn], actor=plan.agent, activity=activity, attributes=attributes)
            )
        if scene.finding is not None:
            at = start + timedelta(days=rng.randint(1, 4), seconds=rng.randint(60, 3600))
            actor = f"qa-{rng.randint(1, 6):02d}"
            self.corpus.events.append(
                Event(case=case, at=at, actor=actor, activity="质检", attributes=dict(scene.finding))
            )
        self._outcomes(case, plan, start, kept)
        self._note_truth(case, plan, scene)

    def _outcomes(self, case: str, plan: Plan, start: datetime, kept: bool | None) -> None:
        rng = self.rng
        breach = plan.inspection is not None and plan.inspection.kind == "breach"
        rows: list[tuple[str, int, int]] = []
        if kept is not None:
            rows.append(("promise_kept", int(kept), rng.randint(3, 30)))
        upset = plan.situation == "情绪激动" and plan.act != "empathise"
        rows.append(("complaint", int(rng.random() < 0.02 + 0.25 * breach + 0.12 * upset), rng.randint(1, 5)))
        if rng.random() < 0.3:
            liked = kept is not False and not breach
            weights = (2, 3, 10, 35, 50) if liked else (20, 22, 30, 18, 10)
            rows.append(("csat", rng.choices((1, 2, 3, 4, 5), weights=weights)[0], 0))
        for name, value, days in rows:
            at = start + timedelta(days=days, minutes=30)
            self.corpus.outcomes.append(Outcome(case=case, name=name, value=value, at=at))

    def _note_truth(self, case: str, plan: Plan, scene: Scene) -> None:
        if scene.decisive is not None:
            row = {"dialogue": case, "turn": scene.decisive, "situation": plan.situation, "act": plan.act}
            self.truth_rows["decisive"].append(row)
        for answer in scene.answered:
            row = {"dialogue": case, "turn": answer.turn, "article": answer.article, "wrong": answer.wrong}
            self.truth_rows["questions"].append(row)
        if plan.noisy:
            self.truth_rows["noisy"].append(case)

    def _duplicate(self) -> None:
        """The last recording once more under another id, as a double upload leaves it: no events, no outcome."""
        last = self.corpus.dialogues[-1]
        case = f"d{len(self.corpus.dialogues) + 1:05d}"
        self.corpus.dialogues.append(last.model_copy(update={"id": case}))
        self.truth_rows["duplicates"].append({"dialogue": case, "of": last.id})
