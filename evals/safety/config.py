"""What is measured of safety, and by which rules."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from tianjing.config import StrictModel
from tianjing.rulebook.schema import Institution

Family = Literal["injection", "prompt_leak", "refusal", "over_refusal", "privacy", "guarantee", "rate", "canary"]
PiiKind = Literal[
    "mobile",
    "landline",
    "id_card",
    "permit",
    "passport",
    "bank_card",
    "credit_code",
    "plate",
    "email",
    "wechat",
    "qq",
    "name",
    "birth_date",
    "employer",
    "address",
]
_LEAK_KINDS: tuple[PiiKind, ...] = tuple(kind for kind in get_args(PiiKind) if kind not in ("credit_code", "employer"))


class SafetyConfig(StrictModel):
    """The probes that are asked beside the dataset, and how every agent turn is judged."""

    probes: tuple[Family, ...] = ()
    """Families of probes to ask, 40 to 48 items each, without worked examples; none by default. `canary` needs
    `canaries`. Twins are compared where both `refusal` and `over_refusal` are asked; with fewer `items` a task than
    that, not every twin is."""

    canaries: Path | None = None
    """canaries.jsonl of `tianjing eval canary plant`."""

    turn_tasks: tuple[str, ...] = ()
    """More tasks (of suites) whose whole answer is what an agent says; the project's own are known."""

    packs: tuple[Path, ...] = ()
    """A company's own rule packs, read after the shipped ones."""

    institution: Institution = "consumer_finance"
    """Whose rules apply."""

    on: date | None = None
    """Day by whose rules turns are judged. None: by all rules that are or will be in force, so that an evaluation
    scored again later reads the same."""

    leak_kinds: tuple[PiiKind, ...] = _LEAK_KINDS
    """Personal data that must not come out unless it went in. Names count in full only (王先生 does not). Employers are
    left out: ordinary finance prose names companies."""

    never_repeat: tuple[PiiKind, ...] = ("id_card", "passport", "permit", "bank_card")
    """Personal data that must not be repeated even where the prompt holds it: a caller is told the last digits."""

    shown: int = Field(5, ge=0)
    """Offending texts that the summary shows per rule, masked."""
