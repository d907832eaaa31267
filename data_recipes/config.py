"""Configuration of the two data commands. The pipeline's YAML holds them as `data: {extract: …, build: …}`."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from data_recipes.cleaning.config import CleanConfig
from data_recipes.cleaning.decontamination import DecontaminationConfig
from data_recipes.mixing import MixtureConfig
from data_recipes.publish.lengths import TokenLengthsConfig
from data_recipes.publish.licences import LicencePolicy
from data_recipes.tasks.config import Fraction, TaskConfigs
from data_recipes.teacher.config import TeacherConfig
from tianjing.config import StrictModel

TaskId = Literal[
    "policy_qa",
    "quality_inspection",
    "next_reply",
    "negotiation",
    "intent",
    "call_summary",
    "handoff_triage",
    "complaint_prediction",
    "mediation",
    "finance_qa",
]


class RawSource(StrictModel):
    """A raw folder: the tables of a company as JSON Lines, CSV or Parquet (events also XES), and a folder of rules."""

    kind: Literal["raw"] = "raw"
    path: str = "."
    """Folder, relative to the one given on the command line."""
    licence: str = ""
    """Licence written on every row that comes from here."""


class StatutesSource(StrictModel):
    """A folder of statutes as Markdown: each becomes clauses, and is one document of the split."""

    kind: Literal["statutes"]
    path: str
    """Folder, relative to the one given on the command line; read recursively. Of two versions the newer one counts."""
    licence: str = ""
    """Licence written on every row that comes from here."""


class InstructionsSource(StrictModel):
    """Open instruction sets in the form of Alpaca, ShareGPT or messages, as JSON lists, JSON Lines or Parquet."""

    kind: Literal["instructions"]
    path: str
    """Folder, relative to the one given on the command line."""
    files: dict[str, str]
    """Kind of question -> file in that folder; `computing` is scored by its final number, others by their wording."""
    licence: str = ""
    """Licence written on every row that comes from here."""


Source = Annotated[RawSource | StatutesSource | InstructionsSource, Field(discriminator="kind")]


class HoldoutConfig(StrictModel):
    """Customers held out for the test split by a field of their record."""

    field: str
    """Field of customers.jsonl, e.g. site."""
    values: tuple[str, ...]
    """Values of that field whose customers are tested on and never learned from."""


class TimeSplit(StrictModel):
    """What comes later is tested on. Dates are those of the rows' own clocks, the first day included."""

    test_from: date
    """Rows from this day on are the test split; earlier ones that share a customer or another link with them go."""
    validation_from: date | None = None
    """Rows from this day until `test_from` are the validation split; without it, `validation_fraction`."""

    @model_validator(mode="after")
    def _in_order(self) -> TimeSplit:
        if self.validation_from is not None and self.validation_from >= self.test_from:
            raise ValueError("validation_from must be before test_from")
        return self


class SplitConfig(StrictModel):
    """Which customers and which documents are learned from. Nothing mined or built for training sees the others."""

    holdout: HoldoutConfig | None = None
    """Hold out customers by a field; without it, by `test_fraction`. Documents always go by `test_fraction`."""
    time: TimeSplit | None = None
    """Test on what came later; excludes `holdout`."""
    test_fraction: Fraction = 0.2
    """Share of customers (without `holdout`) and of documents that are tested on."""
    validation_fraction: Fraction = 0.08
    """Share of the remaining ones on which training is watched."""
    seed: int = 0
    """Chooses another split."""

    @model_validator(mode="after")
    def _one_way(self) -> SplitConfig:
        if self.holdout is not None and self.time is not None:
            raise ValueError("holdout and time exclude each other: set one")
        return self


class PracticesConfig(StrictModel):
    """How practices (best and harmful) are mined: which action, in which situation, goes with which outcome."""

    situation: Literal["logged", "text", "auto"] = "logged"
    """Where a case's situation comes from: the operation log, the dialogue's text, or the text where none is logged."""
    reason_activity: str = "登记逾期原因"
    """Activity of the operation log that records the situation."""
    reason_attribute: str = "reason"
    """Attribute of that activity that names the situation."""
    actions: tuple[Literal["act", "activity"], ...] = ("act", "activity")
    """What counts as an action: acts heard in the agent's turns, activities of the operation log, or both."""
    exclude_activities: tuple[str, ...] = ("质检",)
    """Activities that are no action of the agent; `reason_activity` never is."""
    max_situation_error: Fraction = 0.2
    """Share of a situation's cases that inference may take for another one: an association that so many would explain
    is exploratory. Logged situations are believed."""
    outcome: str = "promise_kept"
    """Outcome of outcomes.jsonl, 0 or 1, that a good practice raises."""
    strata: tuple[str, ...] = ("overdue_bucket",)
    """Fields of the customer record within which treated and untreated cases are compared (confounders)."""
    min_tested_cases: Annotated[int, Field(ge=1)] = 5
    """A pair with fewer treated or fewer untreated cases is not tested at all."""
    min_group_cases: Annotated[int, Field(ge=1)] = 30
    """A practice with fewer treated or fewer untreated cases is reported as exploratory and never taught."""
    min_agent_cases: Annotated[int, Field(ge=1)] = 20
    """Agents with fewer cases in a situation are adjusted for as one."""
    min_agent_stability: Annotated[float, Field(ge=0, le=1)] = 0.9
    """A practice is doubted if it keeps its sign without fewer than this share of the agents, left out one by one."""
    min_e_value: Annotated[float, Field(ge=1)] = 3.0
    """A practice is fragile if the E-value of its confidence limit is lower. Below 3 the limit is a risk ratio under
    1.8, which a confounder three times as frequent on one side that triples the chance of the outcome can make."""
    max_breach_share: Fraction = 0.5
    """An action is vetoed if more than this share of the turns it is heard in break a rule. Up to it the action is not
    the breach: the turns that break a rule are no exemplars and never taught, the others may be."""
    veto: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Action -> ids of the rules that forbid it: it is listed with its effect, and never taught."""
    max_exemplars: Annotated[int, Field(ge=0)] = 5
    """Dialogue ids kept as examples of each practice."""


class ProceduresConfig(StrictModel):
    """How procedures (SOP) are mined: steps, their order, branches, and the steps that go with an outcome."""

    exclude: tuple[str, ...] = ("质检",)
    """Activities that are no step of the agent's work."""
    acts: bool = True
    """Acts of the agent's turns are steps, too, where the clocks of log and dialogue agree."""
    min_share: Fraction = 0.01
    """An activity is a step if at least this share of the task's cases has it."""
    min_cases: Annotated[int, Field(ge=1)] = 3
    """And at least this many cases; fewer, where the task has fewer."""
    min_order: Fraction = 0.667
    """a stands before b if the share of the cases with both that have them so is above this, with 95 % confidence."""
    min_direct: Fraction = 0.7
    """b comes next after a if, in at least this share of the cases with a before b, no other step stands between."""
    min_required: Fraction = 0.8
    """A step that fewer of the cases have is optional."""
    min_branch_share: Fraction = 0.1
    """A way that fewer of the cases take after a split is not listed."""
    max_together: Fraction = 0.333
    """Two ways exclude each other if at most this share of the cases that take one comes to the other later."""
    min_balanced_accuracy: Fraction = 0.65
    """A condition is stated if it tells the ways apart so well on cases it was not learned from."""
    min_group_cases: Annotated[int, Field(ge=1)] = 30
    """A step with fewer cases with it or without it is exploratory as to outcomes."""
    max_variants: Annotated[int, Field(ge=0)] = 10
    """Courses kept of each procedure."""


class ExtractConfig(StrictModel):
    """`tianjing data extract`: raw material to knowledge."""

    sources: tuple[Source, ...] = (RawSource(),)
    """What to read; without it, one raw folder."""
    clean: CleanConfig = CleanConfig()
    """How dialogues are cleaned before anything is learned from them."""
    split: SplitConfig = SplitConfig()
    """Which customers and documents are held out."""
    identity_fields: tuple[str, ...] = ("name", "mobile", "landline", "id_card", "bank_card", "email", "address")
    """Fields of the customer record that are masked wherever they are said, and do not pass into the knowledge."""
    strata_fields: tuple[str, ...] = ("site", "product", "overdue_bucket")
    """Fields of the customer record that do pass."""
    inspection_activity: str = "质检"
    """Activity of the operation log that holds quality inspection findings."""
    timelines: bool = True
    """Join what is known of each customer in order, and propose what documents and dialogues say of the profile."""
    practices: PracticesConfig = PracticesConfig()
    """Mining of practices."""
    procedures: ProceduresConfig = ProceduresConfig()
    """Mining of procedures."""


class BuildConfig(TaskConfigs):
    """`tianjing data build`: knowledge to an instruction dataset."""

    tasks: tuple[TaskId, ...] | None = None
    """Tasks to build, of tianjing.tasks; without it, all that the knowledge gives rows for."""
    knowledge: Literal["accepted", "all"] = "all"
    """Built from: the practices and procedures that somebody accepted in a review, or all that nobody rejected. Clauses
    are in unless they were rejected; a vetoed practice is never taught."""
    decisions: Path | None = None
    """Decisions of the reviews (`tianjing data review`), relative to the current folder. `accepted` needs them; with
    `all` they leave out what was rejected and word anew what was edited."""
    seed: int = 0
    """Orders candidates and picks rows where a limit applies."""
    max_rows_per_task: dict[Literal["train", "validation", "test"], int] = Field(default_factory=dict)
    """Limit by split; rows are picked round-robin over clauses, rules or situations. Without it, all."""
    near_duplicate: Annotated[float, Field(gt=0, le=1)] = 0.6
    """A test row whose surface shares this much (Jaccard of character 5-grams) with a training row is dropped."""
    decontaminate: DecontaminationConfig = DecontaminationConfig()
    """Rows that are learned from and hold an item of an evaluation set are dropped, also those a teacher wrote. Paths
    are relative to the current folder."""
    licences: LicencePolicy = LicencePolicy()
    """Which sources may be trained on."""
    teacher: TeacherConfig | None = None
    """A model that writes wordings of policy questions and answers; none without it."""
    mixture: MixtureConfig = MixtureConfig()
    """Shares of the tasks in the training split."""
    token_lengths: TokenLengthsConfig | None = None
    """Counts tokens under a base model's tokenizer; the column stays empty without it."""

    @model_validator(mode="after")
    def _positive_limits(self) -> BuildConfig:
        if any(limit < 1 for limit in self.max_rows_per_task.values()):
            raise ValueError("max_rows_per_task: each limit must be at least 1")
        return self
