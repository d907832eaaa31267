"""What a rule is, and what a pack of rules may hold. Every field of a YAML pack stands here."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tianjing.config import StrictModel
from tianjing.finance.statements import Facts
from tianjing.finance.statements.judgement import Verdict
from tianjing.records import Contact, Speaker

Topic = Literal[
    "contact_hours",
    "contact_frequency",
    "third_party",
    "threat",
    "false_consequence",
    "impersonation",
    "privacy_request",
    "debt_disclosure",
    "false_promise",
    "prededucted_interest",
    "rate_statement",
    "automated_decision",
    "marketing_optout",
    "ai_identity",
    "complaint_handoff",
    "hardship_handoff",
    "abuse",
    "credential_request",
    "induced_borrowing",
    "other",
]
Strength = Literal["law", "regulation", "national_standard", "self_regulatory", "window_guidance", "internal"]
Severity = Literal["low", "medium", "high", "critical"]
Action = Literal["block", "mask", "rewrite", "handoff", "warn"]
Institution = Literal["bank", "consumer_finance", "micro_loan", "private_lender", "agency", "platform"]
Key = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$")]


class Scope(StrictModel):
    """Where a rule applies; an empty list means everywhere."""

    institution: tuple[Institution, ...] = ()
    """Types of institution."""
    product: tuple[str, ...] = ()
    """Product types, by the company's own names."""
    channel: tuple[str, ...] = ()
    """Channels of the dialogue record, e.g. voice, chat, marketing."""


class Citation(StrictModel):
    """Where the statute says it: terms that stand together in one article of the published text."""

    document: str = Field(min_length=2)
    """Title of the statute, as in its file name without the date."""
    article: str = Field(pattern=r"^第[零一二三四五六七八九十百千]+条(之[一二三四五六七八九十]+)?$")
    """Article, e.g. 第二十四条."""
    terms: tuple[Annotated[str, Field(min_length=2, max_length=8)], ...] = Field(min_length=2, max_length=3)
    """Key words of the obligation, each at most eight characters, all found in that article."""


class PhraseCheck(StrictModel):
    """Words that must not be said (or, by a customer, words that call for an action)."""

    kind: Literal["phrase"]
    speaker: Speaker = "agent"
    """Whose turns are read."""
    patterns: tuple[str, ...] = Field(min_length=1)
    """Phrases in the language of `tianjing.rulebook.patterns`."""
    unless: tuple[str, ...] = ()
    """Words that excuse the phrase when they stand before it or inside it in the same sentence, e.g. 可能, 申请."""
    deniable: bool = True
    """A denial before the phrase (不会…, 禁止…) excuses it. False where the denial is the breach."""


class DisclosureCheck(StrictModel):
    """Something that must be said."""

    kind: Literal["disclosure"]
    when: tuple[str, ...] = ()
    """Phrases of the agent that make it due; empty: due in every dialogue of the scope."""
    require: tuple[str, ...] = Field(min_length=1)
    """Phrases of which one must be said."""
    within: Literal["same_turn", "first_turn", "next_turn", "dialogue"] = "dialogue"
    """Where: the turn that made it due, the agent's first turn, that turn or the agent's next, or anywhere."""


class NumberCheck(StrictModel):
    """A number that the agent states."""

    kind: Literal["number"]
    quantity: Literal["annual_rate", "monthly_rate", "daily_rate"]
    """What is stated; daily and monthly rates are also compared as simple annual rates (365 days, 12 months)."""
    maximum_percent: float | None = Field(default=None, gt=0)
    """Largest simple annual rate in percent."""
    maximum_lpr_multiple: float | None = Field(default=None, gt=0)
    """Largest simple annual rate as a multiple of the one-year LPR in force on the day."""


class StatementCheck(StrictModel):
    """Amounts, rates, dates and counts that the agent states, against the facts of the loan, where those are given."""

    kind: Literal["statement"]
    verdicts: tuple[Verdict, ...] = Field(default=("wrong",), min_length=1)
    """Which verdicts break the rule: wrong, unsupported, ambiguous."""


class ContactCheck(StrictModel):
    """A count or a time in the log of contacts."""

    kind: Literal["contacts"]
    measure: Literal["quiet_hours", "effective_per_debtor", "unanswered_per_number", "revoked"]
    maximum: int | None = Field(default=None, ge=0)
    """Largest permitted count in one local day (not for quiet_hours and revoked)."""
    quiet_from: str = Field(default="22:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """First local minute of the quiet hours: 22:00 sharp is quiet."""
    quiet_to: str = Field(default="08:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """First local minute after them: 08:00 sharp is permitted."""


class OfferCheck(StrictModel):
    """A concession that the agent offers, against the company's policy."""

    kind: Literal["offer"]
    quantity: Literal["waiver_percent", "instalments", "deferral_days"]
    maximum: float = Field(ge=0)
    """Largest permitted value: percent, number of instalments, or days."""


class HumanCheck(StrictModel):
    """A question that only a person can answer, for the reviewer's list."""

    kind: Literal["human"]
    question: str = Field(min_length=4)


Check = Annotated[
    PhraseCheck | DisclosureCheck | NumberCheck | StatementCheck | ContactCheck | OfferCheck | HumanCheck,
    Field(discriminator="kind"),
]


class ExampleTurn(StrictModel):
    """One turn of an example dialogue."""

    speaker: Speaker
    text: str


class ExampleDialogue(StrictModel):
    """A short dialogue, for checks that read more than one turn."""

    turns: tuple[ExampleTurn, ...] = Field(min_length=1)
    channel: str = "voice"
    day: date | None = None
    """Day of the dialogue; default: the first day the rule is in force."""
    facts: Facts | None = None
    """The truth about the loan, for statement checks."""


class ExampleLog(StrictModel):
    """A contact log, for contact checks."""

    contacts: tuple[Contact, ...] = Field(min_length=1)


Example = str | ExampleDialogue | ExampleLog


class Examples(StrictModel):
    """A rule's unit tests."""

    breach: tuple[Example, ...] = ()
    """Each of these breaks the rule."""
    fine: tuple[Example, ...] = ()
    """None of these does."""


class Rule(StrictModel):
    """One obligation: where it comes from, when it holds, how it is checked, what a breach causes."""

    id: Key
    title: str = Field(min_length=2)
    topic: Topic
    source: str = Field(min_length=2)
    """Issuing text, e.g. 个人信息保护法."""
    document_number: str = ""
    """Number of the issuing text; empty where it is not known."""
    article: str = ""
    """Article or clause; empty where it is not known."""
    obligation: str = Field(min_length=6)
    """What must or must not be done, in our words."""
    scope: Scope = Scope()
    strength: Strength
    effective_from: date
    """First day in force."""
    effective_to: date | None = None
    """Last day in force; none: still in force."""
    severity: Severity
    verified: Citation | Literal[False]
    """Where the statute text says it, or false for what is known at second hand."""
    check: Check
    action: Action
    """What a breach causes in a stream or a review."""
    examples: Examples = Examples()

    def in_force(self, on: date) -> bool:
        """Whether the rule holds on that day."""
        return self.effective_from <= on and (self.effective_to is None or on <= self.effective_to)


class Override(StrictModel):
    """A company's own severity or action for a rule of another pack; its text stays as it is."""

    rule: Key
    severity: Severity | None = None
    action: Action | None = None


class Rate(StrictModel):
    """One-year loan prime rate (LPR) from a day on."""

    effective_from: date
    percent: float = Field(gt=0, lt=100)


def _split(value: object) -> object:
    """A set of words may be one string with spaces between."""
    return tuple(value.split()) if isinstance(value, str) else value


Words = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_split), Field(min_length=1)]


class Pack(StrictModel):
    """One YAML file: rules, and what they share."""

    pack: Key
    """Name of the pack."""
    title: str
    vocabulary: dict[Key, Words] = {}
    """Sets of words that patterns name with @, a list or one string; a pack sees those of the packs before it."""
    part_of: dict[str, Words] = {}
    """Word of the phrases → longer words and numbers in which it is no word of its own, e.g. 找死: 找死角.

    They are read as written, at most eight characters to each side of it, may name vocabulary sets with @, and hold for
    the word in all packs."""
    lpr: tuple[Rate, ...] = ()
    """One-year LPR by day; a later pack's table replaces an earlier one's."""
    rules: tuple[Rule, ...] = ()
    overrides: tuple[Override, ...] = ()
