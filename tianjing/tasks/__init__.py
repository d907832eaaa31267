"""Every task the model is asked to do, by id."""

from tianjing.tasks.base import Fields, Reading, Reference, Task, conversation, prompt
from tianjing.tasks.finance_qa import FinanceQA
from tianjing.tasks.next_reply import NextReply
from tianjing.tasks.policy_qa import PolicyQA
from tianjing.tasks.quality_inspection import QualityInspection

TASKS: dict[str, Task] = {task.id: task for task in (PolicyQA(), QualityInspection(), NextReply(), FinanceQA())}

__all__ = ["TASKS", "Fields", "Reading", "Reference", "Task", "conversation", "prompt"]
