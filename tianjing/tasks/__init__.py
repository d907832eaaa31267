"""Every task the model is asked to do, by id."""

from tianjing.tasks.base import Fields, Reading, Reference, Task, conversation, prompt
from tianjing.tasks.call_summary import CallSummary
from tianjing.tasks.complaint_prediction import ComplaintPrediction
from tianjing.tasks.finance_qa import FinanceQA
from tianjing.tasks.handoff_triage import HandoffTriage
from tianjing.tasks.intent import Intent
from tianjing.tasks.mediation import Mediation
from tianjing.tasks.negotiation import Negotiation
from tianjing.tasks.next_reply import NextReply
from tianjing.tasks.policy_qa import PolicyQA
from tianjing.tasks.quality_inspection import QualityInspection
from tianjing.tasks.scenes import SCENES

_ALL: tuple[Task, ...] = (
    PolicyQA(),
    QualityInspection(),
    NextReply(),
    Negotiation(),
    Intent(),
    CallSummary(),
    HandoffTriage(),
    ComplaintPrediction(),
    Mediation(),
    FinanceQA(),
)
TASKS: dict[str, Task] = {task.id: task for task in _ALL}

__all__ = ["SCENES", "TASKS", "Fields", "Reading", "Reference", "Task", "conversation", "prompt"]
