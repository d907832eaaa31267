"""The decision: AI, a person, or no contact; what may be offered, and what has worked. Deterministic, no model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from serving.decide import offers
from serving.decide.contact import ContactRules, Ruling
from serving.decide.person import Reason, reasons_for_a_person
from serving.decide.practices import FILE_NAME, Practices, load_practices
from serving.decide.request import DecideBody
from serving.decide.settings import DecideSettings
from serving.decide.sources import Source
from tianjing.files import sha256_file
from tianjing.finance.policy import Policy, load_policy
from tianjing.lineage import MANIFEST
from tianjing.rulebook import Rulebook
from tianjing.rulebook.schema import Institution

Decision = Literal["ai", "human", "no_contact"]
NO_POLICY = "no policy is configured (decide.policy)"
NO_KNOWLEDGE = "no knowledge is configured (decide.knowledge)"
NO_CONTACT = "no contact now"


@dataclass(frozen=True)
class Decided:
    """A decision and its answer; `clauses` and `practice` are what the account of it names."""

    decision: Decision
    reasons: tuple[Reason, ...]
    answer: dict[str, Any]
    clauses: tuple[str, ...] = ()
    practice: str = ""


class Decider:
    """Decides. One instance serves all requests.

    Args:
        packs: your own rule packs, after the shipped ones.
        margin: of the learned signals, as `serving.handoff.signals.detect` takes it.

    Raises:
        TianjingError: a rule pack, the policy, the knowledge or the decisions are wrong.
    """

    def __init__(
        self,
        settings: DecideSettings,
        packs: Sequence[Path] = (),
        institution: Institution = "consumer_finance",
        margin: float | None = 0.0,
    ):
        self.settings = settings
        self._margin = margin
        self._book = Rulebook.load(packs).within(institution)
        self._book.matcher("customer")  # made now, not with the first request
        self._policy: Source[_Policy] | None = None
        self._practices: Source[Practices] | None = None
        if (path := settings.policy) is not None:
            self._policy = Source("policy", [path], lambda: _Policy.load(path), settings.reload_s)
        if settings.knowledge is not None:
            files = [settings.knowledge / FILE_NAME, settings.knowledge / MANIFEST]
            files += [settings.decisions] if settings.decisions else []
            self._practices = Source("knowledge", files, lambda: load_practices(settings), settings.reload_s)

    async def refresh(self) -> None:
        """Take over what has changed on disk."""
        for source in (self._policy, self._practices):
            if source is not None:
                await source.refresh()

    async def decide(self, body: DecideBody) -> Decided:
        """Decide by the rules, the policy and the knowledge as they are now."""
        session, day = body.session, body.session.local.date()
        rules = ContactRules(self._book, body.account.customer, body.contacts, session)
        rulings = rules.rulings()
        loan, why = _opened(body)
        person = reasons_for_a_person(body, self.settings, self._book, day, why is None or why.fits, self._margin)
        forbidding = tuple(Reason("rule", one.rule.id, one.evidence) for one in rulings if one.forbids)
        decision: Decision = "human" if person else "ai"
        if forbidding and session.contact == "begin":
            decision, person = "no_contact", (*forbidding, *person)
        held = self._held()
        tried, note = await self._tried(body, held.policy, loan, why, decision)
        permitted = [one for one in tried if one.plan is not None]
        measures = {one.measure.name for one in permitted}
        suggestion, why_none = _suggested(body, held.practices, measures, decision)
        next_at = rules.next_permitted(self.settings.horizon_days)
        answer = {
            "object": "decision",
            "decision": decision,
            "reasons": [asdict(reason) for reason in person],
            "next_contact_at": next_at and next_at.isoformat(),
            "rules": [_rule_row(ruling) for ruling in rulings],
            "debt": loan and offers.debt_row(loan),
            "offers": {
                "permitted": [one.row() for one in permitted],
                "refused": [one.row() for one in tried if one.plan is None],
                "note": note,
            },
            "practice": {"suggested": suggestion, "note": why_none},
            "sources": held.sources,
        }
        clauses = tuple(dict.fromkeys(clause for one in permitted if one.plan for clause in one.plan.clauses))
        return Decided(decision, person, answer, clauses, suggestion["id"] if suggestion else "")

    async def _tried(
        self,
        body: DecideBody,
        policy: Policy | None,
        loan: offers.OpenLoan | None,
        why: offers.AccountError | None,
        decision: Decision,
    ) -> tuple[list[offers.Tried], str]:
        """What the policy says of each measure, and why nothing was tried."""
        if decision == "no_contact":
            return [], NO_CONTACT
        if policy is None:
            return [], NO_POLICY
        if loan is None:
            return [], str(why)
        age = (body.session.local.date() - body.account.as_of).days
        if age > self.settings.max_account_age_days:
            return [], f"the account's row is {age} days old, at most {self.settings.max_account_age_days} is taken"
        tried = []
        for measure in offers.measures(self.settings, policy, loan, body.profile.deferrals_in_12_months):
            tried.append(offers.attempt(policy, loan, measure))
            await asyncio.sleep(0)  # streams go on between two plans
        return tried, "" if any(one.plan for one in tried) else "the policy permits none of what was tried"

    def _held(self) -> _Held:
        policy = self._policy.content if self._policy else None
        practices = self._practices.content if self._practices else None
        found = (("policy", self._policy, policy), ("practices", self._practices, practices))
        sources = {
            name: {"sha256": content.digest, "problem": source.problem} if source and content else None
            for name, source, content in found
        }
        return _Held(policy.policy if policy else None, practices, sources)


@dataclass(frozen=True)
class _Held:
    """What one decision is made by, though a file may change meanwhile; `sources` has digests, and the `problem` of a
    newer file that could not be taken over."""

    policy: Policy | None
    practices: Practices | None
    sources: dict[str, Any]


@dataclass(frozen=True)
class _Policy:
    policy: Policy
    digest: str

    @classmethod
    def load(cls, path: Path) -> _Policy:
        return cls(load_policy(path), sha256_file(path))


def _opened(body: DecideBody) -> tuple[offers.OpenLoan | None, offers.AccountError | None]:
    try:
        return offers.open_loan(body.account, body.loan), None
    except offers.AccountError as error:
        return None, error


def _suggested(
    body: DecideBody, practices: Practices | None, measures: set[str], decision: Decision
) -> tuple[dict[str, Any] | None, str]:
    if decision == "no_contact":
        return None, NO_CONTACT
    if practices is None:
        return None, NO_KNOWLEDGE
    found, why = practices.suggest(body.session.situations, measures)
    return (None if found is None else found.row()), why


def _rule_row(ruling: Ruling) -> dict[str, Any]:
    rule = ruling.rule
    return {
        "id": rule.id,
        "title": rule.title,
        "source": rule.source,
        "document_number": rule.document_number,
        "article": rule.article,
        "strength": rule.strength,
        "verified": bool(rule.verified),
        "forbids": ruling.forbids,
        "evidence": ruling.evidence,
    }
