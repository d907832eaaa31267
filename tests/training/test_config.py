"""A configuration that could not be trained or served fails when it is read, and names the line and what to use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tianjing.config import load, parse
from tianjing.errors import TianjingError
from tianjing.tasks import SCENES, TASKS
from training.config import PRESETS, TrainConfig, unserved


def read(text: str, folder: Path) -> TrainConfig:
    path = folder / "train.yaml"
    path.write_text(text, encoding="utf-8")
    return load(TrainConfig, path)


def test_trained_head_is_refused_with_what_to_use_instead() -> None:
    with pytest.raises(TianjingError, match=r"lm_head.*use q_proj"):
        parse(TrainConfig, {"lora": {"targets": ["q_proj", "lm_head"]}}, "train.yaml")


def test_rank_above_what_vllm_serves_is_refused() -> None:
    with pytest.raises(TianjingError, match=r"'lora.rank'.*512"):
        parse(TrainConfig, {"lora": {"rank": 513}}, "train.yaml")


def test_unknown_key_names_the_nearest_and_the_allowed_ones() -> None:
    with pytest.raises(TianjingError) as failure:
        parse(TrainConfig, {"lora": {"rnak": 8}}, "train.yaml")
    message = str(failure.value)
    assert "unknown key 'lora.rnak'" in message
    assert "did you mean 'rank'?" in message
    assert "alpha" in message and "top_layers" in message


def test_a_preset_stands_beneath_the_files_own_fields_also_inside_a_section(tmp_path: Path) -> None:
    config = read("preset: gpu-1\nlora: {rank: 8}\nmicro_rows: 3\n", tmp_path)
    assert (config.lora.rank, config.lora.alpha) == (8, PRESETS["gpu-1"]["lora"]["alpha"])
    assert config.micro_rows == 3
    assert config.learning_rate == PRESETS["gpu-1"]["learning_rate"] != TrainConfig().learning_rate


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_the_result_does_not_depend_on_having_named_it(name: str) -> None:
    by_name = parse(TrainConfig, {"preset": name}, "train.yaml")
    spelt_out = parse(TrainConfig, PRESETS[name], "train.yaml")
    assert by_name.result_fields() == spelt_out.result_fields()


def test_the_cpu_preset_is_the_defaults() -> None:
    assert parse(TrainConfig, {"preset": "cpu"}, "t").result_fields() == TrainConfig().result_fields()


def test_an_unknown_preset_names_the_known_ones_and_the_line(tmp_path: Path) -> None:
    with pytest.raises(TianjingError, match=r"train\.yaml:2: 'preset'.*'cpu', 'gpu-1', 'gpu-node' or 'fsdp2'"):
        read("epochs: 1\npreset: gpu-9\n", tmp_path)


MISPLACED = {
    "a section without its method": (
        "preference: {beta: 0.2}",
        r":1: 'preference': belongs to preference training; set method: dpo or kto",
    ),
    "KTO's field": (
        "method: dpo\npreference: {desirable_weight: 2}",
        r":2: 'preference.desirable_weight': is of method",
    ),
    "DPO's field": ("method: kto\npreference:\n  loss: ipo", r":3: 'preference.loss': is of method dpo"),
    "smoothing alone": ("method: dpo\npreference: {label_smoothing: 0.1}", r":2: .*goes with loss: robust"),
    "robust alone": ("method: dpo\npreference: {loss: robust}", r":2: .*needs it \(0.1"),
    "replay": ("method: dpo\nreplay: {dataset: d, share: 0.2}", r":2: 'replay': mixes .*sft_weight"),
    "token weights": ("method: dpo\ndecision_weight: 3", r":2: 'decision_weight': .*between whole answers"),
    "dropout": ("method: kto\nlora: {dropout: 0.1}", r":2: 'lora.dropout': .*leave it out"),
    "two measures": ("replay: {dataset: d, share: 0.2, rows: 3}", r":1: 'replay': needs share or rows, and not both"),
    "an unknown scene": (
        "scenes: [service, sales]",
        r":1: 'scenes': no scene 'sales' is known; use service, post_loan",
    ),
    "an unknown task": ("scenes: {mine: [policy_qa, chat]}", r":1: 'scenes': scene mine: no task 'chat' is known"),
    "rows of an unknown task": (
        "epochs: 1\nmax_rows_per_task: {next_replay: 4}",
        r":2: 'max_rows_per_task': no task 'next_replay' is known; tasks are .*next_reply",
    ),
    "a name that is no folder": ("scenes: {../x: [policy_qa]}", r":1: 'scenes"),
    "no scene": ("scenes: {}", r":1: 'scenes': names no scene"),
}


@pytest.mark.parametrize("what", MISPLACED)
def test_what_a_method_would_not_look_at_is_refused_by_line(what: str, tmp_path: Path) -> None:
    text, message = MISPLACED[what]
    with pytest.raises(TianjingError, match=rf"train\.yaml{message}"):
        read(text + "\n", tmp_path)


@pytest.mark.parametrize("preset", ["cpu", "gpu-1"])
def test_preferences_are_learned_at_a_lower_rate_unless_the_file_gives_one(preset: str, tmp_path: Path) -> None:
    assert read(f"preset: {preset}\nmethod: dpo\n", tmp_path).learning_rate == 1e-5
    assert read(f"preset: {preset}\nmethod: dpo\nlearning_rate: 3.0e-5\n", tmp_path).learning_rate == 3e-5
    assert read(f"preset: {preset}\n", tmp_path).learning_rate >= 2e-4


def test_a_configuration_that_was_written_out_reads_the_same() -> None:
    for fields in ({"method": "kto"}, {"method": "dpo", "preference": {"beta": 0.2}}, {"scenes": ["mediation"]}):
        config = parse(TrainConfig, fields, "t")
        assert TrainConfig.model_validate(config.model_dump(mode="json")) == config


def test_every_task_has_a_scene_of_its_own() -> None:
    assert sorted(task for tasks in SCENES.values() for task in tasks) == sorted(TASKS)


REFUSED = {
    "rank": ("rank: 600", "'lora.rank': vLLM serves ranks up to 512"),
    "rank of one module": ("rank_pattern: {q_proj: 600}", "'lora.rank_pattern.q_proj': vLLM serves ranks up to 512"),
    "DoRA": ("use_dora: true", "'lora.use_dora': .*use a higher rank with use_rslora"),
    "bias": ("bias: lora_only", "'lora.bias': .*use 'none' and a higher rank"),
    "whole modules": ("modules_to_save: [norm]", "'lora.modules_to_save': .*name linear layers in targets"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_vllm_cannot_serve_is_refused_by_line_unless_transformers_serves_it(what: str, tmp_path: Path) -> None:
    line, message = REFUSED[what]
    with pytest.raises(TianjingError, match=rf"train\.yaml:2: {message}.*serve_with: transformers"):
        read(f"lora:\n  {line}\n", tmp_path)
    read(f"lora:\n  {line}\nserve_with: transformers\n", tmp_path)


@pytest.mark.parametrize("first", ["pissa", "pissa_niter_16", "olora", "corda", "loftq", "eva", "lora_ga", "guassian"])
def test_first_weights_that_this_trainer_cannot_make_are_refused_for_every_server(first: str, tmp_path: Path) -> None:
    for server in ("vllm", "transformers"):
        with pytest.raises(TianjingError, match=r"train\.yaml:1: 'lora.init_lora_weights': .*orthogonal"):
            read(f"lora: {{init_lora_weights: {first}}}\nserve_with: {server}\n", tmp_path)


# Each of these ended in an error of peft, numpy, torch or Python, long after the file was read, or ended the process.
UNTRAINABLE = {
    "no target": ("lora: {targets: []}", r":1: 'lora.targets': names no layer.*leave it out, or use q_proj"),
    "an empty target": ("lora: {targets: ['']}", r":1: 'lora.targets': holds an empty name"),
    "an empty module": ("lora: {modules_to_save: ['']}", r":1: 'lora.modules_to_save': holds an empty name"),
    "an odd rank of orthogonal weights": (
        "lora:\n  init_lora_weights: orthogonal\n  rank: 3",
        r":3: 'lora.rank': is odd.*give an even one",
    ),
    "an odd rank of one module's orthogonal weights": (
        "lora:\n  init_lora_weights: orthogonal\n  rank_pattern: {q_proj: 3}",
        r":3: 'lora.rank_pattern.q_proj': is odd.*give an even one",
    ),
    "a torn pattern": ("lora: {rank_pattern: {layers.(.q_proj: 4}}", r":1: 'lora.rank_pattern': .*no regular expr"),
    "too large an alpha": (f"lora: {{alpha: {10**400}}}", r":1: 'lora.alpha': .*less than or equal to 2147483647"),
    "endless epochs": ("epochs: .inf", r":1: 'epochs': .*finite"),
    "an endless rate": ("learning_rate: .inf", r":1: 'learning_rate': .*finite"),
    "an endless decay": ("weight_decay: .inf", r":1: 'weight_decay': .*finite"),
    "an endless weight": ("decision_weight: .inf", r":1: 'decision_weight': .*finite"),
    "an endless ratio": ("lora: {loraplus_ratio: .inf}", r":1: 'lora.loraplus_ratio': .*finite"),
    "an endless hold": ("method: dpo\npreference: {beta: .inf}", r":2: 'preference.beta': .*finite"),
    "no number": ("learning_rate: .nan", r":1: 'learning_rate': "),
    "a seed below zero": ("seed: -1", r":1: 'seed': .*greater than or equal to 0"),
    "a seed of 33 bits": (f"seed: {2**32}", r":1: 'seed': .*less than or equal to 4294967295"),
    "too many threads": ("threads: 1000000", r":1: 'threads': .*less than or equal to 1024"),
    "too many rows at once": (f"micro_rows: {10**30}", r":1: 'micro_rows': .*less than or equal to"),
    "an empty place": ("out: ''", r":1: 'out': .*at least 1 character"),
    "an empty place of older rows": ("replay: {dataset: '', share: 0.2}", r":1: .replay.dataset.: .*at least 1"),
}


@pytest.mark.parametrize("what", UNTRAINABLE)
def test_what_no_run_could_begin_with_is_refused_by_line_for_every_server(what: str, tmp_path: Path) -> None:
    text, message = UNTRAINABLE[what]
    for server in ("vllm", "transformers"):
        with pytest.raises(TianjingError, match=rf"train\.yaml{message}"):
            read(f"{text}\nserve_with: {server}\n", tmp_path)


def test_layer_replication_is_refused_for_every_server(tmp_path: Path) -> None:
    for server in ("vllm", "transformers"):
        with pytest.raises(TianjingError, match="train the layers that the base has"):
            read(f"lora: {{layer_replication: [[0, 2], [1, 2]]}}\nserve_with: {server}\n", tmp_path)


@pytest.mark.parametrize("field", ["rank_pattern", "alpha_pattern"])
def test_a_pattern_that_would_match_no_adapted_module_is_refused(field: str, tmp_path: Path) -> None:
    with pytest.raises(TianjingError, match=rf"'lora.{field}': 'c_attn' is no module that gets an adapter"):
        read(f"lora: {{{field}: {{c_attn: 8}}}}\n", tmp_path)
    config = read(f"lora: {{{field}: {{layers.1.mlp.down_proj: 8}}}}\n", tmp_path)
    assert config.lora.peft()[field] == {"layers.1.mlp.down_proj": 8}


def test_places_and_bookkeeping_are_no_part_of_what_the_weights_depend_on() -> None:
    plain = TrainConfig()
    elsewhere = plain.model_copy(
        update={"model": "/a", "dataset": "/b", "out": "/c", "report_to": "mlflow", "save_every_steps": 3}
    )
    assert elsewhere.result_fields() == plain.result_fields()
    assert plain.model_copy(update={"threads": 3}).result_fields() != plain.result_fields()


@pytest.mark.parametrize("path", sorted((REPOSITORY / "examples" / "training").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_training_configuration_loads(path: Path) -> None:
    assert load(TrainConfig, path).method == ("dpo" if path.name == "dpo.yaml" else "sft")


ADAPTERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rank 512": {"r": 512},
    "rank 513": {"r": 513},
    "a module above": {"rank_pattern": {"q_proj": 600}},
    "a module below": {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 4}},
    "rsLoRA": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "bias all": {"bias": "all"},
    "bias lora_only": {"bias": "lora_only"},
    "adapter bias": {"lora_bias": True},
    "head": {"modules_to_save": ["lm_head"]},
    "classifier": {"modules_to_save": ["score"]},
    "classifier and norm": {"modules_to_save": ["score", "norm"]},
    "false": {"init_lora_weights": False},
    **{
        first: {"init_lora_weights": first}
        for first in ("gaussian", "eva", "orthogonal", "pissa", "pissa_niter_4", "olora", "corda", "mica", "lora_ga")
    },
    "replicated": {"layer_replication": [[0, 2], [1, 2]]},
    "activated": {"alora_invocation_tokens": [1, 2]},
}


@pytest.mark.slow
def test_the_engine_refuses_and_serves_what_this_table_says() -> None:
    from peft import LoraConfig
    from vllm.config.lora import LoRAConfig
    from vllm.lora.peft_helper import PEFTHelper

    engine = LoRAConfig(max_lora_rank=512)
    for name, given in ADAPTERS.items():
        fields = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], **given).to_dict()
        try:
            PEFTHelper.from_dict(fields).validate_legal(engine)
            served = True
        except ValueError:
            served = False
        assert (unserved(fields) == []) == served, name


def test_full_tuning_takes_nothing_of_an_adapter_and_names_each_field_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(TianjingError) as failure:
        read("preset: gpu-1\ntune: full\nlora:\n  rank: 8\n  top_layers: 4\nquantize: nf4\n", tmp_path)
    message = str(failure.value)
    for line, field in ((4, "lora.rank"), (5, "lora.top_layers"), (6, "quantize")):
        assert f"train.yaml:{line}: '{field}': is of an adapter, and 'tune: full' trains all weights" in message


@pytest.mark.parametrize("name", [None, *PRESETS])
def test_full_tuning_has_a_learning_rate_of_its_own_whatever_the_preset_has_for_adapters(name: str | None) -> None:
    fields = {"tune": "full"} | ({"preset": name} if name else {})
    config = parse(TrainConfig, fields, "t")
    assert config.learning_rate == 2e-5
    assert config.micro_rows == PRESETS[name or "cpu"].get("micro_rows", 4)
    assert parse(TrainConfig, {**fields, "learning_rate": 1e-4}, "t").learning_rate == 1e-4
    assert parse(TrainConfig, config.model_dump(exclude_unset=True), "again") == config
