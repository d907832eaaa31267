"""Readers of the labelled dialogues that scripts/bench/tagging.py scores on."""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_recipes.experience.tagging.features import Utterance
from data_recipes.experience.tagging.turns import END, START

TUNED = (
    ("apartment_schedule", "apartment_search"),
    ("doctor_followup", "doctor_schedule"),
    ("hotel_book", "hotel_search"),
    ("party_plan", "party_rsvp"),
    ("plane_book", "plane_search"),
)
"""Pairs of tasks of STAR that settings were tuned on: ten of the first twelve in the alphabet without the bank's."""
BANK = ("bank_balance", "bank_fraud_report")
REPORTED = (
    BANK,
    ("restaurant_book", "restaurant_search"),
    ("ride_book", "ride_change", "ride_status"),
    ("spaceship_access_codes", "spaceship_life_support"),
    ("trip_directions",),
    ("trivia",),
    ("weather",),
)
"""The other half. Of it only the bank's pair was looked at before, once, with the peer alone."""


@dataclass(frozen=True)
class Turns:
    """Utterances with their gold labels: for CrossWOZ several acts joined by +."""

    utterances: list[Utterance]
    labels: list[str]


def star(folder: Path) -> dict[str, Turns]:
    """Task -> what wizards typed in complete single-task dialogues, with the action they then picked.

    The text is the wizard's own draft (`request_suggestions`), never the template that the picked suggestion holds.
    """
    found: dict[str, Turns] = defaultdict(lambda: Turns([], []))
    with tarfile.open(folder / "dialogues.tar.gz") as archive:
        names = sorted(member.name for member in archive if member.name.endswith(".json"))
        for name in names:
            stream = archive.extractfile(name)
            assert stream is not None
            dialogue = json.load(stream)
            tasks = dialogue["Scenario"]["WizardCapabilities"]
            if len(tasks) == 1 and dialogue["CompletionLevel"] == "Complete":
                drafts = list(_drafts(dialogue["Events"]))
                for number, (text, before, label, clicks) in enumerate(drafts):
                    last = len(drafts) - 1
                    place = (f"from{min(number, 4)}", f"left{min(last - number, 2)}")
                    found[tasks[0]["Task"]].labels.append(label)
                    found[tasks[0]["Task"]].utterances.append(
                        Utterance(
                            text,
                            before,
                            drafts[number - 1][0] if number else START,
                            drafts[number + 1][0] if number < last else END,
                            (*place, *clicks),
                        )
                    )
    return dict(found)


def _drafts(events: list[dict[str, Any]]) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    before, draft, clicks = "", None, []
    for event in events:
        match event["Agent"], event["Action"]:
            case "User", "utter":
                before, draft = event["Text"], None
            case "Wizard", "request_suggestions":
                draft = event["Text"]
            case "Wizard", "query":
                clicks.append("query")
            case "KnowledgeBase", _:
                clicks.append("found" if event.get("Item") else "nothing")
            case "Wizard", "pick_suggestion":
                if draft is not None:
                    yield draft, before, event["ActionLabel"], tuple(clicks)
                draft, clicks = None, []


def dstc11(folder: Path) -> dict[str, Turns]:
    """Domain -> customers' utterances with their intents."""
    files = {"insurance": "development", "banking": "test-banking", "finance": "test-finance"}
    found = {}
    for domain, name in files.items():
        rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        found[domain] = Turns([Utterance(row["utterance"]) for row in rows], [row["intent"] for row in rows])
    return found


def crosswoz(folder: Path, part: str) -> Turns:
    """Turns of both sides with their acts: the intents, and for General what is said (greet, thank, bye, reqmore)."""
    turns = Turns([], [])
    with zipfile.ZipFile(folder / f"{part}.json.zip") as archive:
        dialogues = json.loads(archive.read(archive.namelist()[0]))
    for dialogue in dialogues.values():
        messages = dialogue["messages"]
        for number, message in enumerate(messages):
            acts = {act[1] if act[0] == "General" else act[0] for act in message["dialog_act"]}
            if not acts:
                continue
            turns.labels.append("+".join(sorted(acts)))
            turns.utterances.append(
                Utterance(
                    message["content"],
                    messages[number - 1]["content"] if number else "",
                    messages[number - 2]["content"] if number > 1 else START,
                    messages[number + 2]["content"] if number + 2 < len(messages) else END,
                    (message["role"],),
                )
            )
    return turns
