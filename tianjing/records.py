"""The records that stages exchange (JSON Lines or Parquet). Unknown fields are an error.

Raw input is what a user brings; knowledge is what `data extract` writes; `Example` is one row of an
instruction dataset. Times are ISO 8601 with an offset.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, ConfigDict, Field, field_validator, model_validator

from tianjing.config import StrictModel

_ARTICLE = re.compile(r"第[^条]+条(?:之.+)?|第[^段]+段")

Speaker = Literal["customer", "agent", "system"]
Modality = Literal["must", "must_not", "may", "statement"]
Comparator = Literal["<", "<=", "=", ">=", ">"]
Split = Literal["train", "validation", "test"]
Yuan = Annotated[Decimal, Field(ge=0, decimal_places=2)]
DEFAULT_TIME_ZONE = "Asia/Shanghai"


class Turn(StrictModel):
    """One utterance of a dialogue."""

    speaker: Speaker
    text: str
    at: datetime | None = None


class Dialogue(StrictModel):
    """A service or post-loan (贷后) conversation between one customer and one agent."""

    id: str = Field(min_length=1)
    customer: str
    agent: str
    channel: str
    started_at: datetime
    turns: tuple[Turn, ...] = Field(min_length=1)


class Event(StrictModel):
    """One line of an operation log. `case` is a dialogue id or a business case id."""

    case: str
    at: datetime
    actor: str
    activity: str
    attributes: dict[str, Any] = {}


class Outcome(StrictModel):
    """What became of a case, e.g. promise_kept 1, complaint 0, csat 5."""

    case: str
    name: str
    value: float
    at: datetime | None = None


class Customer(StrictModel):
    """A customer's profile: free fields, used to match personal data and to stratify."""

    model_config = ConfigDict(extra="allow", frozen=True)

    customer: str

    def field(self, name: str) -> Any:
        """Value of a profile field, or None."""
        return (self.model_extra or {}).get(name)


class Schedule(StrictModel):
    """How a loan is repaid: `instalments` monthly dates from `first_due_on`, in yuan."""

    method: Literal["equal_instalment", "equal_principal", "interest_first", "daily_interest", "irregular"]
    instalments: int = Field(ge=1)
    first_due_on: date
    instalment: Yuan
    """The usual instalment; the last one settles what rounding left."""


class Arrears(StrictModel):
    """What is overdue on the day of an account's row, in yuan; the parts add up to `total`."""

    days: int = Field(ge=0)
    """Since the oldest unpaid due date."""
    instalments: int = Field(ge=0)
    principal: Yuan
    interest: Yuan
    penalty: Yuan
    total: Yuan

    @model_validator(mode="after")
    def _adds_up(self) -> Arrears:
        if self.principal + self.interest + self.penalty != self.total:
            raise ValueError("'principal', 'interest' and 'penalty' do not add up to 'total'")
        return self


class Account(StrictModel):
    """A loan of a customer on one day."""

    account: str = Field(min_length=1)
    customer: str
    product: str
    principal: Yuan
    """Amount of the contract in yuan."""
    rate: Decimal = Field(ge=0)
    """Nominal annual rate in percent."""
    schedule: Schedule
    arrears: Arrears
    as_of: date


class Contact(StrictModel):
    """One line of the log of contacts: a call or a message to somebody about a debt."""

    customer: str = Field(min_length=1)
    """The debtor (债务人) that the contact is about."""
    number: str = Field(min_length=1)
    """Number or address that was contacted."""
    at: AwareDatetime
    """Start, with an offset: a time without one is refused."""
    kind: Literal["attempt", "effective", "message"]
    """Unanswered call, answered call, or written message."""
    consent: Literal["none", "given", "night", "revoked"] = "none"
    """What the person has last agreed to: night also permits the quiet hours; revoked permits nothing more."""
    time_zone: str = DEFAULT_TIME_ZONE
    """IANA name of the zone of the person called."""

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no such time zone; use an IANA name such as Asia/Shanghai") from None
        return value

    @property
    def local(self) -> datetime:
        """Start in the zone of the person called."""
        return self.at.astimezone(ZoneInfo(self.time_zone))


class Record(StrictModel):
    """What a third party (credit bureau, social insurance, data vendor) said of a customer on one day."""

    customer: str = Field(min_length=1)
    source: str = Field(min_length=1)
    as_of: date
    fields: dict[str, Any]


class Box(StrictModel):
    """A piece of recognised text and where it stands on the page, in pixels."""

    text: str
    x: int
    y: int
    width: int = Field(ge=0)
    height: int = Field(ge=0)


class Document(StrictModel):
    """A proof document (证明材料) that a customer handed in, after text recognition: its text, or its boxes."""

    id: str = Field(min_length=1)
    customer: str
    kind: str
    text: str | None = None
    boxes: tuple[Box, ...] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Document:
        if (self.text is None) == (self.boxes is None):
            raise ValueError("give either 'text' or 'boxes'")
        return self


class Quantity(StrictModel):
    """A number that a clause states, e.g. value 24, unit 期, kind count."""

    value: float
    """In `unit`: yuan for 元 (also from 万元 and 亿元), per cent for %, hours after midnight for 时."""
    unit: str
    """As the clause names it, e.g. 个工作日; 元 also for 万元; 比 for a share such as 三分之二 (0.666667)."""
    kind: Literal["money", "rate", "duration", "count", "time", "age"]
    text: str
    """As the clause writes it."""
    comparator: Comparator = "="
    """The bound it sets: 不超过, 以下 and 内 are <=, 以上 and 不低于 >=, 不满 <, 超过 >."""
    period: str = ""
    """What it is counted per or within, as the clause says: 每日, 每年, 12个月内; empty where nothing is said."""
    until: float | None = None
    """End of a time window [value, until) in hours after midnight; above 24 it lies on the next day (21时至次日8时)."""
    start: int = 0
    """First character in the text of the clause."""
    end: int = 0
    """Past the last character in the text of the clause."""


class Span(StrictModel):
    """Where a clause stands in its source file: character offsets of the extracted text."""

    file: str
    start: int
    end: int
    page: int | None = None
    """Page it begins on, counted from 1; none for formats without pages."""


class Reference(StrictModel):
    """Another provision that a clause names."""

    text: str
    """As the clause writes it, e.g. 前款 or 《征信业管理条例》第二十条."""
    document: str = ""
    """Title of the other document it names; empty for its own."""
    clause_ids: tuple[str, ...] = ()
    """Clauses of the same document it leads to, in their order; empty where it leads to none."""
    start: int
    """First character in the text of the clause."""
    end: int
    """Past the last character in the text of the clause."""


class Definition(StrictModel):
    """A term and what the document means by it."""

    term: str
    meaning: str
    """The words after 是指, or for 以下简称 the words it shortens."""


class Clause(StrictModel):
    """One provision of a rule document, addressed by 章/节/条/款/项/目, or by 段 where it has no articles."""

    id: str
    document: str
    path: tuple[str, ...]
    text: str
    modality: Modality
    """What its main demand is: must, must_not, may, or a statement that demands nothing."""
    subject: str = ""
    """Whom it addresses; empty where the text does not say."""
    conditions: tuple[str, ...] = ()
    """When it applies: …的，/ 有下列情形之一 / 未经… / 自…之日起, in the words of the clause."""
    exception: str = ""
    """但书 or 除…外, in the words of the clause."""
    quantities: tuple[Quantity, ...] = ()
    references: tuple[Reference, ...] = ()
    definitions: tuple[Definition, ...] = ()
    lead_in_chars: int = 0
    """Characters at the start of `text` that are the sentence above the list, shared by all its items."""
    effective_from: str | None = None
    effective_to: str | None = None
    strength: str = "internal"
    span: Span

    @property
    def article(self) -> str:
        """The 条 or 段 this clause belongs to, e.g. 第八条, or the last heading when it has none."""
        return next((part for part in self.path if _ARTICLE.fullmatch(part)), self.path[-1])

    @property
    def label(self) -> str:
        """How a person cites it: 《document》第八条."""
        return f"《{self.document}》{self.article}"


class Support(StrictModel):
    """How many cases stand behind a practice."""

    cases: int
    treated: int
    agents: int


Doubt = Literal["situation", "unmeasured confounder", "agents", "last month", "doubly robust"]


class Estimate(StrictModel):
    """A risk difference with its 95 % confidence interval and two-sided p-value."""

    effect: float
    ci_low: float
    ci_high: float
    p: float


class HoldoutMonth(StrictModel):
    """The last month by itself: whether it shows the sign of the months before."""

    month: str
    """E.g. 2026-06."""
    effect: float
    replicated: bool


class Practice(StrictModel):
    """In `situation`, `action` is associated with a better or worse `outcome`. Associated: no cause is claimed.

    `effect` is the stratified (Mantel-Haenszel) risk difference; `rate_*` are outcome rates in [0, 1]; `q` is the
    Benjamini-Hochberg adjusted p-value over all tested pairs. Fields with a default are absent where they could not be
    computed, or in knowledge of an earlier version.
    """

    id: str
    situation: str
    action: str
    """A tag of `tianjing.acts`, or an activity of the operation log by its own name."""
    kind: Literal["act", "activity"] = "act"
    outcome: str
    support: Support
    rate_treated: float
    rate_control: float
    effect: float
    ci_low: float
    ci_high: float
    p: float
    q: float
    strata: tuple[str, ...]
    """Fields of the customer in which the compared cases are alike."""
    given: tuple[str, ...] = ()
    """Other actions, associated with the outcome themselves, which the compared cases have or lack alike."""
    exploratory: bool
    """Too few treated or untreated cases, one agent, or `borrowed_from` another situation: a hint, never taught."""
    borrowed_from: str = ""
    """A situation inferred from text may be mistaken: some cases of this other one, in which the action goes with the
    outcome, taken for the practice's own, would explain it."""
    crude: float | None = None
    """Risk difference without any adjustment: what the measured confounders moved is the distance from `effect`."""
    doubly_robust: Estimate | None = None
    """A second estimate (AIPW, cross-fitted) that also adjusts for agent and month; absent where exploratory."""
    agent_stability: float | None = None
    """Share of agents without whom the effect keeps its sign, in [0, 1]; absent with one agent."""
    holdout: HoldoutMonth | None = None
    """Absent where the last month or those before it have too few cases."""
    e_value: float | None = None
    """Risk ratio by which an unmeasured confounder must go with both action and outcome to explain the effect."""
    e_value_limit: float | None = None
    """The same for the confidence limit nearer to no effect; 1 where the interval holds no effect."""
    fragile: bool = False
    """An unmeasured confounder of modest strength could explain it."""
    doubts: tuple[Doubt, ...] = ()
    """What it did not pass: inferred situation, E-value, leaving out agents, the last month, the second estimate."""
    exemplars: tuple[str, ...]
    """Dialogues with the action and the outcome it goes with, without a breach in the turn."""
    evidence: tuple[str, ...] = ()
    """The acting turns of the exemplars, as dialogue#turn."""
    agents: tuple[str, ...] = ()
    """Agents who took the action in this situation."""
    verdict: Literal["allowed", "vetoed"]
    rules: tuple[str, ...] = ()
    """Rules that forbid the action, by configuration or because its turns break them."""
    breach_share: float = 0.0
    """Share of the acting turns that break a rule, in [0, 1]."""
    situation_wording: str | None = None
    """How a reviewer words the situation; none: by its own name."""
    action_wording: str | None = None
    """How a reviewer words the action; none: by its own title."""


class Conclusion(StrictModel):
    """What can or cannot be concluded from the material as a whole."""

    code: str
    """E.g. no_outcomes; one of those that docs/experience.md lists."""
    statement: str
    remedy: str
    cases: int = 0
    """How many cases, log entries or pairs it is about."""
    blocks: bool = False
    """Nothing can be concluded about practices."""


class BranchOption(StrictModel):
    """One way on after a split (分支), and when it is taken."""

    step: str
    """The step it begins with; empty where the optional step of the split is left out."""
    count: int = Field(ge=0)
    """Cases that went this way."""
    share: float = Field(ge=0, le=1)
    """Of all cases that came to the split."""
    condition: str = ""
    """What was known before the split and goes with this way, e.g. 产品 = 现金贷; empty where nothing told."""


class Branch(StrictModel):
    """After a step the cases part: each goes one of these ways."""

    after: str
    options: tuple[BranchOption, ...] = Field(min_length=2)
    accuracy: float | None = None
    """Balanced accuracy of the conditions, each case judged by conditions learned without it; none without any."""


class Variant(StrictModel):
    """A course that several cases took step by step (first occurrences), and how well it conforms."""

    steps: tuple[str, ...]
    count: int = Field(ge=1)
    fitness: float = Field(ge=0, le=1)


class StepOutcome(StrictModel):
    """Cases with a step against cases without it: how often `outcome` came about. An association (相关), no cause."""

    step: str
    outcome: str
    cases_with: int
    cases_without: int
    rate_with: float
    rate_without: float
    difference: float
    """Risk difference within `strata`, with its 95 % interval."""
    ci_low: float
    ci_high: float
    p: float
    q: float
    """Benjamini-Hochberg over every step and outcome tested, of all procedures."""
    strata: tuple[str, ...]
    exploratory: bool
    """Too few cases with or without the step."""


class Procedure(StrictModel):
    """How a task is done (SOP): its steps and the partial order between them, as the operation log shows it.

    A repeated step counts where it first occurs. `steps` stand in the usual course, which keeps every pair of `order`.
    """

    id: str
    task: str
    steps: tuple[str, ...]
    optional: tuple[str, ...]
    """Steps that many cases do without."""
    order: tuple[tuple[str, str], ...]
    """a stands before b; acyclic. Pairs that this leaves out may come either way."""
    direct: tuple[tuple[str, str], ...]
    """b comes next after a where both occur: the arrows of the chart."""
    edges: tuple[tuple[str, str, int], ...]
    """How often b directly followed a, also back to an earlier step."""
    repeated: tuple[str, ...]
    """Steps that cases come back to."""
    branches: tuple[Branch, ...]
    variants: tuple[Variant, ...]
    """The commonest courses, commonest first."""
    distinct_variants: int
    separating: tuple[StepOutcome, ...]
    """Every tested step, strongest association first within an outcome."""
    support: int
    """Cases it was learned from."""
    coverage: float
    """Share of those that conform fully."""
    fitness: float
    """Mean conformance of those."""


class Message(StrictModel):
    """One chat message in the OpenAI form."""

    role: Literal["system", "user", "assistant"]
    content: str


class Tokens(StrictModel):
    """Length of a row in tokens of a base model's tokenizer, under its chat template."""

    prompt: int = Field(ge=0)
    """Up to where the answer begins."""
    answer: int = Field(ge=0)
    """The answer with its stop token: what a loss is taken on."""

    @property
    def total(self) -> int:
        return self.prompt + self.answer


class Example(StrictModel):
    """One row of an instruction dataset.

    `messages` is the conversation that is trained on (the last one is the assistant's answer).
    `fields` and `reference` are what `tianjing.tasks` rendered and scores by, so that evaluation can
    render the same item again under another condition. `group` is the unit of splitting and of
    resampling: a customer, or a source document.
    """

    id: str
    task: str
    group: str
    split: Split
    messages: tuple[Message, ...]
    weight: float = 1.0
    fields: dict[str, Any]
    reference: dict[str, Any]
    surface: str = ""
    sources: tuple[str, ...] = ()
    clause_ids: tuple[str, ...] = ()
    practice_ids: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    """Name of the source in the licence ledger."""
    origin: Literal["log", "derived", "teacher"] = "log"
    """Whose wording it is: people's, a template's over a provision, or a teacher model's over cited evidence."""
    tokens: Tokens | None = None
    """Absent where the dataset was built without a tokenizer."""


class Preference(StrictModel):
    """One preference pair: two answers to one prompt, as TRL reads it (DPO, and KTO unpaired).

    `prompt` is the system and user message, `chosen` and `rejected` one assistant message each.
    """

    id: str
    task: str
    group: str
    split: Split
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    weight: float = 1.0
    why: Literal["harmful", "other", "breach"]
    """Why the other is rejected: its act goes with a worse outcome; it is another act than the practice and the promise
    was not kept; or it breaks a rule."""
    rules: tuple[str, ...] = ()
    """Rules that the rejected answer breaks; only of a breach."""
    sources: tuple[str, ...] = ()
    rejected_sources: tuple[str, ...] = ()
    practice_ids: tuple[str, ...] = ()
    rejected_practice_ids: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    """Name of the source in the licence ledger."""
