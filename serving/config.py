"""Settings of the endpoint: what is served, where, and within which limits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from serving.adapters.settings import AdapterSettings
from serving.audit.settings import AuditSettings
from serving.decide.settings import DecideSettings
from serving.edge.settings import EdgeSettings
from serving.guard.settings import GuardSettings
from serving.handoff.settings import HandoffSettings
from serving.identity.settings import IdentitySettings
from serving.labels.settings import LabelSettings
from serving.limits.settings import LimitSettings
from serving.observe.settings import ObserveSettings
from serving.upstreams.settings import PoolSettings, UpstreamSettings
from tianjing.config import StrictModel


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

    require_release: bool = True
    """Serve only weights with a valid signed release; false serves knowingly without, and says so in a header."""

    runtime_lora: bool = False
    """Load LoRA adapters into the running engine; needs `data_parallel: 1`. False starts an engine for each."""

    max_loras: int = Field(default=3, ge=1)
    """Adapters held at once with `runtime_lora`: stable, a canary, and one that is on its way out."""

    max_lora_rank: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = 64
    """Largest rank of an adapter loaded at run time; the engine's buffers are sized by it."""

    identity: IdentitySettings = IdentitySettings()
    """Who may call; see docs/serving-identity.md."""

    limits: LimitSettings = LimitSettings()
    """How much callers may use, and how much is let in at all; see docs/serving-identity.md."""

    edge: EdgeSettings = EdgeSettings()
    """What a connection may do, and for how long; see docs/serving-identity.md."""

    guard: GuardSettings = GuardSettings()
    """What the guard does; see docs/serving-guard.md."""

    handoff: HandoffSettings = HandoffSettings()
    """When a person takes over, and where cases are kept; see docs/serving-handoff.md."""

    decide: DecideSettings = DecideSettings()
    """The decision service; see docs/serving-decide.md."""

    adapters: AdapterSettings = AdapterSettings()
    """Canaries and their rollback; see docs/serving-adapters.md."""

    audit: AuditSettings = AuditSettings()
    """The account of every request, and the vault; see docs/serving-audit.md."""

    labels: LabelSettings = LabelSettings()
    """Labels of generated content; see docs/serving-audit.md."""

    observe: ObserveSettings = ObserveSettings()
    """Traces and logs; see docs/serving-observability.md."""

    @model_validator(mode="after")
    def _engines_fit(self) -> ServeConfig:
        if self.engine == "managed" and self.upstreams:
            raise ValueError("'upstreams' are engines that run already: they need 'engine: external'")
        if self.engine == "external" and not self.upstreams:
            raise ValueError("'engine: external' needs 'upstreams'")
        if self.runtime_lora and self.data_parallel > 1:
            raise ValueError("'runtime_lora' needs 'data_parallel: 1': vLLM loads into one of its API servers only")
        return self
