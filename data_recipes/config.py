"""Configuration of the two data commands. The pipeline's YAML holds them as `data: {extract: …, build: …}`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data_recipes.mixing import MixtureConfig
from data_recipes.publish.lengths import TokenLengthsConfig
from data_recipes.publish.licences import LicencePolicy
from data_recipes.teacher.config import TeacherConfig
from tianjing.config import StrictModel

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class RawSource(StrictModel):
    """A raw folder: dialogues, events, outcomes and customers as JSON Lines or CSV, and a folder of rules."""

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
    """Instruction files: JSON lists of {instruction, input, output, history}."""

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


class SplitConfig(StrictModel):
    """Which customers and which documents are learned from. Nothing mined or built for training sees the others."""

    holdout: HoldoutConfig | None = None
    """Hold out customers by a field; without it, by `test_fraction`. Documents always go by `test_fraction`."""
    test_fraction: Fraction = 0.2
    """Share of customers (without `holdout`) and of documents that are tested on."""
    validation_fraction: Fraction = 0.08
    """Share of the remaining ones on which training is watched."""
    seed: int = 0
    """Chooses another split."""


class PracticesConfig(StrictModel):
    """How practices (best and harmful) are mined: which act, in which situation, goes with which outcome."""

    reason_activity: str = "登记逾期原因"
    """Activity of the operation log that records the situation."""
    reason_attribute: str = "reason"
    """Attribute of that activity that names the situation."""
    outcome: str = "promise_kept"
    """Outcome of outcomes.jsonl, 0 or 1, that a good practice raises."""
    strata: tuple[str, ...] = ("overdue_bucket",)
    """Fields of the customer record within which treated and untreated cases are compared (confounders)."""
    min_group_cases: Annotated[int, Field(ge=1)] = 30
    """A practice with fewer treated or fewer untreated cases is reported as exploratory and never taught."""
    veto: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Act -> ids of the rules that forbid it: it is listed with its effect, and never taught."""
    max_exemplars: Annotated[int, Field(ge=0)] = 5
    """Dialogue ids kept as examples of each practice."""


class ProceduresConfig(StrictModel):
    """How procedures (order of the steps in the operation log) are mined."""

    exclude: tuple[str, ...] = ("质检",)
    """Activities that are no step of the agent's work."""
    min_share: Fraction = 0.05
    """An activity is a step if at least this share of the task's cases has it."""
    min_order: Fraction = 0.95
    """a stands before b if at least this share of the cases with both has them so."""
    min_pair_cases: Annotated[int, Field(ge=1)] = 5
    """Nothing is said about the order of two steps that fewer cases have both of."""


class ExtractConfig(StrictModel):
    """`tianjing data extract`: raw material to knowledge."""

    sources: tuple[Source, ...] = (RawSource(),)
    """What to read; without it, one raw folder."""
    split: SplitConfig = SplitConfig()
    """Which customers and documents are held out."""
    identity_fields: tuple[str, ...] = ("name", "mobile", "landline", "id_card", "bank_card", "email", "address")
    """Fields of the customer record that are masked wherever they are said, and do not pass into the knowledge."""
    strata_fields: tuple[str, ...] = ("site", "product", "overdue_bucket")
    """Fields of the customer record that do pass."""
    inspection_activity: str = "质检"
    """Activity of the operation log that holds quality inspection findings."""
    practices: PracticesConfig = PracticesConfig()
    """Mining of practices."""
    procedures: ProceduresConfig = ProceduresConfig()
    """Mining of procedures."""


class PolicyQAConfig(StrictModel):
    """Policy question answering with the clause cited."""

    candidates: Annotated[int, Field(ge=2, le=9)] = 4
    """Clauses shown with a question; more make it harder and cost tokens in training."""
    max_clause_chars: Annotated[int, Field(ge=20)] = 80
    """A longer clause is shown by its sentences nearest to the question (about 0.6 tokens a character)."""
    no_basis_share: Fraction = 0.12
    """Share of questions that no clause answers; the right answer to them is 无依据."""
    questions_per_document: Annotated[int, Field(ge=1)] = 40
    """Questions derived from one held-in or held-out statute, so that a long law does not drown the short ones."""


class QualityInspectionConfig(StrictModel):
    """Quality inspection of one agent turn."""

    max_none_share: Fraction = 0.35
    """Largest share of turns without a breach; more teach the model to say none."""
    max_customer_chars: Annotated[int, Field(ge=0)] = 60
    """The customer's turn is clipped to this."""


class NextReplyConfig(StrictModel):
    """Next reply of a post-loan agent."""

    context_turns: Annotated[int, Field(ge=1)] = 3
    """Turns shown, the customer's reason last."""
    context_chars: Annotated[int, Field(ge=40)] = 160
    """Characters shown in all."""
    max_q: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """A practice is taught if its adjusted p-value is below this."""


class FinanceQAConfig(StrictModel):
    """Open finance instructions."""

    max_prompt_chars: Annotated[int, Field(ge=50)] = 420
    """A longer prompt is shortened in its materials; one whose question alone is longer is dropped."""
    max_answer_chars: Annotated[int, Field(ge=20)] = 150
    """A longer answer is taught and scored by its first sentences up to this."""


class BuildConfig(StrictModel):
    """`tianjing data build`: knowledge to an instruction dataset."""

    seed: int = 0
    """Orders candidates and picks rows where a limit applies."""
    max_rows_per_task: dict[Literal["train", "validation", "test"], int] = Field(default_factory=dict)
    """Limit by split; rows are picked round-robin over clauses, rules or situations. Without it, all."""
    near_duplicate: Annotated[float, Field(gt=0, le=1)] = 0.6
    """A test row whose surface shares this much (Jaccard of character 5-grams) with a training row is dropped."""
    policy_qa: PolicyQAConfig = PolicyQAConfig()
    """Policy question answering."""
    quality_inspection: QualityInspectionConfig = QualityInspectionConfig()
    """Quality inspection."""
    next_reply: NextReplyConfig = NextReplyConfig()
    """Next reply."""
    finance_qa: FinanceQAConfig = FinanceQAConfig()
    """Open finance instructions."""
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
