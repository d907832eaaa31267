"""The summary of hand-made attempts: every condition, one arm or two, and the flat list of measures."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import pytest

from evals.config import EvalConfig
from evals.measures import Estimate, Measure
from evals.records import Arm, Attempt, Item, Variant
from evals.scoring import ERROR
from evals.summary import summarise
from tianjing.tasks import Fields, Reading, Reference, Task

CONFIG = EvalConfig(repeats=4, bootstrap=300)
Said = Callable[[Item, Arm, str, int], str | None]


class Choice:
    """A task that reads a letter and takes its content; enough of a task for the summary."""

    id = "choice"
    title = "选择题"

    def read(self, text: str, fields: Fields) -> Reading:
        place = "ABCD".find(text)
        return Reading(contents(fields)[place] if place >= 0 else None, "letter", {})

    def target(self, reference: Reference) -> str:
        return str(reference["letter"])


def contents(fields: Fields) -> list[str]:
    """What the letters A, B, … stand for: ids where there are some."""
    return list(fields.get("ids") or fields["options"])


TASKS = cast(Mapping[str, Task], {"choice": Choice(), "other": Choice()})


def make_items(
    count: int,
    task: str = "choice",
    variants: Sequence[str] = ("wording1",),
    stability: bool = True,
    ids: Sequence[str] = (),
) -> list[Item]:
    lists = {"options": ["w", "x", "y", "z"], **({"ids": list(ids)} if ids else {})}
    changed = {name: Variant(check="same") for name in variants}
    for name in [name for name in variants if name.startswith("options")]:
        turn = int(name.removeprefix("options"))
        turned = {field: entries[turn:] + entries[:turn] for field, entries in lists.items()}
        changed[name] = Variant(fields=turned, check="same options")
    return [
        Item(
            id=f"{task}-{number}", task=task, group=f"g{number // 2}", kind="k", stability=stability,
            fields=dict(lists), reference={"letter": "ABCD"[number % 4]}, variants=changed,
        )
        for number in range(count)
    ]  # fmt: skip


def gold(item: Item) -> str:
    return contents(item.fields)["ABCD".index(item.reference["letter"])]


def attempts_of(
    items: Sequence[Item],
    said: Said,
    conditions: Mapping[str, int],
    arms: Sequence[Arm] = ("base", "tuned"),
    **fields: Any,
) -> list[Attempt]:
    """Attempts of every item under `conditions` (with so many repeats); `said` gives the canonical answer."""

    def one(item: Item, arm: Arm, condition: str, repeat: int) -> Attempt:
        answer = said(item, arm, condition, repeat)
        failed = answer == ERROR
        return Attempt(
            key=f"{item.id}{arm}{condition}{repeat}", item=item.id, task=item.task, arm=arm, condition=condition,
            repeat=repeat, prompt="p", seed=1, temperature=0.3, output=answer or "?", finish_reason="stop",
            latency_s=1.0, prompt_tokens=10, output_tokens=2, error="timed out" if failed else None,
            rule=ERROR if failed else "letter", answer=None if failed else answer, score=float(answer == gold(item)),
            **fields,
        )  # fmt: skip

    def every() -> Iterator[Attempt]:
        for item in items:
            for arm in arms:
                for condition, repeats in conditions.items():
                    for repeat in range(repeats):
                        yield one(item, arm, condition, repeat)

    return list(every())


def measures(summary: Mapping[str, Any]) -> dict[tuple[str, str], Measure]:
    found = [Measure.model_validate(row) for row in summary["measures"]]
    by_name = {(measure.name, measure.task): measure for measure in found}
    assert len(by_name) == len(found), "a metric has one figure a task"
    return by_name


def spelt(estimate: Estimate | None) -> tuple[float, float, float]:
    """Value and bounds of an estimate that must have them."""
    assert estimate is not None and estimate.value is not None
    assert estimate.low is not None and estimate.high is not None
    return estimate.value, estimate.low, estimate.high


def test_failed_requests_stay_in_the_denominator() -> None:
    """inspect reads 80 right, 10 wrong and 10 failed of 100 as 88.9 %."""
    items = make_items(100, variants=(), stability=False)
    place = {item.id: number for number, item in enumerate(items)}

    def said(item: Item, arm: Arm, condition: str, repeat: int) -> str | None:
        return gold(item) if place[item.id] < 80 else ERROR if place[item.id] < 90 else "wrong"

    summary = summarise(items, attempts_of(items, said, {"greedy": 1}), CONFIG, TASKS)
    assert summary["tasks"]["choice"]["tuned"] == 0.8
    found = measures(summary)
    assert found["score", "choice"].arms["tuned"].value == 0.8
    assert found["error_rate", "choice"].events == {"base": 10, "tuned": 10}
    assert found["error_rate", "choice"].trials == {"base": 100, "tuned": 100}
    assert found["error_rate", ""].arms["base"].value == 0.1 == summary["error_rate"]
    assert found["invalid_rate", "choice"].events == {"base": 10, "tuned": 10}


def test_one_arm_alone_is_summarised_without_comparison() -> None:
    items = make_items(40)

    def said(item: Item, arm: Arm, condition: str, repeat: int) -> str | None:
        return gold(item) if random.Random(f"{item.id}{repeat}").random() < 0.7 else "other"

    conditions = {"greedy": 1, "sampled": 4, "wording1": 1}
    summary = summarise(items, attempts_of(items, said, conditions, arms=("tuned",)), CONFIG, TASKS)
    task = summary["tasks"]["choice"]
    assert summary["unmatched"] == [] and list(summary["cost"]) == ["tuned"]
    assert task["base"] is None and task["difference"] is None and task["mcnemar_p"] is None and task["mde"] is None
    assert task["format_only"]["difference"] == pytest.approx(task["tuned"]), "the control scores 0"
    assert task["stability"]["base"] == {} and task["stability"]["tuned"]["n"] == 40
    for measure in measures(summary).values():
        assert list(measure.arms) == ["tuned"] and measure.difference is None and measure.p is None
    assert "negative_flips" not in {measure.name for measure in measures(summary).values()}


def test_arms_with_other_requests_are_not_compared() -> None:
    items = make_items(4, variants=())
    attempts = attempts_of(items, lambda *_: "x", {"greedy": 1, "sampled": 2})
    summary = summarise(items, attempts[:-1], CONFIG, TASKS)
    assert summary["unmatched"] == ["choice/choice-3/sampled/1"] and summary["tasks"] == {} == dict(summary["measures"])
    lost = [attempt for attempt in attempts if attempt.condition != "greedy" or attempt.item != "choice-0"]
    assert summarise(items, lost, CONFIG, TASKS)["unmatched"] == ["choice/choice-0/greedy/0"]


def test_every_metric_is_listed_once_with_its_difference() -> None:
    items = make_items(24, variants=("wording1", "options1", "options2", "options3")) + make_items(10, "other")
    rng = random.Random(3)

    def said(item: Item, arm: Arm, condition: str, repeat: int) -> str | None:
        return gold(item) if rng.random() < (0.9 if arm == "tuned" else 0.5) else rng.choice(["w", None])

    conditions = {
        "greedy": 1, "sampled": 4, "wording1": 1, "wording1/sampled": 4, "concurrent1": 1, "concurrent8": 1,
    }  # fmt: skip
    turned = {"options1": 1, "options2": 1, "options3": 1}
    attempts = attempts_of(items, said, conditions) + attempts_of(items[:24], said, turned)
    found = measures(summarise(items, attempts, CONFIG, TASKS))
    wanted = {
        "score", "pass^4", "pass@4", "TAR@4", "TARr@4", "agreement", "wording_effect", "flip_rate", "reliability_gap",
        "flip_rate/wording1", "all_conditions_success", "worst_prompt_gap", "option_consistency", "rstd",
        "negative_flips", "positive_flips", "batch_determinism", "semantic_entropy", "brier", "ece_excess",
        "invalid_rate", "truncated_rate", "error_rate", "self_consistency_gain", "pass_ratio",
    }  # fmt: skip
    assert wanted <= {name for name, task in found if task == "choice"}
    for name in wanted - {"negative_flips", "positive_flips", "ece_excess"}:
        measure = found[name, "choice"]
        assert measure.n == 24 and measure.groups == 12 and measure.difference is not None, name
        base, tuned, gap = map(spelt, (measure.arms["base"], measure.arms["tuned"], measure.difference))
        assert gap[0] == pytest.approx(tuned[0] - base[0], abs=2e-6), name
        assert gap[1] <= gap[0] <= gap[2] and tuned[1] <= tuned[0] <= tuned[2], name
    pooled = found["score", ""]
    assert pooled.n == 34 and pooled.groups == 12, "customers of both tasks are one group"
    parts = [spelt(found["score", task].arms["base"])[0] for task in ("choice", "other")]
    assert pooled.arms["base"].value == pytest.approx((24 * parts[0] + 10 * parts[1]) / 34, abs=2e-6)
    assert (found["score", "choice"].p or 1) < 0.05


def test_wording_is_told_from_seed_noise() -> None:
    """One model dithers whatever the wording; the other is sure but changes its mind with the wording."""
    items = make_items(60)
    rng = random.Random(1)

    def said(item: Item, arm: Arm, condition: str, repeat: int) -> str | None:
        if arm == "base":
            return rng.choice(["x", "y"])
        return "x" if condition.startswith("wording") else "y"

    conditions = {"greedy": 1, "sampled": 4, "wording1": 1, "wording1/sampled": 4}
    summary = summarise(items, attempts_of(items, said, conditions), CONFIG, TASKS)
    effect = measures(summary)["wording_effect", "choice"]
    assert spelt(effect.arms["base"])[1] < 0 < spelt(effect.arms["base"])[2]
    assert effect.arms["tuned"].value == 1.0 and spelt(effect.difference)[1] > 0.7
    table = summary["tasks"]["choice"]["conditions"]["tuned"]
    assert table["wording1"]["flips"] == 1.0 == table["wording1/sampled"]["flips"]
    assert table["sampled"]["runs"] == 240 and "flips" not in table["sampled"]
    wording = summary["tasks"]["choice"]["stability"]["tuned"]["wording"]
    assert (wording["W"], wording["B"], wording["n"], wording["conditions"]) == (1.0, 0.0, 60, 2)


@pytest.mark.parametrize("ids", [(), ("A", "B", "C", "D")])
def test_a_model_in_love_with_a_is_seen_through(ids: Sequence[str]) -> None:
    items = make_items(40, variants=("options1", "options2", "options3"), ids=ids)

    def said(item: Item, arm: Arm, condition: str, repeat: int) -> str | None:
        return contents(item.asked(condition))[0] if arm == "base" else gold(item)

    conditions = {"greedy": 1, "sampled": 4, "options1": 1, "options2": 1, "options3": 1}
    summary = summarise(items, attempts_of(items, said, conditions), CONFIG, TASKS)
    biased, knowing = (summary["tasks"]["choice"]["options"][arm] for arm in ("base", "tuned"))
    assert biased["consistency"] == 0 and biased["circular"]["4"]["perf"] == 0
    assert biased["circular"]["4"]["acc"] == 0.25 and biased["circular"]["4"]["letters"] == [1, 0, 0, 0]
    assert biased["rstd"] == pytest.approx(100 * math.sqrt(3) / 4, abs=1e-4)
    assert biased["circular"]["4"]["pride_prior"][0] > 0.9
    assert knowing["consistency"] == 1 == knowing["circular"]["4"]["perf"] and knowing["rstd"] == 0
    bias = measures(summary)["rstd", "choice"]
    assert bias.better == "lower" and bias.difference is not None and bias.difference.value is not None
    assert bias.difference.value < -40
    # Every resample of so clear a case comes out alike, and what has no variance has no interval.
    assert bias.difference.low is None and bias.difference.high is None


def test_flips_are_counted_as_events() -> None:
    items = make_items(20, variants=(), stability=False)
    place = {item.id: number for number, item in enumerate(items)}

    def said(item: Item, arm: Arm, condition: str, repeat: int) -> str | None:
        right = place[item.id] < 10 if arm == "base" else 3 <= place[item.id] < 18
        return gold(item) if right else "no"

    summary = summarise(items, attempts_of(items, said, {"greedy": 1}), CONFIG, TASKS)
    found = measures(summary)
    assert found["negative_flips", "choice"].events == {"tuned": 3}
    assert found["positive_flips", "choice"].events == {"tuned": 8}
    assert found["negative_flips", "choice"].trials == {"tuned": 20}
    task = summary["tasks"]["choice"]
    assert task["flips"]["PFR"] - task["flips"]["NFR"] == pytest.approx(task["difference"])
    assert (task["wins"], task["losses"]) == (8, 3)


def test_determinism_under_load() -> None:
    items = make_items(10, variants=(), stability=False)

    def said(item: Item, arm: Arm, condition: str, repeat: int) -> str | None:
        return "abcX" if condition == "concurrent32" and item.id == "choice-3" and arm == "tuned" else "abcd"

    conditions = {"greedy": 1, "concurrent1": 1, "concurrent8": 1, "concurrent32": 1}
    summary = summarise(items, attempts_of(items, said, conditions), CONFIG, TASKS)
    base, tuned = (summary["tasks"]["choice"]["determinism"][arm] for arm in ("base", "tuned"))
    assert base["BDR"] == 1 and base["first_divergence_characters"] is None
    assert tuned["BDR"] == 0.9 == tuned["BDRa"] and tuned["concurrency"] == [1, 8, 32]
    assert (tuned["diverged"], tuned["first_divergence_characters"]) == (1, 3)
    assert "concurrent8" not in measures(summary), "load is no wording"
    assert "flip_rate/concurrent8" not in {name for name, _ in measures(summary)}


def test_the_worst_case_names_its_conditions_and_leaves_rare_ones_out() -> None:
    items = make_items(20, variants=("wording1",))
    items[0] = items[0].model_copy(update={"variants": {**items[0].variants, "text": Variant(check="same")}})

    def said(item: Item, arm: Arm, condition: str, repeat: int) -> str | None:
        return gold(item) if condition != "wording1" else "no"

    conditions = {"greedy": 1, "sampled": 4, "wording1": 1}
    attempts = attempts_of(items, said, conditions) + attempts_of(items[:1], said, {"text": 1})
    spread = summarise(items, attempts, CONFIG, TASKS)["tasks"]["choice"]["stability"]["tuned"]["spread"]
    assert spread["conditions"] == ["greedy", "wording1"] and spread["n"] == 20
    assert spread["worst_case"] == spread["all_conditions_success"] == spread["worst_prompt"] == 0
    assert spread["range"] == 1 and spread["range_p"] < 0.01 and spread["worst_prompt_null"] > 0.3


def test_time_to_first_token_and_cached_tokens_where_they_are_known() -> None:
    items = make_items(4, variants=(), stability=False)
    attempts = attempts_of(items, lambda *_: "x", {"greedy": 1}, first_token_s=0.25, cached_tokens=5)
    cost = summarise(items, attempts, CONFIG, TASKS)["cost"]["tuned"]
    assert cost["first_token_p50_s"] == 0.25 and cost["cached_share"] == 0.5
    without = summarise(items, attempts_of(items, lambda *_: "x", {"greedy": 1}), CONFIG, TASKS)["cost"]["tuned"]
    assert without["first_token_p95_s"] is None and without["latency_p95_s"] == 1.0


def test_missing_repeats_are_undefined_not_zero() -> None:
    items = make_items(6, variants=())
    summary = summarise(items, attempts_of(items, lambda *_: "x", {"greedy": 1, "sampled": 3}), CONFIG, TASKS)
    stable = summary["tasks"]["choice"]["stability"]["tuned"]
    assert stable["pass^3"] is not None and stable["pass^4"] is None and stable["TAR@4"] is None
    measure = measures(summary)["pass^4", "choice"]
    assert measure.arms["tuned"].value is None and "undefined for 6 items" in measure.note
