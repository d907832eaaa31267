"""Settings of the endpoint: what is served, where, and within which limits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from serving.upstreams.settings import PoolSettings, UpstreamSettings
from tianjing.config import StrictModel
from tianjing.rulebook.schema import Institution


class ServeConfig(StrictModel):
    """The `serve` section of a pipeline, the file of `tianjing serve`. Paths are relative to the working folder."""

    model: Path | None = None
    """Folder of the merged model, where the command line names none."""

    release: Path | None = None
    """Signed release.json that promotes the model."""

    trusted: Path | None = None
    """Public key (.pub) to trust, or a folder of them; none trusts this user's own key."""

    state: Path | None = None
    """Folder of key hash, hand-off queue and engine log; none takes `.serving` beside the model, or this file."""

    engine: Literal["managed", "external"] = "managed"
    """managed: the endpoint starts, watches and stops its engine. external: the engines of `upstreams` run already."""

    upstreams: tuple[UpstreamSettings, ...] = ()
    """Engines that run already; needs `engine: external`. Changed here, they change at SIGHUP or by themselves."""

    pool: PoolSettings = PoolSettings()
    """How engines are reached and watched."""

    engine_socket: bool = True
    """Reach the managed engine over a unix socket in a private folder; false takes a loopback port."""

    served_name: str = "tianjing"
    """Model id that clients give in their `model` field."""

    host: str = "127.0.0.1"
    """Address the endpoint listens on; 0.0.0.0 opens it to the network, which then needs TLS in front."""

    port: int = Field(default=8000, ge=0, le=65535)
    """TCP port of the endpoint; 0 takes a free one."""

    reuse_port: bool = False
    """Let several gateway processes listen on the port, between which the kernel shares out connections. Each counts
    its own callers unless limits are kept in Redis, and each needs a `state` of its own."""

    drain_s: float = Field(default=30, ge=0)
    """Seconds that answers in progress get to end after SIGTERM; those left then end with an error event."""

    max_restarts: int = Field(default=5, ge=0)
    """Times that a managed engine is started again within `restart_window_s`; after that the endpoint gives up."""

    restart_window_s: float = Field(default=600, gt=0)
    """Seconds over which restarts are counted."""

    restart_pause_s: float = Field(default=1, gt=0)
    """Seconds before the first restart, doubled with each further one in the window."""

    restart_pause_most_s: float = Field(default=30, gt=0)
    """Seconds of the longest pause before a restart."""

    max_model_len: int = Field(default=2048, ge=16)
    """Tokens of prompt plus answer; longer requests are refused with 400, and memory grows with it."""

    max_num_seqs: int = Field(default=16, ge=1)
    """Requests the engine decodes together; further ones wait."""

    kv_cache_gib: float = Field(default=0.5, gt=0)
    """GiB of key-value cache on a CPU: 0.5 holds 43,000 tokens of the embedded model."""

    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs that share each layer of the model."""

    data_parallel: int = Field(default=1, ge=1)
    """Copies of the model that the engine runs on as many times `tensor_parallel` GPUs."""

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

    @model_validator(mode="after")
    def _engines_fit(self) -> ServeConfig:
        if self.engine == "managed" and self.upstreams:
            raise ValueError("'upstreams' are engines that run already: they need 'engine: external'")
        if self.engine == "external" and not self.upstreams:
            raise ValueError("'engine: external' needs 'upstreams'")
        return self
