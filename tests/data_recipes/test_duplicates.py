"""Duplicates: near ones are found and nothing else is, whatever the shards, the workers or the size of a bucket."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_recipes.cleaning.config import DuplicatesConfig
from data_recipes.cleaning.duplicates import NEIGHBOURS, Clusters, Int64, KeysOnDisk, clusters
from data_recipes.cleaning.minhash import BANDS, ROWS_PER_BAND, jaccard, row_keys

LONG = (
    "您好这里是晨舟消费金融请问是王先生吗您本期账单已经逾期七天今天能安"
    "排还款吗我这个月工资还没有发要等到下周三才行好的那我给您登记一下"
)
CHARS = [chr(code) for code in range(0x4E00, 0x4E00 + 2500)]


def _text(generator: random.Random, length: int = 290) -> str:
    return "".join(generator.choices(CHARS, k=length))


def _changed(text: str, places: Sequence[int]) -> str:
    chars = list(text)
    for place in places:
        chars[place] = "换"
    return "".join(chars)


def _grams(text: str, size: int) -> set[str]:
    return {text[i : i + size] for i in range(len(text) - size + 1)}


def _find(texts: Sequence[str], shards: int = 1, jaccard: float = 0.8) -> Clusters:
    keys = [row_keys(part.tolist()) for part in np.array_split(np.array(texts, dtype=object), shards)]
    return clusters(keys, lambda rows: [texts[row] for row in rows], DuplicatesConfig(jaccard=jaccard))


@given(
    st.text(alphabet="天地人和一二三", min_size=50, max_size=90),
    st.text(alphabet="天地人和一二三", min_size=50, max_size=90),
)
@settings(deadline=None)
def test_the_jaccard_index_is_that_of_the_sets_of_5_grams(left: str, right: str) -> None:
    a, b = _grams(left, 5), _grams(right, 5)
    assert jaccard([left], [right])[0] == pytest.approx(len(a & b) / len(a | b), abs=1e-12)


def test_texts_under_50_characters_are_compared_by_3_grams() -> None:
    left, right = LONG[:30], LONG[:27] + "明天见"
    a, b = _grams(left, 3), _grams(right, 3)
    assert jaccard([left], [right])[0] == pytest.approx(len(a & b) / len(a | b))


def test_spaces_punctuation_width_and_case_make_no_difference() -> None:
    typed = LONG.replace("请问", "，请问 ABC１２ ").replace("吗", "吗？\n")
    heard = LONG.replace("请问", "请问abc12")
    found = _find([typed, LONG[::-1], heard])
    assert found.exact.tolist() == [0, 1, 0]


def test_a_text_under_15_characters_has_exact_copies_only() -> None:
    found = _find(["好的，谢谢您，请您稍等一下", "好的谢谢您请您稍等一下。", "好的谢谢您请您稍等一会"], jaccard=0.5)
    assert found.near.tolist() == [0, 0, 2]


def test_texts_of_nothing_but_punctuation_are_one_and_an_empty_corpus_is_none() -> None:
    assert _find(["……", LONG, "？！"]).near.tolist() == [0, 1, 0]
    assert clusters([], lambda rows: [], DuplicatesConfig()).near.tolist() == []
    assert row_keys([]).shape == (0, 1 + BANDS)


def test_the_representative_is_the_first_in_source_order() -> None:
    generator = random.Random(3)
    text = _text(generator)
    texts = [_text(generator), _changed(text, [10]), text, _text(generator), _changed(text, [200])]
    assert _find(texts).near.tolist() == [0, 1, 1, 3, 1]


def test_recall_at_the_threshold_is_what_the_formula_says() -> None:
    generator = random.Random(11)
    pairs = 400
    texts = []
    for _ in range(pairs):
        text = _text(generator)
        texts += [
            text,
            _changed(text, [20, 70, 120, 170, 220, 250]),
        ]  # 30 of 286 grams change: 256 of 316 stay, J = 0.81
    indexes = jaccard(texts[::2], texts[1::2])
    assert indexes.min() >= 0.8 and indexes.max() < 0.82
    found = _find(texts)
    expected = 1 - (1 - float(indexes.mean()) ** ROWS_PER_BAND) ** BANDS
    assert (found.near[1::2] == found.near[::2]).mean() >= expected - 0.01


@given(st.lists(st.integers(0, 289), min_size=4, max_size=12, unique=True), st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_no_pair_below_the_threshold_is_joined(places: list[int], seed: int) -> None:
    text = _text(random.Random(seed))
    other = _changed(text, places)
    near = _find([text, other]).near[1] == 0
    assert not near or jaccard([text], [other])[0] >= 0.8


def _corpus() -> list[str]:
    generator = random.Random(7)
    texts = [_text(generator, generator.randint(10, 320)) for _ in range(300)]
    return texts + [_changed(text, [len(text) // 2]) for text in texts[::3]] + texts[::10]


def test_shards_files_and_workers_change_nothing(tmp_path: Path) -> None:
    texts = _corpus()
    whole = _find(texts)
    assert (whole.near != np.arange(len(texts))).sum() >= 110
    assert _find(texts, shards=7).near.tolist() == whole.near.tolist()
    kept = np.ones(len(texts) + 5, np.bool_)
    kept[[3, 50, 51, 204, 404]] = False
    every = np.array(["dropped before it came here"] * len(kept), dtype=object)
    every[kept] = texts
    disk = []
    for number, part in enumerate((slice(0, 100), slice(100, None))):
        np.save(tmp_path / f"{number}.npy", np.asfortranarray(row_keys(every[part].tolist())))
        disk.append(KeysOnDisk(tmp_path / f"{number}.npy", kept[part]))
    with ProcessPoolExecutor(2) as pool:
        apart = clusters(disk, lambda rows: [texts[row] for row in rows], DuplicatesConfig(), pool.map)
    assert apart.near.tolist() == whole.near.tolist() and apart.confirmed == whole.confirmed


def _script(copies: int) -> list[str]:
    """Calls that follow one script of 240 characters and differ in 50: many share each bucket, none is a duplicate."""
    generator = random.Random(1)
    script = _text(generator, 240)
    return [script + _text(generator, 50) for _ in range(copies)]


def test_a_script_that_all_agents_read_costs_in_proportion_not_the_square() -> None:
    few, many = _find(_script(200)), _find(_script(800))
    assert many.confirmed == 0 and few.candidates > 0
    assert many.candidates <= NEIGHBOURS * BANDS * 800
    assert many.candidates / few.candidates < 6


def test_near_duplicates_are_found_among_calls_that_follow_one_script() -> None:
    calls = _script(600)
    copies = [_changed(call, [40, 100, 160, 220]) for call in calls[:100]]  # J = 0.87; 0.7 with every other call
    found = _find(calls + copies)
    assert (found.near[600:] == np.arange(100)).mean() >= 0.95
    assert (found.near[:600] == np.arange(600)).all()


def test_2000_variants_of_one_call_are_one_cluster_without_a_check_for_each_pair() -> None:
    text = _text(random.Random(2))
    variants = [_changed(text, [first, second]) for first in range(0, 200, 4) for second in range(201, 281, 2)]
    found = _find(variants)
    assert not found.near.any()
    assert found.candidates < 4 * NEIGHBOURS * len(variants)


def test_rows_are_read_again_only_where_a_pair_must_be_checked() -> None:
    generator = random.Random(9)
    texts = [_text(generator) for _ in range(200)]
    texts.append(_changed(texts[50], [100]))
    read: set[int] = set()

    def reader(rows: Int64) -> list[str]:
        read.update(rows.tolist())
        return [texts[row] for row in rows]

    assert clusters([row_keys(texts)], reader, DuplicatesConfig()).near[200] == 50
    assert read == {50, 200}
