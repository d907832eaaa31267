"""Topic segmentation on concatenated dialogues: Pk and WindowDiff of `topics` beside no and evenly spaced boundaries.

    python scripts/bench/segmentation.py CROSSWOZ

CROSSWOZ holds val.json.zip and test.json.zip. Streams of 2 to 8 dialogues are put together by a fixed seed; the truth
is where one ends. Pk (Beeferman et al. 1999) and WindowDiff (Pevzner and Hearst 2002) are error rates with a window of
half the mean length of a true segment: 0 is perfect. Settings are tuned on val; test is only scored.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from data_recipes.cleaning.segment import SegmentConfig, topics
from tianjing.records import Turn

Stream = tuple[list[Turn], list[int]]


def streams(path: Path, seed: int = 0) -> list[Stream]:
    """Turns, and the numbers of the turns that begin a dialogue (0 among them)."""
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as stream:
        dialogues = [
            [Turn(speaker="customer" if m["role"] == "usr" else "agent", text=m["content"]) for m in value["messages"]]
            for value in json.load(stream).values()
        ]
    rng = random.Random(seed)
    rng.shuffle(dialogues)
    found: list[Stream] = []
    while dialogues:
        some = [dialogues.pop() for _ in range(min(rng.randint(2, 8), len(dialogues)))]
        starts = [sum(map(len, some[:i])) for i in range(len(some))]
        found.append(([turn for dialogue in some for turn in dialogue], starts))
    return found


def errors(truth: Sequence[int], guess: Sequence[int], count: int, window: int) -> tuple[float, float]:
    """Pk and WindowDiff of `guess`."""
    true, said = [_before(starts, count) for starts in (truth, guess)]
    places = range(count - window)
    pk = sum((true[i + window] == true[i]) != (said[i + window] == said[i]) for i in places)
    diff = sum((true[i + window] - true[i]) != (said[i + window] - said[i]) for i in places)
    return pk / max(1, len(places)), diff / max(1, len(places))


def _before(starts: Sequence[int], count: int) -> list[int]:
    """Segments begun up to each turn."""
    begun, inside = 0, set(starts)
    found = []
    for i in range(count):
        begun += i in inside
        found.append(begun)
    return found


def score(some: Sequence[Stream], guess: Callable[[list[Turn]], list[int]], window: int) -> tuple[float, float]:
    """Mean Pk and WindowDiff over streams, each turn weighing the same."""
    total = sum(len(turns) for turns, _ in some)
    found = [(errors(truth, guess(turns), len(turns), window), len(turns)) for turns, truth in some]
    return tuple(sum(pair[k] * size for pair, size in found) / total for k in (0, 1))  # type: ignore[return-value]


def _settings() -> Iterator[SegmentConfig]:
    for window in (2, 3, 5):
        for depth in (0.5, 1.5, 2.5, 3.5):
            for cue in (-9.0, -1.0, -0.5, 0.0, 0.5):
                for shortest in (4, 6, 8):
                    yield SegmentConfig(window_turns=window, depth_sd=depth, cue_depth_sd=cue, min_topic_turns=shortest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crosswoz", type=Path)
    parser.add_argument("--tune", action="store_true", help="search the settings on val first (a minute)")
    arguments = parser.parse_args()
    val, test = [streams(arguments.crosswoz / f"{name}.json.zip") for name in ("val", "test")]
    length = round(sum(len(turns) for turns, _ in val) / sum(len(truth) for _, truth in val))
    window = length // 2
    default = SegmentConfig()
    if arguments.tune:
        ranked = sorted(
            (sum(score(val, lambda turns, c=config: topics(turns, c), window)), i, config)  # type: ignore[misc]
            for i, config in enumerate(_settings())
        )
        for value, _, config in ranked[:5]:
            print(f"val {value / 2:.4f}", config.model_dump(exclude={"cues", "closings", "max_pause_minutes"}))
    rows: dict[str, Callable[[list[Turn]], list[int]]] = {
        "no boundary": lambda turns: [0],
        f"every {length} turns": lambda turns: list(range(0, len(turns), length)),
        "words alone": lambda turns: topics(turns, default.model_copy(update={"cues": (), "closings": ()})),
        "topics": lambda turns: topics(turns, default),
    }
    print(f"CrossWOZ, {len(test)} streams of test, mean segment {length} turns, window {window}; {platform.machine()}")
    print(f"{'':16}{'Pk':>8}{'WindowDiff':>12}{'val Pk':>9}{'us/turn':>9}")
    for name, guess in rows.items():
        started = time.process_time()
        pk, diff = score(test, guess, window)
        micros = (time.process_time() - started) / sum(len(turns) for turns, _ in test) * 1e6
        print(f"{name:16}{pk:8.3f}{diff:12.3f}{score(val, guess, window)[0]:9.3f}{micros:9.1f}")


if __name__ == "__main__":
    main()
