"""What several gateways have seen of a canary, added up: each writes its counts beside the state and reads the others'.

Files, not locks: counts that are a second old only make the evidence come a second later.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from serving.adapters.evidence import RATES, Counts, Evidence
from tianjing.files import atomic_write


@dataclass
class Sharing:
    """Counts below `folder`, one folder for each canary and one file in it for each gateway process."""

    folder: Path
    gateway: str = field(default_factory=lambda: secrets.token_hex(6))
    _written: dict[str, str] = field(default_factory=dict)

    def exchange(self, trial: str, evidence: Evidence) -> None:
        """Write ours where it changed, and read the others'."""
        place = self.folder / trial
        counts = {rate: asdict(evidence.counts[rate]) for rate in RATES}
        ours = json.dumps({"guard_errors": evidence.guard_errors, "counts": counts})
        if self._written.get(trial) != ours:
            atomic_write(place / f"{self.gateway}.json", ours)
            self._written[trial] = ours
        others = [json.loads(path.read_bytes()) for path in place.glob("*.json") if path.stem != self.gateway]
        evidence.other_guard_errors = sum(other["guard_errors"] for other in others)
        for rate in RATES:
            evidence.others[rate] = [Counts(**other["counts"][rate]) for other in others]

    def forget(self, running: Iterable[str]) -> None:
        """Delete the counts of canaries that are over."""
        kept = set(running)
        self._written = {trial: text for trial, text in self._written.items() if trial in kept}
        if self.folder.is_dir():
            for place in self.folder.iterdir():
                if place.name not in kept:
                    shutil.rmtree(place, ignore_errors=True)
