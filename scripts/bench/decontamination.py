"""Decontamination: copies of evaluation items that are found by how they were changed, false alarms, and speed.

    python scripts/bench/decontamination.py DISC_FINLLM CROSSWOZ --dialogues examples/raw/dialogues.jsonl

DISC_FINLLM holds the sets that are looked for. Each item is planted in a dialogue, as it is and changed by a seed.

False alarms are hits in the dialogues themselves, in one set's rows of another set's items, and (whole conversations as
items) of CrossWOZ's test dialogues in its validation dialogues, which talk about the same things in the same way.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import re
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from data_recipes.cleaning.decontamination import Contamination, dialogue_text
from data_recipes.cleaning.evaluation import EvaluationSet, Item, read_items
from tianjing.records import Dialogue

SETS = ("computing_eval.json", "computing_part.json", "consulting_part.json", "task_part.json", "retriever_eval.json")
SHARES = (0.1, 0.2, 0.3, 0.5)
NAMES = ("王小明", "欧阳娜", "李雷", "张三丰")


def other_numbers(text: str, rng: random.Random) -> str:
    return re.sub(r"\d+(?:\.\d+)?", lambda _: str(rng.randint(1, 9999)), text)


def other_names(text: str, rng: random.Random) -> str:
    """A name in place of two characters, once in forty characters."""
    places = [match.start() for match in re.finditer(r"[一-鿿]{2}", text)]
    changed, last = "", 0
    for at in sorted(rng.sample(places, min(len(places), max(1, len(text) // 40)))):
        if at >= last:
            changed, last = changed + text[last:at] + rng.choice(NAMES), at + 2
    return changed + text[last:]


def other_order(text: str, rng: random.Random) -> str:
    sentences = re.findall(r"[^。！？；\n]+[。！？；\n]?", text)
    rng.shuffle(sentences)
    return "".join(sentences)


CHANGES: dict[str, Callable[[str, random.Random], str]] = {
    "verbatim": lambda text, rng: text,
    "numbers": other_numbers,
    "names": other_names,
    "reordered": other_order,
    "all three": lambda text, rng: other_order(other_numbers(other_names(text, rng), rng), rng),
}


def found(index: Contamination, texts: list[str]) -> int:
    return sum(hit is not None for hit in index.find_many(texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("disc_finllm", type=Path)
    parser.add_argument("crosswoz", type=Path)
    parser.add_argument("--dialogues", type=Path, default=Path("examples/raw/dialogues.jsonl"))
    arguments = parser.parse_args()
    lines = arguments.dialogues.read_text(encoding="utf-8").splitlines()
    dialogues = [dialogue_text(Dialogue.model_validate_json(line)) for line in lines]
    sets = [
        EvaluationSet(name=name, path=name, question_fields=("question",) if "retriever" in name else ())
        for name in SETS
    ]
    items = {source.name: list(read_items(source, arguments.disc_finllm)) for source in sets}
    planted = [item for some in items.values() for item in some if len(item.question) >= 25]
    conversations = {
        name: ["\n".join(m["content"] for m in d["messages"]) for d in _crosswoz(arguments.crosswoz, name)]
        for name in ("val", "test")
    }
    print(f"{len(planted)} items planted; {platform.machine()}")
    print(
        f"{'share':>6}" + "".join(f"{name:>11}" for name in CHANGES) + f"{'dialogues':>11}{'sets':>6}{'CrossWOZ':>10}"
    )
    for share in SHARES:
        index = Contamination(sets, arguments.disc_finllm, share)
        recall = [found(index, _plant(planted, dialogues, change)) / len(planted) for change in CHANGES.values()]
        crossed = sum(_crossed(source, items, arguments.disc_finllm, share) for source in sets)
        alarms = f"{found(index, dialogues):>11}{crossed:>6}{_conversations(conversations, share):>10}"
        print(f"{share:>6}" + "".join(f"{value:>11.3f}" for value in recall) + alarms)
    index = Contamination(sets, arguments.disc_finllm)
    index.find_many(dialogues)
    started = time.process_time()
    index.find_many(dialogues * 5)
    micros = (time.process_time() - started) / len(dialogues) / 5 * 1e6
    print(f"{micros:.1f} core-us a dialogue of {sum(map(len, dialogues)) / len(dialogues):.0f} characters")


def _plant(items: list[Item], dialogues: list[str], change: Callable[[str, random.Random], str]) -> list[str]:
    rng = random.Random(0)
    return [
        f"{rng.choice(dialogues)}\n{change(item.question, rng)}\n{change(item.answer, rng)}\n{rng.choice(dialogues)}"
        for item in items
    ]


def _crossed(source: EvaluationSet, items: dict[str, list[Item]], root: Path, share: float) -> int:
    rows = [f"{i.question}\n{i.answer}" for name, some in items.items() if name != source.name for i in some]
    return found(Contamination([source], root, share), rows)


def _conversations(conversations: dict[str, list[str]], share: float) -> int:
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"question": text} for text in conversations["test"]]
        (Path(folder) / "test.json").write_text(json.dumps(rows), encoding="utf-8")
        index = Contamination([EvaluationSet(name="CrossWOZ", path="test.json")], Path(folder), share)
    return found(index, conversations["val"])


def _crosswoz(folder: Path, name: str) -> list[dict]:
    with zipfile.ZipFile(folder / f"{name}.json.zip") as archive, archive.open(f"{name}.json") as stream:
        return list(json.load(stream).values())


if __name__ == "__main__":
    main()
