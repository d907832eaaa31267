"""Settings of the hand-off desk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import Field

from serving.handoff.signals import KINDS, urgency
from tianjing.config import StrictModel

_HOUR: Final = 60
_DAY: Final = 24 * _HOUR


class DueMinutes(StrictModel):
    """Minutes from opening a case until a person must have dealt with it, by its most urgent reason."""

    self_harm: int = Field(default=5, ge=1)
    """Somebody must speak to the customer at once."""
    fraud: int = Field(default=_HOUR, ge=1)
    """Money may still be stopped."""
    third_party: int = Field(default=_DAY, ge=1)
    """Before the number is called again."""
    lawyer: int = Field(default=_DAY, ge=1)
    """Before the other side takes the next step."""
    complaint: int = Field(default=15 * _DAY, ge=1)
    """A simple complaint is decided and answered within 15 days (银行业保险业消费投诉处理管理办法, 2020)."""
    dispute: int = Field(default=15 * _DAY, ge=1)
    """As a complaint, which it becomes when nobody answers."""
    hardship: int = Field(default=3 * _DAY, ge=1)
    """Before the next instalment makes it worse."""
    human_wanted: int = Field(default=10, ge=1)
    """The customer waits in the conversation."""
    repeated_failure: int = Field(default=10, ge=1)
    """The customer waits in the conversation."""

    def of(self, reasons: Iterable[str]) -> int:
        """Minutes for the most urgent reason; the guard's own reasons count as a complaint's rank with an hour."""
        known = [reason for reason in reasons if reason in KINDS]
        return int(getattr(self, KINDS[urgency(known)])) if known else _HOUR


class LearnedSettings(StrictModel):
    """The learned part of the signals, beside the patterns."""

    enabled: bool = True
    """Without it only the patterns are read: they miss a third of what customers say in words of their own."""

    margin: float = Field(default=0, ge=-5, le=5)
    """Logits that a kind must score beyond its threshold when no pattern found it: larger hands off less. The
    thresholds themselves stand in the file of weights, as they came out of cross-validation. Talk of dying needs no
    margin."""


class HandoffSettings(StrictModel):
    """The `handoff` section of the endpoint's configuration."""

    postgres: str | None = None
    """Connection string of PostgreSQL (libpq form, extra `postgres`), for gateways on several hosts; without it the
    cases lie in a SQLite file that the gateways of one host share. Leave the password to PGPASSFILE or PGPASSWORD."""

    connections: int = Field(default=4, ge=1, le=64)
    """Connections to PostgreSQL of each gateway: hand-offs are rare, the look-up of a session takes 0.3 ms."""

    store_timeout_s: float = Field(default=3, gt=0)
    """Seconds that the store may take to connect or to answer before a hand-off is refused with 503."""

    due_minutes: DueMinutes = DueMinutes()
    """Deadlines by kind of reason."""

    learned: LearnedSettings = LearnedSettings()
    """What is told by the learned model where no pattern is found."""

    failures: int = Field(default=3, ge=1)
    """Answers of one session blocked or failed, or messages saying that an answer did not help, that bring a person."""

    failures_window_s: float = Field(default=1800, gt=0)
    """Seconds after which a failure is forgotten: half an hour is one conversation."""

    most_waiting: int = Field(default=512, ge=0)
    """Callers who may wait for news at the same time; a further one is answered at once with what there is."""

    most_transcript_chars: int = Field(default=8000, ge=100)
    """Characters of the conversation that a case keeps, the latest; how many older turns are left out stands
    in their place."""
