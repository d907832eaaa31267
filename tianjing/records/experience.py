"""Knowledge from dialogues, operation logs and outcomes: practices, procedures, and what can be concluded."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tianjing.config import StrictModel


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


class EarlierOutcome(StrictModel):
    """What an action seems to have done to the customer's outcome *before* it was taken: anything but 0 is confounding.

    Figures are absent where no two cases could be compared.
    """

    says: Literal["confounded", "not seen", "cannot tell"]
    """`confounded`: it goes to customers who did better (harmful actions: worse) before; `not seen`: a difference of
    half the effect can be excluded; `cannot tell`: too few customers with an earlier outcome."""
    cases: int = 0
    """Cases compared, over all situations in which the action was tested."""
    effect: float | None = None
    """Risk difference of the earlier outcome, like `Practice.effect`."""
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None


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
    earlier_outcome: EarlierOutcome | None = None
    """Negative control: the same comparison of the outcome of the customer's call before."""
    fragile: bool = False
    """An unmeasured confounder of modest strength could explain it, or the earlier outcome shows that there is one."""
    doubts: tuple[Doubt, ...] = ()
    """What it did not pass: inferred situation, hidden confounding, leaving out agents, the last month, the second
    estimate."""
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
