"""What in a configuration does not go together, cannot be served, or would not be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tianjing.lora import unserved
from training.config.preference import misplaced

if TYPE_CHECKING:
    from training.config.run import TrainConfig

_FIELD_OF_SECTION = {"r": "rank"}


class Problem(NamedTuple):
    """One reason to refuse a configuration: the field's place in it, why, with what to write instead, and its value."""

    place: tuple[str, ...]
    why: str
    value: Any


def problems(config: TrainConfig) -> Iterator[Problem]:
    """Every problem of a configuration whose fields are each sound."""
    for name, why in misplaced(config.method, config.preference):
        yield Problem(("preference", name) if name else ("preference",), why, "")
    if config.method != "sft":
        yield from _not_of_preferences(config)
    if config.tune == "full":
        yield from _not_of_full_tuning(config)
    yield from _of_packing(config)
    yield from _of_first_weights(config)
    if config.serve_with == "vllm":
        yield from _not_served(config)


def _not_of_preferences(config: TrainConfig) -> Iterator[Problem]:
    if config.replay is not None:
        why = "mixes conversations into method sft; sft_weight holds the chosen answers in dpo"
        yield Problem(("replay",), why, "")
    if config.decision_weight != 1.0:
        why = "weighs tokens in method sft alone: a preference is between whole answers; leave it out"
        yield Problem(("decision_weight",), why, config.decision_weight)
    if config.lora.dropout > 0:
        why = "would move the policy away from its reference by chance; leave it out with dpo and kto"
        yield Problem(("lora", "dropout"), why, config.lora.dropout)
    if config.tune == "full":
        yield Problem(("tune",), "goes with method sft; dpo and kto train an adapter (tune: lora)", config.tune)
    if config.pack_tokens is not None:
        why = "packs the rows of method sft; the two answers of a pair share its prompt already: set micro_rows"
        yield Problem(("pack_tokens",), why, config.pack_tokens)


def _not_of_full_tuning(config: TrainConfig) -> Iterator[Problem]:
    """There is no adapter, and there are no frozen weights to quantise."""
    places: list[tuple[str, ...]] = []
    if "lora" in config.model_fields_set:
        places += [("lora", name) for name in sorted(config.lora.model_fields_set)] or [("lora",)]
    places += [(name,) for name in ("quantize", "adapter", "scenes") if getattr(config, name) is not None]
    why = "is of an adapter, and 'tune: full' trains all weights without one; leave it out, or set tune: lora"
    for place in places:
        value: Any = config
        for name in place:
            value = getattr(value, name)
        yield Problem(place, why, value)


def _of_packing(config: TrainConfig) -> Iterator[Problem]:
    if config.compile and config.pack_tokens is None:
        why = "compiles each shape anew, and rows side by side have many; set pack_tokens, or compile: false"
        yield Problem(("compile",), why, config.compile)
    if config.checkpointing == "selective" and config.pack_tokens is not None and not config.compile:
        why = "cannot look into the kernel of packed rows unless it is compiled with its layer; set compile: true"
        yield Problem(("checkpointing",), why, config.checkpointing)
    if config.pack_tokens is not None and config.pack_tokens < config.max_length_tokens:
        why = (
            f"less than max_length_tokens ({config.max_length_tokens}): a row must fit one forward pass; raise the one "
            "or lower the other"
        )
        yield Problem(("pack_tokens",), why, config.pack_tokens)


def _of_first_weights(config: TrainConfig) -> Iterator[Problem]:
    if config.lora.init_lora_weights != "orthogonal":
        return
    ranks: dict[tuple[str, ...], int] = {("lora", "rank"): config.lora.rank}
    ranks |= {("lora", "rank_pattern", name): rank for name, rank in config.lora.rank_pattern.items()}
    why = "is odd, and orthogonal first weights need an even rank; give an even one, or init_lora_weights: default"
    for place, rank in ranks.items():
        if rank % 2:
            yield Problem(place, why, rank)


def _not_served(config: TrainConfig) -> Iterator[Problem]:
    for found in unserved(config.lora.peft()):
        field, *inner = found.field.split(".", 1)
        name = _FIELD_OF_SECTION.get(field, field)
        value = getattr(config.lora, name)
        place = ("lora", name, *inner)
        yield Problem(place, f"{found.why}, or set serve_with: transformers", value[inner[0]] if inner else value)
