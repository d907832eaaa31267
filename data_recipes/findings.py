"""Which turn an entry of the operation log speaks of, as inspectors' findings do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Tables and XES hand numbers on as text, some of them by way of a float. Nobody speaks a thousand million turns.
_WRITTEN = re.compile(r"\s*(\d{1,9})(?:\.0+)?\s*")


def turn_of(attributes: Mapping[str, Any]) -> int | None:
    """The number in `turn`, from 0: an integer, a whole float, or either as text; None where none can be read."""
    turn = attributes.get("turn")
    if isinstance(turn, str):
        written = _WRITTEN.fullmatch(turn)
        return int(written[1]) if written else None
    if isinstance(turn, float) and turn.is_integer():
        turn = int(turn)
    return turn if isinstance(turn, int) and not isinstance(turn, bool) and turn >= 0 else None
