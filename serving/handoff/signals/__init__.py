"""When a person must take over: read from the customer's own last words, without any I/O.

A wrong hand-off costs a call, a missed one can cost far more; so what is doubtful goes to a person, but what is
clearly no such case (a question about the rules, a denial, a quotation, a supposition) does not.
"""

from serving.handoff.signals.detection import STAFF_TASKS, detect, policy, prepare, unhelpful
from serving.handoff.signals.kinds import KINDS, Kind, Signal, urgency
from serving.handoff.signals.replies import SAFETY, reply

__all__ = [
    "KINDS",
    "SAFETY",
    "STAFF_TASKS",
    "Kind",
    "Signal",
    "detect",
    "policy",
    "prepare",
    "reply",
    "unhelpful",
    "urgency",
]
