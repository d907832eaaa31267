"""An adapter that could not be served fails when the configuration is read."""

import pytest

from tianjing.config import parse
from tianjing.errors import TianjingError
from training.config import TrainConfig


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
