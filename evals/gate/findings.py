"""What the gate says: a verdict, and one finding for every rule and precondition behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["PROMOTE", "BLOCK", "INCONCLUSIVE", "INVALID"]
EXIT_CODES: dict[Verdict, int] = {"PROMOTE": 0, "BLOCK": 1, "INCONCLUSIVE": 2, "INVALID": 3}
_SEVERITY: tuple[Verdict, ...] = ("INVALID", "BLOCK", "INCONCLUSIVE", "PROMOTE")

Kind = Literal["precondition", "target", "guardrail", "absolute", "zero_tolerance", "advisory"]


@dataclass(frozen=True)
class Finding:
    """One rule of the policy and what it says: PROMOTE means that this rule holds.

    Attributes:
        remedy: what would settle it, or mend it; empty where the rule holds.
        name: task and metric; unlike the reason the same in every evaluation.
        metric: what the rule is about; empty where it is no rule's finding.
    """

    verdict: Verdict
    reason: str
    kind: Kind
    remedy: str = ""
    name: str = ""
    metric: str = ""

    @property
    def label(self) -> str:
        """`ok`, `note` for what never decides, or the verdict."""
        return "note" if self.kind == "advisory" else "ok" if self.verdict == "PROMOTE" else self.verdict

    def __str__(self) -> str:
        return f"{self.label}: {self.reason}" + (f" → {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Decision:
    """The verdict and every finding, the most severe first."""

    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]


def decision(findings: Sequence[Finding]) -> Decision:
    """An evaluation that cannot be trusted is INVALID, proven harm BLOCKs, what is not proven either way is
    INCONCLUSIVE, and only what is left is PROMOTEd."""
    # Notes stand last; otherwise in the order of the policy.
    ranked = sorted(findings, key=lambda finding: (finding.kind == "advisory", _SEVERITY.index(finding.verdict)))
    return Decision(ranked[0].verdict, tuple(ranked))
