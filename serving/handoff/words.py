"""What an agent is about to tell a customer, held against the same rules as the model's answers.

People are told, not blocked: the rulebook's findings are warnings beside the message that was sent. The exception is
data that identifies a person (a number of a card, a phone, a document): the desk holds masked text only and cannot
know whose it is, so such a message is refused, and the agent writes the last digits instead.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from tianjing.privacy import KINDS, find
from tianjing.records import DEFAULT_TIME_ZONE
from tianjing.rulebook import Rulebook

IDENTIFYING: Final = frozenset(
    {"mobile", "id_card", "permit", "passport", "bank_card", "plate", "email", "wechat", "qq", "birth_date"}
)


@dataclass(frozen=True)
class Remarks:
    """What was found in an agent's message.

    Attributes:
        refused: kinds of identifying data, as people call them; with any, the message is not sent.
        warnings: ids of broken rules, then `pii:` and the kind of other personal data.
    """

    refused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


Check = Callable[[str], Remarks]


class AgentWords:
    """Checks messages by the rules in force today.

    Args:
        book: the rules for this institution and a chat; the shipped ones, read with the first message, without it.
    """

    def __init__(self, book: Rulebook | None = None):
        self._given = book

    @functools.cached_property
    def _book(self) -> Rulebook:
        return self._given or Rulebook.load().within("consumer_finance", channel="chat")

    def __call__(self, text: str) -> Remarks:
        kinds = dict.fromkeys(finding.kind for finding in find(text))
        today = datetime.now(ZoneInfo(DEFAULT_TIME_ZONE)).date()
        broken = dict.fromkeys(hit.rule.id for hit in self._book.on(today).matcher("agent").find(text))
        refused = tuple(KINDS[kind] for kind in kinds if kind in IDENTIFYING)
        warnings = (*broken, *(f"pii:{kind}" for kind in kinds if kind not in IDENTIFYING))
        return Remarks(refused, warnings)
