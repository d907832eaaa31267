"""Settings of the endpoint: what is served, where, and within which limits."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tianjing.config import StrictModel
from tianjing.rulebook.schema import Institution


class ServeConfig(StrictModel):
    """The `serve` section of a pipeline, and the `--config` of `tianjing serve`."""

    served_name: str = "tianjing"
    """Model id that clients give in their `model` field."""

    host: str = "127.0.0.1"
    """Address the endpoint listens on; 0.0.0.0 opens it to the network, which then needs TLS in front."""

    port: int = Field(default=8000, ge=0, le=65535)
    """TCP port of the endpoint; 0 takes a free one."""

    max_model_len: int = Field(default=2048, ge=16)
    """Tokens of prompt plus answer; longer requests are refused with 400, and memory grows with it."""

    max_num_seqs: int = Field(default=16, ge=1)
    """Requests the engine decodes together; further ones wait."""

    kv_cache_gib: float = Field(default=0.5, gt=0)
    """GiB of key-value cache on a CPU: 0.5 holds 43,000 tokens of the embedded model."""

    max_body_bytes: int = Field(default=1 << 20, ge=1024)
    """Largest request body in bytes; a larger one is refused with 413 before it is read to the end."""

    max_answer_tokens: int = Field(default=512, ge=1)
    """Tokens of an answer when the request names no `max_tokens`, and the most it may ask for."""

    temperature: float = Field(default=0.3, ge=0, le=2)
    """Sampling temperature when the request names none, and the most it may ask for. No more than what the release
    was evaluated at: above that nobody has measured how stable the answers are."""

    max_choices: int = Field(default=4, ge=1)
    """Largest `n` of a request: each choice costs as much as a request."""

    upstream_timeout_s: float = Field(default=300, gt=0)
    """Seconds the engine may be silent before a request is given up with 504."""

    start_timeout_s: float = Field(default=300, gt=0)
    """Seconds until the engine's start is given up."""

    seed: int = 0
    """Seed of sampling for requests that bring none."""

    rule_packs: tuple[Path, ...] = ()
    """Your own rule packs (YAML), after the shipped ones; see docs/rulebook.md."""

    institution: Institution = "consumer_finance"
    """Who lends: decides which rules apply to what the endpoint says."""

    require_release: bool = True
    """Serve only weights with a valid signed release; false serves knowingly without, and says so in a header."""
