"""Quality inspection rows from the inspectors' own findings, and hard negatives beside them.

The label of an inspected turn is the inspector's. A hard negative is labelled by what is known of it: a rewrite is
compliant because the inspector wrote it as such; another turn of an inspected call is clean because the inspector who
went through the call named a different one and the rulebook is silent. Neither may be a breach by the rulebook. What a
hurried inspector overlooked and no rule describes cannot be known here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from data_recipes.cleaning.segment import uncut
from data_recipes.config import BuildConfig
from data_recipes.findings import turn_of
from data_recipes.knowledge import Knowledge
from data_recipes.surface import NearDuplicates, surface
from data_recipes.tasks.draft import Draft, Drafts, from_dialogue, last_customer_turn, turn_id
from data_recipes.tasks.nearest import nearest
from data_recipes.tasks.verdicts import Verdicts
from tianjing.order import order_key
from tianjing.records import Dialogue, Event, Split
from tianjing.tasks.quality_inspection import NONE

TASK = "quality_inspection"

Rules = Sequence[Mapping[str, str]]


class _Finding(NamedTuple):
    """What an inspector found, in which dialogue, and in which of its turns."""

    event: Event
    dialogue: Dialogue
    turn: int

    @property
    def text(self) -> str:
        """What was said in the turn."""
        return self.dialogue.turns[self.turn].text


def draft_quality_inspection(
    knowledge: Knowledge,
    splits: Mapping[str, Split],
    activity: str,
    verdicts: Verdicts,
    config: BuildConfig,
    licence: str = "",
) -> Drafts:
    """One row per inspected agent turn, whose evidence must be the agent's own words, and the hard negatives."""
    drafts = Drafts()
    rules = [{"id": rule.id, "title": rule.title} for rule in knowledge.quality_rules]
    if not rules:
        return drafts
    writer = _Writer(rules, splits, verdicts, config, licence)
    known = {rule["id"] for rule in rules} | {NONE}
    dialogues = {dialogue.id: dialogue for dialogue in knowledge.dialogues}
    # A finding that gives no row still says that its turn is not clean.
    inspected = breached_turns(knowledge, activity)
    breaches: list[_Finding] = []
    for event in knowledge.events:
        dialogue = dialogues.get(event.case)
        if event.activity != activity or dialogue is None:
            continue
        turn = turn_of(event.attributes)
        if turn is None:
            drafts.dropped["quality_inspection: the turn is no number"] += 1
            continue
        finding = _Finding(event, dialogue, turn)
        problem = _problem(finding, known, verdicts)
        if problem:
            drafts.dropped[f"quality_inspection: {problem}"] += 1
            continue
        inspected.add((dialogue.id, turn))
        if event.attributes["rule"] != NONE:
            breaches.append(finding)
        drafts.rows.append(writer.finding(finding))
    drafts.rows += writer.hard_negatives(breaches, inspected, drafts.dropped)
    return drafts


def breached_turns(knowledge: Knowledge, activity: str) -> set[tuple[str, int]]:
    """(dialogue, turn) of every turn in which an inspector found a breach: never taught as an answer.

    A breach that names no agent turn may be in any: then these are all agent turns of the dialogue in all its sessions.
    """
    spoken: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for dialogue in knowledge.dialogues:
        turns = enumerate(dialogue.turns)
        spoken[uncut(dialogue.id)] |= {(dialogue.id, index) for index, turn in turns if turn.speaker == "agent"}
    found: set[tuple[str, int]] = set()
    for event in knowledge.events:
        if event.activity == activity and event.attributes.get("rule", NONE) != NONE:
            turn, anywhere = turn_of(event.attributes), spoken[uncut(event.case)]
            named = {place for place in anywhere if place == (event.case, turn)}
            found |= named or anywhere
    return found


def _problem(finding: _Finding, known: set[str], verdicts: Verdicts) -> str:
    event, dialogue, turn = finding
    rule = event.attributes.get("rule")
    if turn >= len(dialogue.turns) or dialogue.turns[turn].speaker != "agent":
        return "the turn inspected is no agent turn"
    if rule not in known:
        return "the rule found is not in the list of items"
    evidence = str(event.attributes.get("evidence", ""))
    if rule != NONE and (not evidence or evidence not in finding.text):
        return "the evidence does not stand in the turn"
    if rule != NONE and not event.attributes.get("rewrite"):
        return "a breach without a compliant rewrite"
    if rule != NONE and verdicts.breaches(dialogue, str(event.attributes["rewrite"])):
        return "the rulebook finds a breach in the rewrite"
    return ""


class _Writer:
    """Turns findings into rows, and breaches into hard negatives."""

    def __init__(
        self, rules: Rules, splits: Mapping[str, Split], verdicts: Verdicts, config: BuildConfig, licence: str
    ):
        self._rules, self._splits, self._verdicts = rules, splits, verdicts
        self._config, self._licence = config, licence

    def finding(self, finding: _Finding) -> Draft:
        attributes = finding.event.attributes
        rule = attributes["rule"]
        breach = rule != NONE
        reference = {
            "rule": rule,
            "title": next((item["title"] for item in self._rules if item["id"] == rule), ""),
            "evidence": attributes["evidence"] if breach else "",
            "rewrite": attributes["rewrite"] if breach else "",
        }
        return self._draft(finding.dialogue, finding.turn, finding.text, reference)

    def hard_negatives(
        self, breaches: Sequence[_Finding], inspected: set[tuple[str, int]], dropped: Counter[str]
    ) -> list[Draft]:
        """As many as their share of the turns without a breach asks for, by split: half rewrites, half near turns."""
        limits = self._config.quality_inspection
        found: list[Draft] = []
        for split in sorted(set(self._splits.values())):
            own = [finding for finding in breaches if self._splits[finding.dialogue.customer] == split]
            without = len(own) * limits.max_none_share / (1 - limits.max_none_share)
            wanted = round(without * limits.hard_negative_share)
            if wanted:
                rewrites = self._rewrites(own, (wanted + 1) // 2)
                found += rewrites
                found += self._near_turns(own, inspected, wanted - len(rewrites), dropped)
        return found

    def _rewrites(self, breaches: Sequence[_Finding], wanted: int) -> list[Draft]:
        """The inspector's compliant words in the place of the breach; each wording once."""
        shuffled = sorted(breaches, key=lambda item: order_key(self._config.seed, f"rewrite|{item.dialogue.id}"))
        found: dict[str, Draft] = {}
        for event, dialogue, turn in shuffled:
            text = str(event.attributes["rewrite"])
            if len(found) == wanted or text in found:
                continue
            found[text] = self._negative(dialogue, turn, text, ":rewrite")
        return list(found.values())

    def _near_turns(
        self, breaches: Sequence[_Finding], inspected: set[tuple[str, int]], wanted: int, dropped: Counter[str]
    ) -> list[Draft]:
        """Turns of inspected calls nearest to a breach by their words, without being nearly one of them."""
        heard = [finding.text for finding in breaches]
        calls = {finding.dialogue.id: finding.dialogue for finding in breaches}
        candidates = [
            (dialogue, index)
            for _, dialogue in sorted(calls.items())
            for index, turn in enumerate(dialogue.turns)
            if turn.speaker == "agent" and (dialogue.id, index) not in inspected
        ]
        texts = [dialogue.turns[index].text for dialogue, index in candidates]
        alike = NearDuplicates(map(surface, heard), self._config.near_duplicate)
        found: list[Draft] = []
        taken: set[str] = set()
        for number in nearest(heard, texts, len(texts)):
            if len(found) == wanted:
                break
            (dialogue, index), text = candidates[number], texts[number]
            if text in taken or alike.seen(surface(text)):
                continue
            taken.add(text)
            if self._verdicts.breaches(dialogue, text):
                dropped["quality_inspection: the rulebook finds a breach in a hard negative"] += 1
                continue
            found.append(self._negative(dialogue, index, text, ""))
        return found

    def _negative(self, dialogue: Dialogue, index: int, text: str, mark: str) -> Draft:
        reference = {"rule": NONE, "title": "", "evidence": "", "rewrite": ""}
        row = self._draft(dialogue, index, text, reference)
        return replace(row, id=f"{row.id}{mark}", origin="derived", turn_away=0)

    def _draft(self, dialogue: Dialogue, index: int, agent: str, reference: Mapping[str, str]) -> Draft:
        limits = self._config.quality_inspection
        before = last_customer_turn(dialogue, index)
        customer = dialogue.turns[before].text if before is not None else ""
        return from_dialogue(
            TASK,
            dialogue,
            index,
            self._splits,
            self._licence,
            fields={"rules": self._rules, "customer": customer[: limits.max_customer_chars], "agent": agent},
            reference=reference,
            informative=agent,
            stratum=reference["rule"],
            at_most=limits.max_none_share if reference["rule"] == NONE else None,
            turn_away=1,
            sources=(turn_id(dialogue, index),),
        )
