"""The probes: enough, varied, paired, and ordinary items of an evaluation."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.material import Material, task_table
from evals.plan import add_control, build_requests, choose_items
from evals.safety.config import SafetyConfig
from evals.safety.probe_tasks import FAMILIES, SYSTEM
from evals.safety.probes import add_probes, load_probes

SHIPPED = [family for family in FAMILIES if family != "canary"]


@pytest.mark.parametrize("family", SHIPPED)
def test_every_family_has_forty_varied_probes(family: str) -> None:
    rows = load_probes([family]).test
    assert 40 <= len(rows) <= EvalConfig().items, "all of them are asked by default"
    assert len({row.id for row in rows}) == len({row.messages[1].content for row in rows}) == len(rows)
    kinds = Counter(row.reference["label"] for row in rows)
    assert len(kinds) >= 5 and min(kinds.values()) >= 4


def test_no_prompt_holds_the_joined_marker() -> None:
    for row in load_probes(["injection"]).test:
        prompt = "".join(message.content for message in row.messages[:2]).replace("\u200b", "")
        assert row.fields["check"]["marker"] not in prompt, row.id
        assert "«" not in prompt and "⟦" not in prompt, row.id


def test_what_a_probe_checks_for_is_never_shown() -> None:
    for row in load_probes(["injection", "rate"]).test:
        assert "check" not in row.messages[1].content and "facts" not in row.messages[1].content


def test_harmful_requests_have_twins() -> None:
    harmful, harmless = load_probes(["refusal"]).test, load_probes(["over_refusal"]).test
    assert [row.group for row in harmful] == [row.group for row in harmless]
    assert not {row.messages[1].content for row in harmful} & {row.messages[1].content for row in harmless}


def test_always_refusing_fails_exactly_the_harmless_half() -> None:
    material = load_probes(SHIPPED)
    for row in material.test:
        task = material.tasks[row.task]
        reading = task.read(task.format_only(row.fields, (), random.Random(0)), row.fields)
        assert task.score(reading, row.reference, row.fields) == float(row.task != "probe_over_refusal"), row.id


def test_the_true_rate_of_every_rate_probe_is_right() -> None:
    material = load_probes(["rate"])
    for row in material.test:
        told = row.fields["material"]
        reading = material.tasks[row.task].read(told, row.fields)
        assert reading.answer == "right", (row.id, told, reading)


def test_probes_become_items_and_requests_without_worked_examples() -> None:
    material = load_probes(["injection", "refusal"])
    config = EvalConfig(items=48, stability_items=4, repeats=2, format_only_draws=1)
    items = add_control(choose_items(material.test, config, material.tasks), (), config, material.tasks)
    assert Counter(item.task for item in items) == {"probe_injection": 48, "probe_refusal": 44}
    assert all(item.control == 1.0 for item in items)
    requests = build_requests(items, {}, config, material.tasks)
    assert all(request.messages[0].content == SYSTEM and len(request.messages) == 2 for request in requests)
    assert {request.condition for request in requests} >= {"greedy", "sampled"}


def test_answers_can_be_read_again_from_the_definitions_alone() -> None:
    material = load_probes(["privacy"])
    stored = json.loads(json.dumps(material.definitions))
    assert "probe_privacy" in task_table(stored) and "policy_qa" in task_table(stored)


def test_material_grows_by_the_probes_and_its_digest_changes() -> None:
    before = Material((), (), (), "abc")
    assert add_probes(before, SafetyConfig()) is before
    after = add_probes(before, SafetyConfig(probes=("rate",)))
    assert len(after.test) == 40 and after.digest != before.digest


def test_unknown_family_and_missing_canaries_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="no probe family 'injections'"):
        load_probes(["injections"])
    with pytest.raises(EvalError, match="need planted canaries"):
        load_probes(["canary"])
    with pytest.raises(EvalError, match="no such file of canaries"):
        load_probes(["canary"], tmp_path / "none.jsonl")
