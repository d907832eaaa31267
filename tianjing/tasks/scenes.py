"""Scenes (场景): tasks that one adapter is trained on and served for, so that a change in one leaves the others as they
are.

A name is a folder's and the one under which a server lists the adapter.
"""

from __future__ import annotations

SCENES: dict[str, tuple[str, ...]] = {
    # 服务: what a customer asks, and what a call was about.
    "service": ("policy_qa", "intent", "call_summary", "handoff_triage", "complaint_prediction", "finance_qa"),
    # 贷后: what an agent says next to a customer in arrears, and how agents' words are inspected.
    "post_loan": ("next_reply", "negotiation", "quality_inspection"),
    # 调解: how a dispute after the loan is settled.
    "mediation": ("mediation",),
}
