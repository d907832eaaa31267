"""Write timeline.jsonl and proposals.jsonl into a knowledge artefact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from data_recipes.timeline.proposals import proposals
from data_recipes.timeline.records import ProfileProposal
from data_recipes.timeline.sources import TimelineSources
from data_recipes.timeline.timeline import timelines
from tianjing.files import write_jsonl


def write_timelines(
    folder: Path, sources: TimelineSources, breaches: Mapping[str, int] | None = None
) -> tuple[Counter[str], Counter[str]]:
    """Write both files, also when there is nothing to write.

    Returns:
        Rows written (`timelines`, `proposals` and proposals by status), and what is in no timeline, by reason.
    """
    rows: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    rows["timelines"] = write_jsonl(folder / "timeline.jsonl", timelines(sources, breaches, lost))
    rows["proposals"] = write_jsonl(folder / "proposals.jsonl", _counted(proposals(sources), rows))
    return rows, lost


def _counted(found: Iterator[ProfileProposal], rows: Counter[str]) -> Iterator[ProfileProposal]:
    for proposal in found:
        rows[f"proposals_{proposal.status}"] += 1
        yield proposal
