"""Configuration of the builders in this folder: one class a task, each field with its unit or consequence."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tianjing.config import StrictModel
from tianjing.finance.offers import PlanPolicy

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


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
    round_trip: Annotated[int, Field(ge=0)] = 5
    """A question is learned from only if a search over the clauses finds the one cited among this many; 0 asks for
    nothing. Customers' questions that are tested on stay, however they are worded: dropping those that share no words
    with their clause would leave a test of easy questions."""
    contrast_share: Fraction = 0.0
    """Share, among the answered questions learned from, of questions derived from a clause that misstate its number or
    its modality, to be corrected with the citation; 0 for none."""


class QualityInspectionConfig(StrictModel):
    """Quality inspection of one agent turn."""

    max_none_share: Fraction = 0.35
    """Largest share of turns without a breach; more teach the model to say none."""
    hard_negative_share: Fraction = 0.3
    """Share of the turns without a breach that are hard: an inspector's compliant rewrite of a breach, or a turn of an
    inspected call that sounds like one. More make the model look at what is said rather than at its tone."""
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


class NegotiationConfig(StrictModel):
    """Repayment negotiation: one row a step of the agent."""

    experience: bool = True
    """Learn from calls in which the practice of the situation was followed and the promise kept. False takes calls by
    chance, whatever the agent did and whatever came of it: the other arm of the ablation."""
    max_q: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """A practice is taught if its adjusted p-value is below this."""
    policy: PlanPolicy = PlanPolicy()
    """Plans that may be offered; shown to the model, and held to by the cost engine."""


class FinanceQAConfig(StrictModel):
    """Open finance instructions."""

    max_prompt_chars: Annotated[int, Field(ge=50)] = 420
    """A longer prompt is shortened in its materials; one whose question alone is longer is dropped."""
    max_answer_chars: Annotated[int, Field(ge=20)] = 150
    """A longer answer is taught and scored by its first sentences up to this."""


class LogField(StrictModel):
    """An attribute of the operation log."""

    activity: str
    """Activity whose lines carry it."""
    attribute: str
    """Its name in `attributes`."""


class IntentConfig(StrictModel):
    """Intent of a customer's turn, as the agent logged it."""

    labels: tuple[LogField, ...] = (LogField(activity="登记逾期原因", attribute="reason"),)
    """Where the log says what a customer wants or why; the words it labels are the customer's last before the line."""
    min_cases: Annotated[int, Field(ge=1)] = 5
    """An intent that fewer training rows have is not offered for choice, and its rows are dropped."""
    context_turns: Annotated[int, Field(ge=1)] = 2
    """Turns shown, the labelled one last."""
    context_chars: Annotated[int, Field(ge=40)] = 140
    """Characters shown in all."""


class CallSummaryConfig(StrictModel):
    """Summary of a call, from what the agent logged during it."""

    summary_activity: str = "填写通话小结"
    """Only calls that the agent closed with this activity are summarised: the others may have been cut off."""
    reason: LogField = LogField(activity="登记逾期原因", attribute="reason")
    """Where the log says why nothing was paid."""
    steps: dict[str, str] = Field(
        default_factory=lambda: {
            "发起延期申请": "offer_deferral",
            "发起分期申请": "offer_instalment",
            "开通自动扣款": "offer_autopay",
            "上传证明要求": "request_proof",
            "查询费用明细": "explain_fees",
            "登记可承受金额": "ask_affordable_amount",
            "登记承诺日期": "confirm_date",
            "登记客户情绪": "empathise",
            "发送逾期提示": "remind_consequence",
            "生成全额账单": "demand_full_payment",
            "转派专员": "transfer_specialist",
        }
    )
    """Activity of the log -> act of tianjing.acts that must be heard in the agent's words at that moment."""
    date_activity: str = "登记承诺日期"
    """Activity at which a date is agreed."""
    amount_attribute: str = "amount"
    """Attribute of any line of the call that holds the amount owed, in yuan; without it, what the agent says first."""
    date_attribute: str = "date"
    """Attribute of any line of the call that holds the agreed date (ISO); without it, the day said as it is agreed."""
    max_chars: Annotated[int, Field(ge=100)] = 360
    """A longer call is dropped: half a call cannot be summarised."""


HandoffReason = Literal[
    "self_harm", "fraud", "third_party", "lawyer", "complaint", "dispute", "hardship", "human_wanted"
]
_REASONS: dict[str, HandoffReason] = {
    "handoff.self-harm": "self_harm",
    "handoff.third-party": "third_party",
    "handoff.complaint": "complaint",
    "handoff.hardship": "hardship",
    "handoff.human-wanted": "human_wanted",
}


class HandoffTriageConfig(StrictModel):
    """Who answers the customer's last words: the model or a person."""

    reasons: dict[str, HandoffReason] = Field(default_factory=lambda: dict(_REASONS))
    """Id of a rule whose action is handoff -> kind of reason; turns that meet only other rules give no row."""
    transfer_activity: str = "转派专员"
    """Activity with which agents hand a case on: the check on the label."""
    max_ai_share: Fraction = 0.5
    """Largest share of turns that the model may answer."""
    context_turns: Annotated[int, Field(ge=1)] = 2
    """Turns shown, the customer's last."""
    context_chars: Annotated[int, Field(ge=40)] = 140
    """Characters shown in all."""


class ComplaintPredictionConfig(StrictModel):
    """Whether a call will lead to a complaint."""

    outcome: str = "complaint"
    """Outcome of outcomes.jsonl, above 0 for a complaint."""
    max_no_share: Fraction = 0.5
    """Largest share of cases without a complaint, of which there are far more."""
    context_turns: Annotated[int, Field(ge=1)] = 10
    """Turns shown, up to the moment the prediction is made."""
    context_chars: Annotated[int, Field(ge=40)] = 260
    """Characters shown in all."""


class MediationConfig(StrictModel):
    """Mediation of a post-loan talk. Practices are those that next replies follow (`next_reply.max_q`)."""

    context_turns: Annotated[int, Field(ge=1)] = 4
    """Turns shown, the customer's reason last."""
    context_chars: Annotated[int, Field(ge=40)] = 180
    """Characters shown in all."""
    practices: Annotated[int, Field(ge=1, le=9)] = 3
    """Practices shown, of which one is of the customer's situation."""
    candidates: Annotated[int, Field(ge=1, le=9)] = 3
    """Clauses shown, of which one is to be cited."""
    max_clause_chars: Annotated[int, Field(ge=20)] = 80
    """A longer clause is shown by its sentences nearest to what was said."""


class PreferenceConfig(StrictModel):
    """Preference pairs to the prompts of next replies, in files of their own."""

    pairs: Annotated[int, Field(ge=0)] = 1
    """Largest number of pairs to one next-reply row; 0 for none."""
    breaches: bool = True
    """Whether words that break a rule are among the rejected answers, marked as such; without them both are lawful."""


class TaskConfigs(StrictModel):
    """What each builder is told, by task; a part of BuildConfig."""

    policy_qa: PolicyQAConfig = PolicyQAConfig()
    """Policy question answering."""
    quality_inspection: QualityInspectionConfig = QualityInspectionConfig()
    """Quality inspection."""
    next_reply: NextReplyConfig = NextReplyConfig()
    """Next reply."""
    negotiation: NegotiationConfig = NegotiationConfig()
    """Repayment negotiation."""
    intent: IntentConfig = IntentConfig()
    """Intent."""
    call_summary: CallSummaryConfig = CallSummaryConfig()
    """Call summary."""
    handoff_triage: HandoffTriageConfig = HandoffTriageConfig()
    """Hand-off triage."""
    complaint_prediction: ComplaintPredictionConfig = ComplaintPredictionConfig()
    """Complaint prediction."""
    mediation: MediationConfig = MediationConfig()
    """Mediation."""
    preference: PreferenceConfig = PreferenceConfig()
    """Preference pairs."""
    finance_qa: FinanceQAConfig = FinanceQAConfig()
    """Open finance instructions."""
