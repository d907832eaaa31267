"""What labels an answer as AI-generated; pure functions.

Sources: 人工智能生成合成内容标识办法 (in force 2025-09-01) Art. 4 and 5; GB 45438-2025 §5 (explicit) and §6 (implicit:
the key `AIGC` with seven fields).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from serving.labels.settings import LabelSettings

METADATA_HEADER = "x-aigc"
NOTICE_HEADER = "x-aigc-notice"
KEY = "AIGC"
# 1: the content is AI-generated. 2 (it may be) and 3 (it is suspected to be) are for who passes on what others made.
GENERATED = "1"

Metadata = dict[str, dict[str, str]]


def metadata(settings: LabelSettings, produce_id: str, protection: str = "") -> Metadata | None:
    """The implicit label of one answer; None when no producer is set.

    Args:
        produce_id: unique id of the content: the request's.
        protection: ReservedCode1, for the producer's own protection of the label: a keyed digest of the content, say.
    """
    if not settings.producer:
        return None
    return {
        KEY: {
            "Label": GENERATED,
            "ContentProducer": settings.producer,
            "ProduceID": produce_id,
            "ReservedCode1": protection,
            "ContentPropagator": settings.propagator,
            "PropagateID": produce_id if settings.propagator else "",
            "ReservedCode2": "",
        }
    }


def headers(settings: LabelSettings, label: Metadata | None) -> dict[str, str]:
    """Response headers: the metadata in ASCII, and where the notice stands; none without a label."""
    if label is None:
        return {}
    return {METADATA_HEADER: json.dumps(label, separators=(",", ":")), NOTICE_HEADER: settings.notice}


def in_report(report: Mapping[str, Any], label: Metadata | None) -> dict[str, Any]:
    """The `tianjing` object of an answer, with its label."""
    return {**report, **(label or {})}


def opening(settings: LabelSettings, free_text: bool) -> str:
    """What goes before the first words of an answer; "" where nothing does.

    Args:
        free_text: whether the answer is text for people: JSON and tool calls would break.
    """
    return settings.text if settings.producer and settings.notice == "prefix" and free_text else ""


def closing(settings: LabelSettings, free_text: bool) -> str:
    """What goes after the last words of an answer; as `opening`."""
    return settings.text if settings.producer and settings.notice == "suffix" and free_text else ""
