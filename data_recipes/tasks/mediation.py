"""Mediation rows: what real agents said where the promise was kept, with the practice and the clause behind it.

Nothing is composed but the analysis and the warning, and they only from figures and findings:

识人    the reason logged, and the emotion that the customer's words show
共情    a sentence of empathy, of this agent or of one whose customer, in the same situation, kept the promise
讲理    the sentences with which this agent followed the practice
普法    a clause that speaks of the act, or of the situation, word for word
分析    the practice with its effect and interval
风险    the customer's words that need a person, else the rule most often broken in such talks

A case without evidence for a part gives no row, and the part is counted.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from data_recipes.bm25 import bigrams
from data_recipes.config import BuildConfig, PracticesConfig
from data_recipes.experience.evidence import known_cases, vetoed_acts, weigh
from data_recipes.experience.practices import Case, best_practices
from data_recipes.experience.units import title
from data_recipes.findings import turn_of
from data_recipes.knowledge import Knowledge
from data_recipes.provisions import Provisions
from data_recipes.tasks.draft import Draft, Drafts, from_dialogue, turn_id
from data_recipes.tasks.emotions import emotion
from data_recipes.tasks.verdicts import Verdicts
from tianjing import acts
from tianjing.order import order_key
from tianjing.records import Clause, Dialogue, Practice, Split
from tianjing.tasks.handoff_triage import REASONS
from tianjing.tasks.mediation import EMOTIONS, claimed
from tianjing.tasks.quality_inspection import NONE
from tianjing.tasks.talk import context
from tianjing.text import numbers

TASK = "mediation"
_SENTENCE = re.compile(r"[^。！？!?]+[。！？!?]?")
# What belongs to its own talk: a citation, a placeholder, something that happened there.
_ELSEWHERE = re.compile(r"《|〔|同事|上次|上回|之前|前面|前天|昨天|今天|刚才|录音|挂(?:断|了)")
_SOOTHES = re.compile(r"消(?:消)?气|生气|火气|冒火|心平气和|冷静|态度|打扰|冒犯|语气")  # said to somebody who is angry
_MIN_CHARS, _MAX_CHARS = 5, 60
_COMMON_CLAUSES = 3


class Spoken(NamedTuple):
    """Words of an agent and the turn they stand in."""

    words: str
    source: str


class _NoEvidence(Exception):
    """A part that nothing stands behind; the message is the reason the row is not made."""


@dataclass(frozen=True)
class _Material:
    """What all rows of a build rest on."""

    knowledge: Knowledge
    splits: Mapping[str, Split]
    breached: set[tuple[str, int]]
    verdicts: Verdicts
    inspection: str
    config: BuildConfig

    def clean(self, dialogue: Dialogue, turn: int) -> bool:
        """Whether neither an inspector nor the rulebook found a breach in a turn."""
        if (dialogue.id, turn) in self.breached:
            return False
        return not self.verdicts.breaches(dialogue, dialogue.turns[turn].text)


def draft_mediation(
    knowledge: Knowledge,
    splits: Mapping[str, Split],
    breached: set[tuple[str, int]],
    mining: PracticesConfig,
    inspection_activity: str,
    verdicts: Verdicts,
    config: BuildConfig,
    licence: str = "",
) -> Drafts:
    """One row per case in which the agent followed the situation's practice and the promise was kept, in all splits."""
    drafts = Drafts()
    best = best_practices(knowledge.practices, config.next_reply.max_q)
    if not best:
        return drafts
    material = _Material(knowledge, splits, breached, verdicts, inspection_activity, config)
    found = known_cases(knowledge, mining)
    writer = _Writer(material, [case for case in found if case.situation in best], best)
    for case in found:
        if case.situation not in best or not case.kept:
            continue
        try:
            drafts.rows.append(writer.row(case, licence))
        except _NoEvidence as reason:
            drafts.dropped[f"{TASK}: {reason}"] += 1
    drafts.rows = weigh(drafts.rows, {practice.id: practice for practice in best.values()})
    return drafts


class _Writer:
    """Turns cases into rows."""

    def __init__(self, material: _Material, found: Sequence[Case], best: Mapping[str, Practice]):
        self._material, self._best = material, best
        self._vetoed = vetoed_acts(material.knowledge.practices)
        self._empathy = _empathy(material, found)
        self._risks = _risks(material, found)
        self._provisions: dict[Split, Provisions] = {}
        self._clauses: dict[tuple[Split, str], list[Clause]] = {}

    def row(self, case: Case, licence: str) -> Draft:
        """Raises _NoEvidence with the part that nothing stands behind."""
        dialogue, practice = case.dialogue, self._best[case.situation]
        config = self._material.config.mediation
        split = self._material.splits[dialogue.customer]
        turns = context(dialogue.turns[: case.reason_turn + 1], config.context_turns, config.context_chars)
        words = dialogue.turns[case.reason_turn].text
        feeling, shown = emotion(turn["text"] for turn in turns if turn["speaker"] == "customer")
        reply = self._reply(case, practice)
        own, reasoning = _parts(dialogue, reply, practice.action)
        empathy = own or self._borrowed(case, split, feeling)
        clause, choices, quote = self._law(case, practice, split, words + reasoning.words)
        risk = self._risk(case, turns, split)
        cards = self._cards(case, practice)
        stated = claimed(reasoning.words + empathy.words + risk.words)
        material = " ".join(turn["text"] for turn in turns) + " ".join(choice["text"] for choice in choices)
        if not stated <= numbers(material):
            raise _NoEvidence("the agent's words state a number that is not shown")
        reference = {
            "situation": practice.situation_wording or practice.situation,
            "emotion": feeling,
            "practice": _title(practice),
            "words": shown or _shown_words(turns),
            "analysis": f"同类情形用“{_title(practice)}”{_figures(practice)}，是关联，不代表因果。",
            "empathy": empathy.words,
            "reasoning": reasoning.words,
            "clause": clause.label,
            "law": quote,
            "risk": risk.words,
            "act": practice.action,
            "clause_id": clause.id,
        }
        cited = (turn_id(dialogue, case.reason_turn), reasoning.source, empathy.source, risk.source)
        return from_dialogue(
            TASK,
            dialogue,
            case.reason_turn,
            self._material.splits,
            licence,
            fields={"turns": turns, "practices": cards, "clauses": choices},
            reference=reference,
            informative=words,
            stratum=case.situation,
            sources=tuple(dict.fromkeys(source for source in cited if source)),
            clause_ids=(clause.id,),
            practice_ids=(practice.id,),
        )

    def _reply(self, case: Case, practice: Practice) -> int:
        turns = case.dialogue.turns
        for index in range(case.reason_turn + 1, len(turns)):
            if turns[index].speaker == "agent" and practice.action in acts.tag(turns[index].text):
                heard = acts.tag(turns[index].text)
                if not self._material.clean(case.dialogue, index):
                    raise _NoEvidence("the reply breaks a rule")
                if any((case.situation, act) in self._vetoed for act in heard):
                    raise _NoEvidence("the reply holds a vetoed act too")
                return index
        raise _NoEvidence("the agent did not follow the practice")

    def _borrowed(self, case: Case, split: Split, feeling: str) -> Spoken:
        """Words of empathy of this case, else of another; what soothes anger is for who is angry."""
        angry = feeling in EMOTIONS[:2]
        known = self._empathy.get((split, case.situation), ())
        pool = [spoken for spoken in known if angry or not _SOOTHES.search(spoken.words)]
        if not pool:
            raise _NoEvidence("no words of empathy where such a promise was kept")
        own = [spoken for spoken in pool if spoken.source.rpartition("#")[0] == case.dialogue.id]
        return min(own or pool, key=lambda spoken: order_key(0, f"{case.dialogue.id}|{spoken.source}"))

    def _law(
        self, case: Case, practice: Practice, split: Split, focus: str
    ) -> tuple[Clause, list[dict[str, str]], str]:
        config = self._material.config
        provisions = self._known(split)
        speaking = self._speaking(split, practice)
        if not speaking:
            raise _NoEvidence("no clause speaks of the practice or of the situation")
        wanted = set(bigrams(focus))
        clause = max(speaking, key=lambda unit: (len(wanted & set(bigrams(unit.text))), unit.id))
        key = f"{TASK}|{case.dialogue.id}"
        choices = provisions.choices(focus, clause, config.mediation.candidates, config.seed, key, focus)
        return clause, choices, next(choice["text"] for choice in choices if choice["id"] == clause.id)

    def _speaking(self, split: Split, practice: Practice) -> list[Clause]:
        """Clauses that speak of the act, else of the situation."""
        key = (split, practice.id)
        if key not in self._clauses:
            known = self._known(split).units
            of_the_act = [unit for unit in known if practice.action in acts.tag(unit.text)]
            self._clauses[key] = of_the_act or _about(practice.situation, known)
        return self._clauses[key]

    def _known(self, split: Split) -> Provisions:
        """A company's own clauses, which all splits know, and those of the statutes of this split."""
        if split not in self._provisions:
            of_split = {info.document: info.split for info in self._material.knowledge.documents}
            clauses = [
                clause for clause in self._material.knowledge.clauses if of_split.get(clause.document) in (None, split)
            ]
            self._provisions[split] = Provisions(clauses, self._material.config.mediation.max_clause_chars)
        return self._provisions[split]

    def _risk(self, case: Case, turns: Sequence[Mapping[str, str]], split: Split) -> Spoken:
        first = case.reason_turn + 1 - len(turns)
        for index in range(case.reason_turn, first - 1, -1):
            if case.dialogue.turns[index].speaker == "customer":
                reasons = self._material.config.handoff_triage.reasons
                met = self._material.verdicts.handoff(case.dialogue, index, reasons)
                if met is not None and met[1] is not None:
                    words = f"客户说“{met[0]}”（{REASONS[met[1]]}），应转人工处理。"
                    return Spoken(words, turn_id(case.dialogue, index))
        risk = self._risks.get((split, case.situation))
        if risk is None:
            raise _NoEvidence("no rule was broken in such talks, and none calls for a person")
        return risk

    def _cards(self, case: Case, practice: Practice) -> list[dict[str, str]]:
        """The practice among others, in seeded order."""
        config = self._material.config
        others = sorted(
            (other for situation, other in self._best.items() if situation != case.situation),
            key=lambda other: order_key(config.seed, f"{case.dialogue.id}|{other.id}"),
        )
        chosen = [practice, *others[: config.mediation.practices - 1]]
        chosen.sort(key=lambda one: order_key(config.seed, f"card|{case.dialogue.id}|{one.id}"))
        return [
            {
                "situation": one.situation_wording or one.situation,
                "act": one.action,
                "title": _title(one),
                "text": _figures(one),
            }
            for one in chosen
        ]


def _title(practice: Practice) -> str:
    return practice.action_wording or title(practice.action)


def _figures(practice: Practice) -> str:
    low, effect, high = (round(100 * value) for value in (practice.ci_low, practice.effect, practice.ci_high))
    return f"履约率高{effect}个百分点（95%区间{low}至{high}，{practice.support.treated}件）"


def _parts(dialogue: Dialogue, reply: int, action: str) -> tuple[Spoken | None, Spoken]:
    """The reply's own sentences of empathy, if it has any, and those that reason."""
    source = turn_id(dialogue, reply)
    sentences = [match[0].strip() for match in _SENTENCE.finditer(dialogue.turns[reply].text)]
    feeling = [sentence for sentence in sentences if "empathise" in acts.tag(sentence)]
    rest = [sentence for sentence in sentences if sentence not in feeling]
    if not rest or (action != "empathise" and not any(action in acts.tag(sentence) for sentence in rest)):
        if action == "empathise" or not feeling:
            raise _NoEvidence("the reply has no sentence that reasons")
        feeling, rest = [], sentences  # empathy and practice in one sentence: it reasons
    return Spoken("".join(feeling), source) if feeling else None, Spoken("".join(rest), source)


def _empathy(material: _Material, found: Sequence[Case]) -> dict[tuple[Split, str], list[Spoken]]:
    """(split, situation) -> sentences of empathy said where the promise was kept, that hold in another talk too."""
    pool: dict[tuple[Split, str], dict[str, Spoken]] = defaultdict(dict)
    vetoed = vetoed_acts(material.knowledge.practices)
    for case in found:
        if not case.kept:
            continue
        for index, turn in enumerate(case.dialogue.turns):
            if turn.speaker != "agent" or "empathise" not in acts.tag(turn.text):
                continue
            for sentence in _sentences(turn.text):
                heard = acts.tag(sentence)
                held_back = any((case.situation, act) in vetoed for act in heard)
                if "empathise" in heard and not held_back and material.clean(case.dialogue, index):
                    key = (material.splits[case.dialogue.customer], case.situation)
                    pool[key].setdefault(sentence, Spoken(sentence, turn_id(case.dialogue, index)))
    return {key: list(spoken.values()) for key, spoken in pool.items()}


def _sentences(text: str) -> Iterator[str]:
    for match in _SENTENCE.finditer(text):
        sentence = match[0].strip()
        if _MIN_CHARS <= len(sentence) <= _MAX_CHARS and not numbers(sentence) and not _ELSEWHERE.search(sentence):
            yield sentence


def _risks(material: _Material, found: Sequence[Case]) -> dict[tuple[Split, str], Spoken]:
    """(split, situation) -> the rule that inspectors found broken most often, in the words of the list of items."""
    items = {rule.id: rule for rule in material.knowledge.quality_rules}
    where = {case.dialogue.id: (material.splits[case.dialogue.customer], case.situation) for case in found}
    counts: dict[tuple[Split, str], Counter[str]] = defaultdict(Counter)
    first: dict[tuple[tuple[Split, str], str], str] = {}
    for event in material.knowledge.events:
        rule = str(event.attributes.get("rule", NONE))
        turn = turn_of(event.attributes)
        if event.activity == material.inspection and rule in items and event.case in where and turn is not None:
            key = where[event.case]
            counts[key][rule] += 1
            first.setdefault((key, rule), f"{event.case}#{turn}")
    risks = {}
    for key, broken in counts.items():
        rule = min(broken, key=lambda rule: (-broken[rule], rule))
        words = f"同类通话出现过“{items[rule].title}”，不得{items[rule].text}" if items[rule].text else ""
        risks[key] = Spoken(words or f"同类通话出现过“{items[rule].title}”，不得再犯。", first[key, rule])
    return risks


def _about(situation: str, clauses: Sequence[Clause]) -> list[Clause]:
    """Clauses that share a rare pair of characters with the situation: 生病住院 and …重病住院的，暂停催收30日."""
    for pair in sorted({situation[at : at + 2] for at in range(len(situation) - 1)}):
        found = [clause for clause in clauses if pair in clause.text]
        if 0 < len(found) <= _COMMON_CLAUSES:
            return found
    return []


def _shown_words(turns: Sequence[Mapping[str, str]]) -> str:
    """The customer's reason as it is shown, without what was cut off."""
    return turns[-1]["text"].removeprefix("…")
