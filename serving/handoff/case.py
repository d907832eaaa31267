"""A case: one conversation that a person takes over, and what happened to it since."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from serving.handoff.desk import Talk
from serving.handoff.settings import HandoffSettings
from serving.handoff.signals import KINDS, urgency
from tianjing.tasks.handoff_triage import REASONS

Status = Literal["open", "claimed", "answered", "closed"]
STATUSES: Final[tuple[Status, ...]] = ("open", "claimed", "answered", "closed")
# What asked for a person: the customer's words, the guard, or answers that failed.
Asked = Literal["words", "guard", "failures"]
EventKind = Literal["opened", "message", "claimed", "released", "closed"]
Sender = Literal["customer", "agent", "system"]

UNREAD: Final = "（此消息过长或未能脱敏，内容未保留）"
"""Stands in a case for words that the guard refused without having masked them."""

_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that is misread aloud
_ID_CHARS: Final = 13  # 64 bits
_SUMMARY_CHARS: Final = 80
_SPEAKERS: Final = {"user": "customer", "assistant": "assistant"}
_TITLES: Final = {**REASONS, "repeated_failure": "多次未解决"}


def now() -> str:
    """The time in UTC, ISO 8601 with milliseconds: as text it sorts as time."""
    return stamp(datetime.now(UTC))


def stamp(at: datetime) -> str:
    """A time of this module."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Event:
    """One thing that happened to a case. `number` grows within a case; `who` is the agent, "" for others."""

    number: int
    at: str
    kind: EventKind
    sender: Sender
    who: str
    text: str

    def row(self) -> dict[str, Any]:
        """As the API gives it."""
        return {"number": self.number, "at": self.at, "kind": self.kind, "from": self.sender} | {
            name: value for name, value in (("who", self.who), ("text", self.text)) if value
        }


@dataclass(frozen=True)
class Case:
    """One hand-off. Times are ISO 8601 in UTC; every text is masked, except what agents wrote to the customer.

    Attributes:
        request: id of the request that opened it; one request opens one case.
        session, customer: the application's ids, "" without one.
        urgency: rank of the most urgent reason, 0 for self-harm.
        verdict: what asked for a person: words, guard or failures.
        transcript: the conversation before, as (speaker, text); the speaker is customer, assistant, or system for what
            was left out.
        version: number of the last event; grows with every change.
        spoken, delivered: number of the agent's last message, and of the last one that the customer has been given.
    """

    id: str
    tenant: str
    request: str
    session: str
    customer: str
    opened_at: str
    due_at: str
    status: Status
    urgency: int
    reasons: tuple[str, ...]
    verdict: Asked
    summary: str
    transcript: tuple[tuple[str, str], ...]
    claimed_by: str = ""
    closed_at: str = ""
    resolution: str = ""
    outcome: str = ""
    version: int = 1
    spoken: int = 0
    delivered: int = 0

    def row(self) -> dict[str, Any]:
        """The case as `GET /v1/handoffs` lists it: without the conversation."""
        names = (
            *("id", "tenant", "session", "customer", "opened_at", "due_at", "status", "urgency", "reasons", "verdict"),
            *("summary", "claimed_by", "closed_at", "resolution", "outcome", "version"),
        )
        return {name: value for name in names if (value := _plain(getattr(self, name))) != ""}

    def whole(self, events: Iterable[Event]) -> dict[str, Any]:
        """The case as `GET /v1/handoffs/{id}` gives it, with the conversation before and the messages since."""
        said = [event for event in events if event.kind == "message"]
        messages = [{"from": event.sender, "text": event.text, "at": event.at} for event in said]
        transcript = [{"speaker": speaker, "text": text} for speaker, text in self.transcript]
        return {**self.row(), "transcript": transcript, "messages": messages}


def new_case(talk: Talk, reasons: tuple[str, ...], verdict: Asked, settings: HandoffSettings) -> Case:
    """A case about `talk`, opened now."""
    opened = datetime.now(UTC)
    said = last_words(talk)
    titles = "、".join(_TITLES.get(reason, reason) for reason in reasons)
    return Case(
        id=f"H{opened:%Y%m%d}-{''.join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))}",
        tenant=talk.tenant,
        request=talk.request,
        session=clean(talk.session or ""),
        customer=clean(talk.customer or ""),
        opened_at=stamp(opened),
        due_at=stamp(opened + timedelta(minutes=settings.due_minutes.of(reasons))),
        status="open",
        urgency=urgency(reasons),
        reasons=reasons,
        verdict=verdict,
        summary=f"{titles}：{_short(said)}",
        transcript=_transcript(talk, settings.most_transcript_chars),
    )


def last_words(talk: Talk) -> str:
    """The customer's last words, masked; UNREAD when the guard could not read them, "" when there are none."""
    if talk.words and not talk.texts:
        return UNREAD
    return clean(next((text for speaker, text in reversed(talk.texts) if speaker == "user"), ""))


def clean(text: str) -> str:
    """Without NUL, which PostgreSQL does not store."""
    return text.replace("\0", "")


def merged(first: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """Reasons of both, most urgent first, none twice."""
    found = dict.fromkeys((*first, *more))
    return tuple(sorted(found, key=lambda reason: KINDS.index(reason) if reason in KINDS else len(KINDS)))


def _transcript(talk: Talk, most_chars: int) -> tuple[tuple[str, str], ...]:
    """The latest turns of customer and model; what the application told the model is not part of the conversation."""
    turns = [(_SPEAKERS[speaker], clean(text)) for speaker, text in talk.texts if speaker in _SPEAKERS and text]
    kept: list[tuple[str, str]] = []
    for speaker, text in reversed(turns):
        room = most_chars - sum(len(text) for _, text in kept)
        if room <= 0:
            break
        kept.append((speaker, text if len(text) <= room else f"…{text[-room:]}"))
    if left_out := len(turns) - len(kept):
        kept.append(("system", f"（此前{left_out}条未保留）"))
    return tuple(reversed(kept))


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SUMMARY_CHARS else f"{flat[: _SUMMARY_CHARS - 1]}…"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
