"""Arms from model folders: served by vLLM, one engine after the other, or run in this process."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from evals.arms.base import ArmSpec, Group, Serving
from evals.config import EvalConfig
from evals.errors import EvalError
from evals.records import Arm
from tianjing.engine import ChatClient, Engine, EngineConfig, EngineError
from tianjing.engine.command import vllm_version
from tianjing.files import canonical_json, sha256_bytes
from tianjing.lineage import artefact_digest
from tianjing.models import resolve

ADAPTER_CONFIG = "adapter_config.json"
# Names that requests give.
MODEL, ADAPTER = "tianjing", "adapter"


class VllmGroup(Group):
    """One engine: a model, or a model with a LoRA adapter beside it."""

    def __init__(self, model: Path, adapter: Path | None, specs: Mapping[Arm, ArmSpec], config: EvalConfig):
        super().__init__(specs)
        self._model, self._adapter, self._config = model, adapter, config

    @contextlib.contextmanager
    def serve(self, folder: Path, say: Callable[[str], None], widest: int) -> Iterator[Serving]:
        engine_config = EngineConfig(
            model=self._model,
            served_name=MODEL,
            adapter=self._adapter,
            adapter_name=ADAPTER,
            max_model_len=self._config.max_model_len,
            max_num_seqs=widest,
            kv_cache_gib=self._config.kv_cache_gib,
            start_timeout_s=self._config.start_timeout_s,
        )
        log = folder / f"engine-{'-'.join(self.specs)}.log"
        with Engine(engine_config, log, say) as engine:
            client = ChatClient(engine.base_url, engine.api_key, self._config.request_timeout_s)
            yield Serving(client, lambda: "" if engine.alive() else f"the engine ended; its log is {engine.log_path}")


class InProcessGroup(Group):
    """A model, with or without an adapter, run by transformers in this process: one request at a time."""

    at_once = 1

    def __init__(self, model: Path, adapter: Path | None, specs: Mapping[Arm, ArmSpec], config: EvalConfig):
        super().__init__(specs)
        self._model, self._adapter, self._config = model, adapter, config

    @contextlib.contextmanager
    def serve(self, folder: Path, say: Callable[[str], None], widest: int) -> Iterator[Serving]:
        from evals.arms.in_process import InProcess

        say("loading the model")
        yield Serving(InProcess(self._model, self._adapter, self._config.max_model_len))


def vllm_groups(base: Path | None, tuned: Path | None, config: EvalConfig) -> list[Group]:
    """Engines for the run. Two models take turns; an adapter shares the engine of its base, and is asked beside it.

    Raises:
        EvalError: neither model is given, or the adapter's base is missing.
    """
    try:
        server = f"vLLM {vllm_version()[0]}"
    except EngineError:
        server = "vLLM"  # the start will say what is missing
    adapter = tuned if tuned is not None and is_adapter(tuned) else None
    if adapter is None:
        return [
            VllmGroup(model, None, {arm: _spec(model, MODEL, server)}, config)
            for arm, model in _given(base, tuned).items()
        ]
    model, server = base or _base_of(adapter), f"{server} with LoRA"
    specs: dict[Arm, ArmSpec] = {}
    if base is not None:
        specs["base"] = _spec(base, MODEL, server)
    specs["tuned"] = _spec(adapter, ADAPTER, server, model)
    return [VllmGroup(model, adapter, specs, config)]


def in_process_groups(base: Path | None, tuned: Path | None, config: EvalConfig) -> list[Group]:
    """The models one after the other, each loaded into this process.

    Raises:
        EvalError: neither model is given, or the adapter's base is missing.
    """
    from importlib.metadata import version

    server = f"transformers {version('transformers')}"
    groups: list[Group] = []
    for arm, folder in _given(base, tuned).items():
        if is_adapter(folder):
            model = base if base is not None and arm == "tuned" else _base_of(folder)
            spec = _spec(folder, folder.name, f"{server}, peft {version('peft')}", model)
            groups.append(InProcessGroup(model, folder, {arm: spec}, config))
        else:
            groups.append(InProcessGroup(folder, None, {arm: _spec(folder, folder.name, server)}, config))
    return groups


def is_adapter(folder: Path) -> bool:
    return (folder / ADAPTER_CONFIG).is_file()


def _given(base: Path | None, tuned: Path | None) -> dict[Arm, Path]:
    given: dict[Arm, Path] = {}
    if base is not None:
        given["base"] = base
    if tuned is not None:
        given["tuned"] = tuned
    if not given:
        raise EvalError("no model to evaluate", "give --tuned, --base or both")
    return given


def _base_of(adapter: Path) -> Path:
    """The model that the adapter says it belongs to."""
    name = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not name:
        raise EvalError(f"{adapter / ADAPTER_CONFIG}: names no base model", "give --base")
    return resolve(str(name)).path


def _spec(folder: Path, name: str, server: str, under: Path | None = None) -> ArmSpec:
    """An arm of a folder; an adapter's answers hang on the model `under` it too, and are asked by its template."""
    digest = artefact_digest(folder)
    facts = {"chat_template": _template_digest(under or folder)}
    if under is not None:
        facts |= {"adapter": digest, "over": artefact_digest(under)}
    return ArmSpec(folder.name, name, digest, server, facts)


def _template_digest(model: Path) -> str | None:
    """Of the chat template, where transformers and vLLM look for it; None where the folder has none."""
    separate = model / "chat_template.jinja"
    if separate.is_file():
        return sha256_bytes(separate.read_bytes())
    settings = model / "tokenizer_config.json"
    told = json.loads(settings.read_text(encoding="utf-8")).get("chat_template") if settings.is_file() else None
    if told is None:
        return None
    return sha256_bytes((told if isinstance(told, str) else canonical_json(told)).encode())
