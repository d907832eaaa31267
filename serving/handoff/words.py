"""What an agent is about to tell a customer, held against the same rules as the model's answers.

People are told, not blocked: the rulebook's findings are warnings beside the message that was sent. The exception is
data that identifies a person (a number of a card, a phone, a document): the desk holds masked text only and cannot
know whose it is, so such a message is refused, and the agent writes the last digits instead.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from tianjing.privacy import KINDS, find
from tianjing.records import DEFAULT_TIME_ZONE
from tianjing.rulebook import Rulebook
from tianjing.rulebook.schema import Institution

CHANNEL: Final = "chat"
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
    """Checks messages by the rules in force today. The rules are read with the first message: that takes two seconds,
    and many gateways never have one."""

    def __init__(self, packs: Sequence[Path] = (), institution: Institution = "consumer_finance"):
        self._packs = tuple(packs)
        self._institution: Institution = institution

    @functools.cached_property
    def _book(self) -> Rulebook:
        return Rulebook.load(self._packs).within(self._institution, channel=CHANNEL)

    def __call__(self, text: str) -> Remarks:
        kinds = dict.fromkeys(finding.kind for finding in find(text))
        today = datetime.now(ZoneInfo(DEFAULT_TIME_ZONE)).date()
        broken = dict.fromkeys(hit.rule.id for hit in self._book.on(today).matcher("agent").find(text))
        refused = tuple(KINDS[kind] for kind in kinds if kind in IDENTIFYING)
        warnings = (*broken, *(f"pii:{kind}" for kind in kinds if kind not in IDENTIFYING))
        return Remarks(refused, warnings)
