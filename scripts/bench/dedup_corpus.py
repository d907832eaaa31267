"""The corpus of the dedup benchmark: dialogues with planted near duplicates of known Jaccard index, as JSON Lines."""

from __future__ import annotations

import json
import multiprocessing
import random
import re
import zipfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

SHARD = 20_000
CHARS = 290
COPY_EVERY, COPY_AT = 20, 7


class Planted(NamedTuple):
    """Row of the copy, row of the original, and the Jaccard index of their character 5-grams."""

    row: int
    source: int
    jaccard: float


class Material(NamedTuple):
    """What dialogues are made of: customers' and agents' sentences, and scripts of agents' turns."""

    customer: list[str]
    agent: list[str]
    scripts: list[list[str]]


def material(data: Path, scripts: Path | None) -> Material:
    if scripts is not None:
        with scripts.open(encoding="utf-8") as lines:
            calls = [json.loads(line)["turns"] for line, _ in zip(lines, range(20_000), strict=False)]
        said = [[t["text"] for t in call if t["speaker"] == "agent"] for call in calls]
        customer = {t["text"] for call in calls for t in call if t["speaker"] == "customer"}
        shortest = sorted(customer, key=lambda text: (len(text), text))[:500]
        return Material(shortest, [], sorted(said, key=lambda turns: (-len("".join(turns)), turns))[:10])
    turns: list[str] = []
    for name in ("test.json.zip", "val.json.zip"):
        with zipfile.ZipFile(data / "crosswoz" / name) as archive:
            for dialogue in json.loads(archive.read(archive.namelist()[0])).values():
                turns += [message["content"] for message in dialogue["messages"]]
    laws = (path.read_text(encoding="utf-8") for path in sorted((data / "laws-cn").rglob("*.md")))
    sentences = [part for law in laws for part in re.split(r"(?<=[。；])|\n", law) if 8 <= len(part) <= 70]
    return Material(turns, sentences + turns, [])


def dialogue(made_of: Material, row: int) -> list[str]:
    """Turns of the dialogue number `row`, the same in every process."""
    generator = random.Random(f"dialogue:{row}")

    def vary(sentence: str) -> str:
        return re.sub(r"\d", lambda digit: str(generator.randrange(10)), sentence)

    if made_of.scripts:
        script = generator.choice(made_of.scripts)
        return [part for turn in script for part in (vary(turn), generator.choice(made_of.customer))]
    wanted, turns = generator.gauss(CHARS, 45), list[str]()
    while sum(map(len, turns)) < wanted - 10:
        turns.append(vary(generator.choice(made_of.agent if len(turns) % 2 else made_of.customer)))
    return turns


def grams(text: str) -> frozenset[str]:
    plain = "".join(char for char in text.lower() if char.isalnum())
    return frozenset(plain[i : i + 5] for i in range(len(plain) - 4))


def copied(made_of: Material, row: int, documents: int) -> tuple[list[str], int, float]:
    """An edited copy of another dialogue, that one's row, and their Jaccard index: even between 0.7 and 1."""
    source = (row + documents // 2 + 3) % documents
    generator = random.Random(f"copy:{row}")
    turns = dialogue(made_of, source)
    original = grams("".join(turns))
    wanted = generator.uniform(0.7, 1.0)
    index = 1.0
    while index > wanted:
        place = generator.randrange(len(turns))
        turn, length = turns[place], generator.randint(1, 4)
        start = generator.randrange(max(1, len(turn) - length))
        other = generator.choice(made_of.customer)
        turns[place] = turn[:start] + other[:length] + turn[start + generator.randint(0, length) :]
        own = grams("".join(turns))
        before, index = index, len(original & own) / len(original | own)
        if index < 0.68:
            turns[place], index = turn, before
            wanted += 0.01
    return turns, source, index


def write_shard(made_of: Material, folder: Path, documents: int, first: int) -> list[Planted]:
    planted: list[Planted] = []
    with (folder / f"{first // SHARD:05}.jsonl").open("w", encoding="utf-8") as out:
        for row in range(first, min(first + SHARD, documents)):
            if row % COPY_EVERY == COPY_AT:
                turns, source, index = copied(made_of, row, documents)
                planted.append(Planted(row, source, index))
            else:
                turns = dialogue(made_of, row)
            speakers = ("agent", "customer")
            said = [{"speaker": speakers[i % 2], "text": turn} for i, turn in enumerate(turns)]
            out.write(json.dumps({"id": f"d{row}", "turns": said}, ensure_ascii=False) + "\n")
    return planted


def text_of(line: bytes) -> str:
    return "\n".join(turn["text"] for turn in json.loads(line)["turns"])


def corpus(made_of: Material, folder: Path, documents: int, processes: int) -> tuple[list[Path], list[Planted]]:
    folder.mkdir()
    with multiprocessing.Pool(processes) as pool:
        parts = pool.map(partial(write_shard, made_of, folder, documents), range(0, documents, SHARD), chunksize=1)
    return sorted(folder.glob("*.jsonl")), [pair for part in parts for pair in part]
