"""Perturbations: how often each applies, what its checks drop, whether they catch a changed meaning, and speed.

    python scripts/bench/evals_perturb.py --cases 1600 --data ../shared/data

Items come from simulated dialogues and, with --data, from statutes and open finance instructions; from the former also
multiple-choice questions and scanned documents in the form of a suite. Every variant that passed its checks is then
spoilt in ways that change what the item says (a number, a unit, a negation, a name, a limit, the quotation, an entry of
the material, the id of an option): each spoilt one must be refused. Exit 1 below 99 %.
"""

from __future__ import annotations

import argparse
import copy
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evals_perturb_material import Choice, Paper, material

from evals.config import EvalConfig
from evals.perturb import NOT_APPLICABLE, Asked, checks, family_of, refused
from evals.perturb.ordering import needed
from evals.perturb.slots import gold_strings, strings
from evals.plan import choose_items
from evals.records import Item, Variant
from evals.requests import build_requests
from tianjing.records import Example
from tianjing.tasks import TASKS, Reference, Task

WANTED = 0.99
SEED = 20260101


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1600, help="simulated dialogues (default 1600)")
    parser.add_argument("--items", type=int, default=60, help="items per task (default 60)")
    parser.add_argument("--data", type=Path, help="folder with laws-cn and disc-finllm")
    parser.add_argument("--work", type=Path, help="keep the datasets here, and use those that are there")
    parser.add_argument("--examples", type=int, default=30, help="variants printed side by side (default 30)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = list(material(given.work or Path(scratch), given.cases, given.data))
    tasks: dict[str, Task] = {**TASKS, "choice": Choice(), "paper": Paper()}
    config = EvalConfig(
        items=given.items, stability_items=given.items, conditions="full", max_model_len=4096, seed=SEED
    )
    began = time.perf_counter()
    items = choose_items(rows, config, tasks)
    seconds = time.perf_counter() - began
    made = sum(len(item.variants) for item in items)
    print(f"{len(rows)} rows, {len(items)} items, {made} variants in {seconds:.1f} s: {made / seconds:.0f} a second")
    began = time.perf_counter()
    requests = build_requests(items, {}, config, tasks)
    planned = time.perf_counter() - began
    for _ in requests:
        pass
    seconds = time.perf_counter() - began
    print(f"{len(requests)} requests: planned in {planned:.2f} s, planned and rendered in {seconds:.2f} s\n")
    applied(items)
    caught = planted(items, rows, tasks)
    side_by_side(items, tasks, given.examples)
    return 0 if caught >= WANTED else 1


def applied(items: Sequence[Item]) -> None:
    """Table: for which share of the items a condition applies, and what its checks drop."""
    used: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        for name in item.variants:
            used[family_of(name).name]["used"] += 1
        for name, reason in item.dropped.items():
            family = family_of(name).name
            used[family]["none" if reason == NOT_APPLICABLE else "dropped"] += 1
            if reason != NOT_APPLICABLE:
                reasons[family][reason] += 1
    print(f"{'family':12}{'class':>6}{'items':>8}{'variants':>10}{'dropped':>9}  by which check")
    for family, counts in used.items():
        having = sum(any(family_of(name).name == family for name in item.variants) for item in items) / len(items)
        tried = counts["used"] + counts["dropped"]
        dropped = f"{counts['dropped'] / tried:.1%}" if tried else "–"
        why = ", ".join(f"{reason} {count}" for reason, count in reasons[family].most_common())
        print(f"{family:12}{family_of(family).invariance:>6}{having:8.0%}{counts['used']:10}{dropped:>9}  {why}")


Spoil = Callable[[Asked, dict[str, Any], random.Random], dict[str, Any] | None]


def planted(items: Sequence[Item], rows: Sequence[Example], tasks: Mapping[str, Task]) -> float:
    """Table: share of the spoilt variants that are refused, by what was done to them."""
    rng = random.Random(SEED)
    references: dict[str, list[Reference]] = defaultdict(list)
    for row in rows:
        references[row.task].append(row.reference)
    done: dict[str, Counter[str]] = defaultdict(Counter)
    missed: list[str] = []
    for item in items:
        for name, variant in item.variants.items():
            if variant.fields is None:
                continue
            asked = Asked(tasks[item.task], item.fields, item.reference)
            known = checks.probes(asked, references[item.task][:200], rng)
            for kind, spoil in SPOILS.items():
                fields = spoil(asked, copy.deepcopy(variant.fields), rng)
                if fields is None or fields == variant.fields:
                    continue
                spoilt = Variant(fields=fields, before=variant.before, check=variant.check)
                reason = refused(asked, family_of(name), spoilt, lambda known=known: known)  # type: ignore[misc]
                hit = set(strings(variant.fields)) - set(strings(fields))
                where = "reworded" if hit - set(strings(item.fields)) else "given"
                done[kind][f"{where} {'missed' if reason is None else 'refused'}"] += 1
                if reason is None:
                    missed.append(f"{kind}, {name} of {item.id}: {_difference(variant.fields, fields)}")
    print(f"\n{'spoilt':24}{'in reworded text':>18}{'refused':>9}{'in the rest':>14}{'refused':>9}")
    total: Counter[str] = Counter()
    for kind, counts in done.items():
        print(f"{kind:24}{_refused(counts, 'reworded', 18)}{_refused(counts, 'given', 14)}")
        total += counts
    print(f"{'all':24}{_refused(total, 'reworded', 18)}{_refused(total, 'given', 14)}   wanted {WANTED:.0%}")
    for line in missed[:12]:
        print(f"  missed: {line}")
    return 1 - len(missed) / total.total()


def _refused(counts: Counter[str], where: str, width: int) -> str:
    tried = counts[f"{where} refused"] + counts[f"{where} missed"]
    share = f"{counts[f'{where} refused'] / tried:.2%}" if tried else "–"
    return f"{tried:{width}}{share:>9}"


def _difference(before: Any, after: Any) -> str:
    return "; ".join(f"{a} → {b}" for a, b in zip(strings(before), strings(after), strict=False) if a != b)[:200]


def _in_texts(change: Callable[[str, random.Random], str | None]) -> Spoil:
    """Change one string of what was given, if it can be one that the variant words anew.

    What a variant adds (small talk, clauses) decides nothing, and is left alone.
    """

    def spoil(asked: Asked, fields: dict[str, Any], rng: random.Random) -> dict[str, Any] | None:
        given = set(strings(asked.fields))
        grown = any(len(fields.get(name, ())) > len(asked.fields.get(name, ())) for name in ("turns", "clauses"))
        texts = [text for text in dict.fromkeys(strings(fields)) if len(text) > 1 and (text in given or not grown)]
        for text in sorted(rng.sample(texts, len(texts)), key=lambda text: text in given):
            changed = change(text, rng)
            if changed is not None and changed != text:
                return _replaced(fields, text, changed)
        return None

    return spoil


def _replaced(value: Any, text: str, by: str) -> Any:
    if isinstance(value, str):
        return by if value == text else value
    if isinstance(value, dict):
        return {key: _replaced(entry, text, by) for key, entry in value.items()}
    if isinstance(value, list):
        return [_replaced(entry, text, by) for entry in value]
    return value


def _other_number(text: str, rng: random.Random) -> str | None:
    found = list(re.finditer(r"(?<![A-Za-z〔姓名手机])\d", text)) or list(
        re.finditer(r"[二三四五六七八九](?=[十百千万期天年元块号])", text)
    )
    if not found:
        return None
    match = rng.choice(found)
    digits = "123456789" if match[0].isascii() else "二三四五六七八九"
    other = rng.choice([digit for digit in digits if digit != match[0]])
    return text[: match.start()] + other + text[match.end() :]


def _other_unit(text: str, rng: random.Random) -> str | None:
    units = {"个月": "天", "天": "个月", "期": "年", "%": "‰", "万": "千", "元": "万元", "小时": "天"}
    match = re.search(rf"(?<=[\d一二三四五六七八九十百])(?:{'|'.join(units)})", text)
    return text[: match.start()] + units[match[0]] + text[match.end() :] if match else None


def _without_negation(text: str, rng: random.Random) -> str | None:
    found = list(re.finditer(r"[不没未无别莫]", text))
    if not found:
        return None
    match = rng.choice(found)
    return text[: match.start()] + text[match.end() :]


def _with_negation(text: str, rng: random.Random) -> str | None:
    match = re.search(r"(?<![不没])(?:可以|能|会|要|是|有|想|还)", text)
    return text[: match.start()] + ("没" if match[0] == "有" else "不") + text[match.start() :] if match else None


def _other_name(text: str, rng: random.Random) -> str | None:
    for pattern, by in (
        (r"〔(姓名|手机|信息)(\d+)〕", r"〔\g<1>9\2〕"),
        (r"《.([^》]*)》", r"《别\1》"),
        (r"[王李张刘陈](先生|女士)", r"赵\1"),
    ):
        changed = re.sub(pattern, by, text, count=1)
        if changed != text:
            return changed
    return None


def _other_limit(text: str, rng: random.Random) -> str | None:
    limits = {
        "最多": "至少",
        "至少": "最多",
        "不超过": "超过",
        "以上": "以下",
        "以内": "以外",
        "不得": "应当",
        "应当": "不得",
        "之前": "之后",
        "每": "全部",
    }
    match = re.search("|".join(limits), text)
    return text[: match.start()] + limits[match[0]] + text[match.end() :] if match else None


def _other_time(text: str, rng: random.Random) -> str | None:
    times = {
        "明天": "昨天",
        "今天": "明天",
        "下个月": "上个月",
        "这个月": "下个月",
        "已经": "准备",
        "月底": "月初",
        "上午": "下午",
    }
    match = re.search("|".join(times), text)
    return text[: match.start()] + times[match[0]] + text[match.end() :] if match else None


def _other_word(text: str, rng: random.Random) -> str | None:
    words = {
        "失业": "生病",
        "下岗": "住院",
        "生意": "工作",
        "同意": "拒绝",
        "投诉": "咨询",
        "分期": "延期",
        "罚息": "本金",
        "忘": "拖",
    }
    match = re.search("|".join(words), text)
    return text[: match.start()] + words[match[0]] + text[match.end() :] if match else None


def _lost_word(asked: Asked, fields: dict[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """Two characters of what was given are gone; those of an added filler are no loss."""
    given = "\n".join(strings(asked.fields))

    def change(text: str, rng: random.Random) -> str | None:
        found = [match for match in re.finditer(r"[一-鿿]{2}", text) if text[match.start() :][:4] in given]
        if len(found) < 3:
            return None
        match = rng.choice(found)
        return text[: match.start()] + text[match.end() :]

    return _in_texts(change)(asked, fields, rng)


def _added_words(text: str, rng: random.Random) -> str | None:
    return (
        text + rng.choice(("我朋友说的。", "钱我昨天转过了。", "我要告你们。", "这事算了吧。"))
        if len(text) > 5
        else None
    )


def _broken_quotation(asked: Asked, fields: dict[str, Any], rng: random.Random) -> dict[str, Any] | None:
    quoted = [text for text in gold_strings(asked) if len(text) > 4 and not re.fullmatch(r"[\d.,元]+", text)]
    for quotation in quoted:
        place = rng.randrange(1, len(quotation) - 1)
        for text in strings(fields):
            if quotation in text:
                return _replaced(fields, text, text.replace(quotation, quotation[:place] + quotation[place + 1 :]))
    return None


def _lost_entry(asked: Asked, fields: dict[str, Any], rng: random.Random) -> dict[str, Any] | None:
    for name in ("clauses", "rules", "intents", "practices"):
        wanted = [entry for entry in fields.get(name, ()) if needed(entry, asked.reference)]
        if wanted:
            return fields | {name: [entry for entry in fields[name] if entry != wanted[0]]}
    return None


def _lost_turn(asked: Asked, fields: dict[str, Any], rng: random.Random) -> dict[str, Any] | None:
    given = [turn for turn in fields.get("turns", ()) if turn in asked.fields["turns"]]
    return fields | {"turns": [turn for turn in fields["turns"] if turn != given[-1]]} if len(given) > 1 else None


def _swapped_ids(asked: Asked, fields: dict[str, Any], rng: random.Random) -> dict[str, Any] | None:
    ids = fields.get("ids")
    return fields | {"ids": [ids[1], ids[0], *ids[2:]]} if ids else None


SPOILS: dict[str, Spoil] = {
    "a number changed": _in_texts(_other_number),
    "a unit changed": _in_texts(_other_unit),
    "a negation dropped": _in_texts(_without_negation),
    "a negation added": _in_texts(_with_negation),
    "a name swapped": _in_texts(_other_name),
    "a limit turned round": _in_texts(_other_limit),
    "a time turned": _in_texts(_other_time),
    "a deciding word changed": _in_texts(_other_word),
    "a word lost": _lost_word,
    "words added": _in_texts(_added_words),
    "a quotation broken": _broken_quotation,
    "a needed entry lost": _lost_entry,
    "a turn lost": _lost_turn,
    "ids of options swapped": _swapped_ids,
}


def side_by_side(items: Sequence[Item], tasks: Mapping[str, Task], count: int) -> None:
    """Variants of all families in turn, the lines that differ one above the other."""
    rng = random.Random(SEED)
    by_family: dict[str, list[tuple[Item, str]]] = defaultdict(list)
    for item in rng.sample(list(items), len(items)):
        for name, variant in item.variants.items():
            if variant.fields is not None or variant.before or variant.layout:
                by_family[family_of(name).name].append((item, name))
    print()
    for number in range(count):
        family = list(by_family)[number % len(by_family)]
        if not by_family[family]:
            continue
        item, name = by_family[family].pop()
        request = next(r for r in build_requests([item], {}, EvalConfig(), tasks) if r.condition == name)
        before = tasks[item.task].render(item.fields).split("\n")
        after = "\n".join(message.content for message in request.messages[1:]).split("\n")
        print(f"{name} of {item.id}")
        for sign, lines, others in (("-", before, after), ("+", after, before)):
            different = [line for line in lines if line not in others]
            print(*(f"  {sign} {line[:160]}" for line in different[:4]), sep="\n")
            if len(different) > 4:
                print(f"  {sign} … {len(different) - 4} more lines")


if __name__ == "__main__":
    sys.exit(main())
