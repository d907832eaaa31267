from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.plan import add_control, answer_kind, build_requests, choose_items, choose_shots, dropped
from evals.records import GREEDY, SAMPLED, TEXT
from evals.requests import conditions, planned
from tianjing.records import Example
from tianjing.tasks import TASKS, prompt

Examples = Callable[[str, int], list[Example]]


def test_items_are_balanced_spread_and_the_same_every_time(examples: Examples, config: EvalConfig) -> None:
    test = examples("test", 40)
    items = choose_items(test, config, TASKS)
    assert items == choose_items(list(reversed(test)), config, TASKS)
    assert Counter(item.task for item in items) == dict.fromkeys(("policy_qa", "quality_inspection", "next_reply"), 24)
    for task in TASKS:
        rows = [item for item in items if item.task == task]
        if rows:
            kinds = Counter(item.kind for item in rows)
            assert max(kinds.values()) - min(kinds.values()) <= 2
            assert max(Counter(item.group for item in rows).values()) <= config.max_per_group
            assert sum(item.stability for item in rows) == config.stability_items
    assert {i.id for i in items} != {i.id for i in choose_items(test, config.model_copy(update={"seed": 1}), TASKS)}


def test_a_row_less_in_the_dataset_leaves_most_items_and_worked_examples(
    examples: Examples, config: EvalConfig
) -> None:
    test, train = examples("test", 40), examples("train", 24)
    items = {item.id for item in choose_items(test, config, TASKS)}
    assert len(items & {item.id for item in choose_items(test[1:], config, TASKS)}) >= len(items) - 3
    shots, fewer = choose_shots(train, config), choose_shots(train[1:], config)
    assert sum(shots[task] == fewer[task] for task in shots) >= 2


def test_no_group_is_asked_more_often_than_wanted(examples: Examples, config: EvalConfig) -> None:
    once = config.model_copy(update={"items": 18, "max_per_group": 1})
    chosen = choose_items(examples("test", 40), once, TASKS)
    for task in {item.task for item in chosen}:
        groups = [item.group for item in chosen if item.task == task]
        assert len(groups) == len(set(groups)) == 18


def test_too_few_groups_give_more_items_each_not_fewer_items(examples: Examples, config: EvalConfig) -> None:
    test = [row.model_copy(update={"group": "only"}) for row in examples("test", 10)]
    assert len(choose_items(test, config, TASKS)) == 30


def test_base_sees_two_different_worked_examples_and_tuned_none(examples: Examples, config: EvalConfig) -> None:
    train = examples("train", 24)
    items = choose_items(examples("test", 40), config, TASKS)
    shots = choose_shots(train, config)
    for rows in shots.values():
        assert len(rows) == 2 and {row.split for row in rows} == {"train"}
        assert answer_kind(rows[0]) != answer_kind(rows[1])
    by_id = {item.id: item for item in items}
    for base, tuned in zip(
        sorted(build_requests(items, shots, config, TASKS), key=lambda r: (r.item, r.condition, r.repeat)),
        sorted(build_requests(items, {}, config, TASKS), key=lambda r: (r.item, r.condition, r.repeat)),
        strict=True,
    ):
        assert [m.role for m in base.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
        assert (base.messages[0], base.messages[-1]) == tuned.messages
        assert base.seed == tuned.seed and base.max_tokens == tuned.max_tokens
        if tuned.condition == GREEDY:
            assert tuned.messages == prompt(TASKS[tuned.task], by_id[tuned.item].fields), "as trained"


def test_the_conditions_of_a_stability_item(examples: Examples, config: EvalConfig) -> None:
    items = choose_items(examples("test", 40), config, TASKS)
    requests = build_requests(items, {}, config, TASKS)
    stable = next(item for item in items if item.stability)
    plain = next(item for item in items if not item.stability)
    asked = [(r.condition, r.repeat, r.temperature) for r in requests if r.item == stable.id]
    assert sorted(asked) == sorted(
        [(GREEDY, 0, 0.0), ("wording1", 0, 0.0), ("wording2", 0, 0.0), (TEXT, 0, 0.0)]
        + [(SAMPLED, repeat, config.temperature) for repeat in range(4)]
    )
    assert [r.condition for r in requests if r.item == plain.id] == [GREEDY]
    sampled = [r for r in requests if r.condition == SAMPLED]
    assert len({r.seed for r in sampled}) == len(sampled), "every repeat has a seed of its own"
    assert all(0 <= r.seed < 2**31 for r in requests)


def test_requests_with_one_prefix_stand_together(examples: Examples, config: EvalConfig) -> None:
    items = choose_items(examples("test", 40), config, TASKS)
    prefixes = [r.prefix for r in build_requests(items, choose_shots(examples("train", 24), config), config, TASKS)]
    changes = sum(a != b for a, b in pairwise(prefixes))
    assert changes == len(set(prefixes)) - 1


def test_requests_are_rendered_on_access_and_equal_each_time(examples: Examples, config: EvalConfig) -> None:
    items = choose_items(examples("test", 40), config, TASKS)
    requests = build_requests(items, choose_shots(examples("train", 24), config), config, TASKS)
    assert list(requests) == [requests[number] for number in range(len(requests))] == requests[:]
    assert list(requests) == list(build_requests(items[::-1], requests._shots, config, TASKS))
    longest = [len(r.messages[-1].content) for r in requests if r.task == "policy_qa" and r.condition == GREEDY]
    assert longest == sorted(longest, reverse=True), "the longest prompts come first within a prefix"


def test_a_variant_is_repeated_where_asked_and_a_concurrency_is_the_greedy_prompt(
    examples: Examples, config: EvalConfig
) -> None:
    config = config.model_copy(
        update={"conditions": ("concurrent8", "asr", "layout_markdown"), "variant_repeats": ("wording1", "asr")}
    )
    items = choose_items(examples("test", 40), config, TASKS)
    requests = build_requests(items, {}, config, TASKS)
    stable = next(item for item in items if item.stability and "asr" in item.variants)
    by = {(r.condition, r.repeat): r for r in requests if r.item == stable.id}
    repeated = [by["asr/sampled", repeat] for repeat in range(config.repeats)]
    assert {r.temperature for r in repeated} == {config.temperature} and len({r.seed for r in repeated}) == 4
    assert {r.messages for r in repeated} == {by["asr", 0].messages} != {by[GREEDY, 0].messages}
    assert ("wording1/sampled", 3) in by and ("wording2/sampled", 0) not in by and ("text/sampled", 0) not in by
    alone, crowded = by[GREEDY, 0], by["concurrent8", 0]
    assert crowded.concurrency == 8 and alone.concurrency is None
    assert (alone.messages, alone.seed, alone.temperature) == (crowded.messages, crowded.seed, crowded.temperature)
    assert alone.key("m") != crowded.key("m")
    plain, marked = by[GREEDY, 0].messages[-1].content, by["layout_markdown", 0].messages[-1].content
    assert marked != plain and "**" in marked
    assert len(requests) == sum(repeats for item in items for _, repeats in conditions(item, config))


def test_why_an_item_is_not_asked_under_a_condition_is_counted(examples: Examples, config: EvalConfig) -> None:
    config = config.model_copy(update={"conditions": ("option", "order1", "alone")})
    items = choose_items(examples("test", 40), config, TASKS)
    counts = dropped(items)
    assert planned(items, config) == {"greedy": 72, "sampled": 72, "wording": 36, "text": 18, "order": 12, "alone": 10}
    stable = [item for item in items if item.stability]
    assert counts["option"] == {"does not apply": len(stable)}, "no task here has options"
    assert counts["order1"] == {"does not apply": config.stability_items}, "next_reply lists nothing"
    for item in stable:
        assert item.variants.keys() | item.dropped.keys() == {"wording1", "wording2", TEXT, "option", "order1", "alone"}


def test_a_key_tells_models_prompts_and_repeats_apart(examples: Examples, config: EvalConfig) -> None:
    requests = build_requests(choose_items(examples("test", 40), config, TASKS), {}, config, TASKS)
    keys = {request.key("one") for request in requests} | {request.key("other") for request in requests}
    assert len(keys) == 2 * len(requests)
    assert requests[0].key("one") == requests[0].key("one")


def test_control_knows_the_format_and_nothing_else(examples: Examples, config: EvalConfig) -> None:
    items = add_control(choose_items(examples("test", 40), config, TASKS), examples("train", 24), config, TASKS)
    inspected = [item.control for item in items if item.task == "quality_inspection"]
    assert sum(inspected) / len(inspected) == pytest.approx(0.25, abs=0.08), "four rules, so one in four by chance"
    assert items == add_control(choose_items(examples("test", 40), config, TASKS), examples("train", 24), config, TASKS)


def test_unknown_task_and_empty_test_split_are_clear_errors(examples: Examples, config: EvalConfig) -> None:
    with pytest.raises(EvalError, match="no test rows"):
        choose_items([], config, TASKS)
    odd = examples("test", 1)[0].model_copy(update={"task": "poetry"})
    with pytest.raises(EvalError, match=r"test row 1, .*: unknown task 'poetry'"):
        choose_items([odd], config, TASKS)
    twice = [*examples("test", 2), examples("test", 1)[0]]
    with pytest.raises(EvalError, match="test row 7, 'policy_qa-test-000': test row 1 has the same id"):
        choose_items(twice, config, TASKS)
    rows = examples("test", 2)
    with pytest.raises(EvalError, match="test row 2, 'policy_qa-test-001': no right answer"):
        choose_items([rows[0], rows[1].model_copy(update={"reference": {}})], config, TASKS)
    with pytest.raises(EvalError, match=r"test row 1, 'policy_qa-test-000': the reference .* lacks 'clause_id'"):
        choose_items([rows[0].model_copy(update={"reference": {"quote": "客户"}})], config, TASKS)
    with pytest.raises(EvalError, match="no training rows"):
        add_control(choose_items(examples("test", 4), config, TASKS), [], config, TASKS)
