"""One shard of the corpus: a block of dialogues with customers of its own, as lines of every file.

A shard depends on the seed, its number and its size alone, so shards can be written by any number of processes.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tianjing.simulation import structural
from tianjing.simulation.contacts import contact_rows
from tianjing.simulation.documents import DocumentWriter
from tianjing.simulation.planning import Call, Customer, Planner
from tianjing.simulation.planted import Surface
from tianjing.simulation.scenes import Scene, SceneWriter
from tianjing.simulation.third_parties import record_rows

# Raw files, then what was planted in each of them.
FILES = (
    "dialogues.jsonl",
    "events.jsonl",
    "outcomes.jsonl",
    "customers.jsonl",
    "accounts.jsonl",
    "contacts.jsonl",
    "records.jsonl",
    "documents.jsonl",
    "truth/dialogues.jsonl",
    "truth/customers.jsonl",
    "truth/contacts.jsonl",
    "truth/documents.jsonl",
)
_DUPLICATE_SHARE = 0.01
_DOCUMENTS_SHARE = 0.3  # of post-loan calls, after which proofs are handed in

_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class Shard:
    """`cases` dialogues, numbered from `first` (1 for the whole corpus's first one)."""

    seed: int
    number: int
    first: int
    cases: int
    surface: Surface


def write_shard(shard: Shard) -> dict[str, bytes]:
    """The shard's part of every file of `FILES`, as UTF-8 JSON Lines."""
    return _Writer(shard).write()


class _Writer:
    def __init__(self, shard: Shard):
        self.shard = shard
        self.rng = self._random("talk")
        self.papers = self._random("papers")
        self.documents = DocumentWriter(self._random("documents"))
        self.duplicates = round(shard.cases * _DUPLICATE_SHARE)
        originals = shard.cases - self.duplicates
        self.planner = Planner(originals, shard.seed, shard.number, shard.first, shard.surface)
        self.lines: dict[str, list[str]] = {name: [] for name in FILES}
        self.calls: dict[str, list[datetime]] = defaultdict(list)
        self.numbered = shard.first

    def _random(self, part: str) -> random.Random:
        """A source of its own for each part, so that a change of one leaves the others as they are."""
        return random.Random(f"{self.shard.seed}:{self.shard.number}:{part}")

    def write(self) -> dict[str, bytes]:
        starts = self.planner.starts()
        copied = set(self.rng.sample(range(len(starts)), self.duplicates))
        for index, start in enumerate(starts):
            call = self.planner.call(*start)
            dialogue = self._call(call)
            if index in copied:
                self._duplicate(dialogue)
        customers = [customer for known in self.planner.customers.values() for customer in known]
        records = self._random("records")
        for customer in sorted(customers, key=lambda customer: customer.person.id):
            self._customer(customer)
            for row in record_rows(customer, records):
                self._add("records.jsonl", row)
        self._contacts({customer.person.id: customer.person.mobile for customer in customers})
        return {name: "".join(f"{line}\n" for line in lines).encode() for name, lines in self.lines.items()}

    def _add(self, file: str, row: Mapping[str, Any]) -> None:
        self.lines[file].append(_encode(row))

    def _case(self) -> str:
        case = f"d{self.numbered:06d}"
        self.numbered += 1
        return case

    def _call(self, call: Call) -> dict[str, Any]:
        """Write a call to every file that knows of it; returns its row of dialogues.jsonl."""
        scene = SceneWriter(call.plan, self.rng).write()
        case = self._case()
        times = [call.start]
        for _, text in scene.turns[:-1]:
            times.append(times[-1] + timedelta(seconds=2 + len(text) // 5 + self.rng.randint(0, 4)))
        stamps = [at.isoformat() for at in times]
        dialogue = {
            "id": case,
            "customer": call.plan.person.id,
            "agent": call.plan.agent,
            "channel": call.channel,
            "started_at": stamps[0],
            "turns": [
                {"speaker": speaker, "text": text, "at": at}
                for (speaker, text), at in zip(scene.turns, stamps, strict=True)
            ],
        }
        self._add("dialogues.jsonl", dialogue)
        for turn, activity, attributes in scene.events:
            self._event(case, stamps[turn], call.plan.agent, activity, attributes)
        if scene.finding is not None:
            at = call.start + timedelta(days=self.rng.randint(1, 4), seconds=self.rng.randint(60, 3600))
            self._event(case, at.isoformat(), f"qa-{self.rng.randint(1, 6):02d}", "质检", scene.finding)
        self._add("accounts.jsonl", call.loan.row(call.start.date(), call.arrears))
        missing = self._outcomes(case, call)
        self._truth(case, call, scene, missing)
        if call.kept is not None:
            self.calls[call.plan.person.id].append(call.start)
            if self.papers.random() < _DOCUMENTS_SHARE:
                self._documents(case, call)
        return dialogue

    def _event(self, case: str, at: str, actor: str, activity: str, attributes: Mapping[str, Any]) -> None:
        row = {"case": case, "at": at, "actor": actor, "activity": activity, "attributes": attributes}
        self._add("events.jsonl", row)

    def _outcomes(self, case: str, call: Call) -> str:
        """Write what became of the case; returns why the promise's outcome is missing, "" if it is not."""
        rng = self.rng
        breach = call.plan.inspection is not None and call.plan.inspection.kind == "breach"
        missing = ""
        if call.kept is not None:
            missing = structural.missing_reason(call.kept, rng)
            if not missing:
                self._outcome(case, "promise_kept", int(call.kept), call.start, rng.randint(3, 30))
        upset = call.after.mood == "upset"
        complaint = rng.random() < structural.complaint_probability(breach, upset)
        self._outcome(case, "complaint", int(complaint), call.start, rng.randint(1, 5))
        rating = structural.satisfaction(call.kept is not False and not breach, rng)
        if rating is not None:
            self._outcome(case, "csat", rating, call.start, 0)
        return missing

    def _outcome(self, case: str, name: str, value: int, start: datetime, days: int) -> None:
        at = (start + timedelta(days=days, minutes=30)).isoformat()
        self._add("outcomes.jsonl", {"case": case, "name": name, "value": value, "at": at})

    def _truth(self, case: str, call: Call, scene: Scene, missing: str) -> None:
        plan, state = call.plan, call.before
        row: dict[str, Any] = {
            "dialogue": case,
            "noisy": plan.noisy,
            "questions": [
                {"turn": answer.turn, "article": answer.article, "wrong": answer.wrong} for answer in scene.answered
            ],
        }
        if call.propensity is not None:
            row |= {
                "situation": plan.situation,
                "act": plan.act,
                "turn": scene.decisive,
                "bucket": plan.person.bucket,
                "propensity": round(call.propensity, 6),
                "kept": call.kept,
                "missing": missing,
                "promised": plan.promises,
            }
        row["state"] = {
            "disposable_yuan": state.disposable_yuan,
            "willingness": state.willingness,
            "trust": state.trust,
            "mood": state.mood,
            "deadline_days": state.deadline_days,
        }
        self._add("truth/dialogues.jsonl", row)

    def _documents(self, case: str, call: Call) -> None:
        handed_in = (call.start + timedelta(days=self.papers.randint(0, 6))).date()
        written = self.documents.rows(
            call.plan.person,
            call.before.usual_income_yuan,
            call.plan.situation,
            handed_in,
            count=self.papers.choice((1, 1, 2)),
            first_id=case.replace("d", "p"),
        )
        for row, truth in written:
            self._add("documents.jsonl", row)
            self._add("truth/documents.jsonl", truth)

    def _duplicate(self, dialogue: dict[str, Any]) -> None:
        """The recording once more under another id, as a double upload leaves it: no events, no outcome."""
        case = self._case()
        self._add("dialogues.jsonl", {**dialogue, "id": case})
        self._add("truth/dialogues.jsonl", {"dialogue": case, "duplicate_of": dialogue["id"]})

    def _customer(self, customer: Customer) -> None:
        person, loan = customer.person, customer.loans[0]
        row = {
            "customer": person.id,
            "site": person.site,
            "name": person.name,
            "mobile": person.mobile,
            "id_card": person.id_card,
            "product": loan.product,
            "overdue_bucket": person.bucket,
            "amount": customer.first_due_yuan,
        }
        self._add("customers.jsonl", row)
        first = customer.first_state
        self._add(
            "truth/customers.jsonl",
            {
                "customer": person.id,
                "income_yuan": first.income_yuan,
                "needs_yuan": first.needs_yuan,
                "other_debt_yuan": first.other_debt_yuan,
                "willingness": first.willingness,
                "trust": first.trust,
                "life": [{"at": at.date().isoformat(), "event": event} for at, event in customer.life],
            },
        )

    def _contacts(self, numbers: Mapping[str, str]) -> None:
        for row, breach in contact_rows(self.calls, numbers, self._random("contacts")):
            self._add("contacts.jsonl", row)
            if breach is not None:
                self._add("truth/contacts.jsonl", breach)
