"""Mixing by recipe and token lengths: the shares that were asked for, every row accounted for, no draw by chance."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recipes.errors import DataError
from data_recipes.mixing import Mixed, MixtureConfig, mix
from data_recipes.publish.lengths import count_tokens, load_tokenizer, summarise
from tianjing.config import parse
from tianjing.errors import TianjingError
from tianjing.models.errors import ModelError
from tianjing.records import Example, Message, Split


def row(task: str, number: int, split: Split = "train", answer: str = "好") -> Example:
    messages = (Message(role="user", content=f"问题{number}"), Message(role="assistant", content=answer))
    return Example(
        id=f"{task}:{split}:{number}",
        task=task,
        group=f"{split}{number}",
        split=split,
        messages=messages,
        fields={},
        reference={},
    )


def corpus(**counts: int) -> list[Example]:
    return [row(task, number) for task, count in counts.items() for number in range(count)]


def mixed(rows: list[Example], config: MixtureConfig, seed: int = 0) -> tuple[Mixed, Counter[str]]:
    reasons: Counter[str] = Counter()

    def reject(left_out: Example, reason: str) -> None:
        reasons[f"{left_out.task}: {reason}"] += 1

    return mix(rows, config, seed, reject), reasons


def by_task(rows: list[Example]) -> Counter[str]:
    return Counter(row.task for row in rows if row.split == "train")


def test_shares_are_met_with_as_many_rows_as_they_allow() -> None:
    result, reasons = mixed(corpus(a=300, b=100, c=50), MixtureConfig(shares={"a": 2, "b": 1, "c": 1}))
    assert by_task(result.rows) == {"a": 100, "b": 50, "c": 50}  # c is scarcest for its share and keeps every row
    assert reasons == {"a: over its share of the mixture": 200, "b: over its share of the mixture": 50}
    assert [(share.asked, share.got) for share in result.shares] == [(0.5, 0.5), (0.25, 0.25), (0.25, 0.25)]


def test_by_weight_every_row_stays_and_the_weight_has_the_shares() -> None:
    result, reasons = mixed(corpus(a=300, b=100), MixtureConfig(shares={"a": 1, "b": 1}, by="weight"))
    assert by_task(result.rows) == {"a": 300, "b": 100} and not reasons
    assert {row.task: row.weight for row in result.rows} == {"a": 0.666667, "b": 2.0}
    assert sum(row.weight for row in result.rows) == pytest.approx(400, abs=0.01)


def test_a_high_temperature_evens_tasks_out_and_1_leaves_them_as_they_are() -> None:
    rows = corpus(a=900, b=100)
    assert by_task(mixed(rows, MixtureConfig())[0].rows) == {"a": 900, "b": 100}
    assert by_task(mixed(rows, MixtureConfig(temperature=2))[0].rows) == {"a": 300, "b": 100}
    assert by_task(mixed(rows, MixtureConfig(temperature=1e9))[0].rows) == {"a": 100, "b": 100}


def test_limits_hold_by_task_and_split_and_over_all() -> None:
    rows = corpus(a=60, b=40) + [row("a", number, "test") for number in range(9)]
    result, reasons = mixed(rows, MixtureConfig(max_rows={"a": {"test": 4, "train": 40}}, max_train_rows=20))
    assert by_task(result.rows) == {"a": 10, "b": 10}
    assert sum(row.split == "test" for row in result.rows) == 4
    assert reasons["a: over the limit of its task and split"] == 20 + 5


def test_a_share_of_nothing_leaves_a_task_out_of_training_only() -> None:
    rows = [*corpus(a=10, b=10), row("b", 1, "test")]
    for by in ("rows", "weight"):
        result, reasons = mixed(rows, parse(MixtureConfig, {"shares": {"a": 1, "b": 0}, "by": by}, "x"))
        assert by_task(result.rows) == {"a": 10} and reasons == {"b: over its share of the mixture": 10}
        assert [row.task for row in result.rows if row.split == "test"] == ["b"]


@pytest.mark.parametrize(
    ("shares", "said"), [({"a": 1}, "task 'b' has rows and no share"), ({"a": 1, "b": 1, "d": 1}, "'d'")]
)
def test_a_recipe_that_does_not_fit_the_tasks_is_an_error(shares: dict[str, float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        mixed(corpus(a=5, b=5), MixtureConfig(shares=shares))


def test_a_contradictory_recipe_is_an_error() -> None:
    for wrong in ({"shares": {"a": 0}}, {"shares": {"a": 1}, "temperature": 2}, {"by": "weight", "max_train_rows": 5}):
        with pytest.raises(TianjingError):
            parse(MixtureConfig, wrong, "x")


@given(
    counts=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 60), min_size=1),
    parts=st.lists(st.integers(1, 9), min_size=4, max_size=4),
    by=st.sampled_from(["rows", "weight"]),
    shuffle=st.integers(0, 9),
)
def test_any_mixture_is_the_same_in_any_order_and_loses_no_row_unsaid(
    counts: dict[str, int], parts: list[int], by: Literal["rows", "weight"], shuffle: int
) -> None:
    rows = corpus(**counts)
    shares = {task: float(part) for task, part in zip("abcd", parts, strict=True) if task in counts}
    config = MixtureConfig(shares=shares, by=by)
    result, reasons = mixed(rows, config)
    assert len(result.rows) + sum(reasons.values()) == len(rows)
    moved = list(rows)
    random.Random(shuffle).shuffle(moved)
    again, _ = mixed(moved, config)
    assert {(row.id, row.weight) for row in again.rows} == {(row.id, row.weight) for row in result.rows}
    kept = by_task(result.rows)
    whole = sum(kept.values())
    for share in result.shares:
        # Whole rows cannot be nearer to a share than a row a task, and no task with a share vanishes.
        assert abs(share.got - share.asked) <= (4 / whole if by == "rows" else 1e-3)
        assert kept[share.task] >= 1


def test_another_seed_draws_other_rows() -> None:
    rows, config = corpus(a=100, b=10), MixtureConfig(shares={"a": 1, "b": 1})
    first, second = (mixed(rows, config, seed)[0].rows for seed in (0, 1))
    assert {row.id for row in first} != {row.id for row in second}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer("tiny")


def test_tokens_are_counted_as_the_model_is_trained(tokenizer: Any) -> None:
    example = row("a", 1, answer="您可以申请延期")
    counted = count_tokens([example], tokenizer)[0].tokens
    assert counted is not None
    text = "<|im_start|>user\n问题1<|im_end|>\n<|im_start|>assistant\n"
    assert counted.prompt == len(tokenizer(text)["input_ids"])
    assert counted.answer == len(tokenizer("您可以申请延期<|im_end|>")["input_ids"])  # and no newline behind it


def test_lengths_by_task_have_the_median_the_95th_percentile_and_the_longest(tokenizer: Any) -> None:
    rows = count_tokens([row("a", 1, answer="好" * length) for length in range(1, 101)], tokenizer)
    (summary,) = summarise(rows)
    base = summary.longest - 100
    assert (summary.rows, summary.median - base, summary.p95 - base) == (100, 50, 95)
    assert summarise([row("a", 1)]) == []  # nothing was counted


def test_a_model_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        load_tokenizer(str(tmp_path / "none"))
