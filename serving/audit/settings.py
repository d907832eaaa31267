"""Settings of the account: where it lies, under which keys, how often it is signed, and how long it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from tianjing.config import StrictModel

INSTANCE_PATTERN = r"^[a-z0-9][a-z0-9.-]{0,62}$"
SIX_MONTHS_DAYS = 180


class AnchorSettings(StrictModel):
    """Where signed checkpoints go that whoever owns this machine cannot take back. Exactly one place."""

    file: Path | None = None
    """File to append to; on a mount that this machine may append to and not rewrite."""

    command: tuple[str, ...] = ()
    """Program and arguments that read one checkpoint (a JSON line) from standard input; status 0 is success."""

    url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Address that one checkpoint is posted to as JSON; 2xx is success."""

    timeout_s: float = Field(default=10, gt=0)
    """Seconds until a command or a post is given up and tried again."""

    refuse_after_s: float | None = Field(default=None, gt=0)
    """Seconds without a successful anchor, while there is something to anchor, after which requests are refused with
    503. None goes on: what a thief could cut off unseen then grows, and `verify` says by how much."""

    @model_validator(mode="after")
    def _one_place(self) -> AnchorSettings:
        if sum(map(bool, (self.file, self.command, self.url))) != 1:
            raise ValueError("give exactly one of file, command and url")
        return self


class VaultSettings(StrictModel):
    """Raw texts, encrypted; only for customers whose id the application gives."""

    retention_days: float = Field(default=30, gt=0)
    """Days a text is kept: long enough to answer a complaint, short as personal data must be."""

    key_file: Path | None = None
    """Master key, 64 hexadecimal digits, readable by its owner only. None: `vault.key` beside the vault, made at the
    first start. The variable TIANJING_VAULT_KEY comes before the file."""

    max_waiting_mib: float = Field(default=64, gt=0)
    """MiB of texts that may wait for the disk; what comes on top is not kept, counted and recorded."""


class AuditSettings(StrictModel):
    """The account of every request. Paths that are not given lie in the endpoint's state folder."""

    mode: Literal["on", "off"] = "on"
    """`off` accounts for nothing and keeps nothing: for trials of an endpoint that no customer reaches."""

    folder: Path | None = None
    """Folder of the account, with one folder for each instance. None: `audit` in the state folder."""

    instance: str = Field(default="", pattern=rf"{INSTANCE_PATTERN}|^$")
    """Name of this gateway's own chain; one process writes it. "" is the host's name."""

    key_file: Path | None = None
    """Keys that records are authenticated with, readable by their owner only. None: `audit.key` in the state folder,
    made at the first start. Whoever has both the log and this file can rewrite what is not yet anchored."""

    signing_key_file: Path | None = None
    """Ed25519 private key (PEM) that checkpoints are signed with; its `.pub` is what an auditor needs. None:
    `audit.pem` in the state folder, made at the first start."""

    checkpoint_records: int = Field(default=1000, ge=1)
    """Records between two signed checkpoints, at most; with `checkpoint_s` the bound of what is not yet signed."""

    checkpoint_s: float = Field(default=10, gt=0)
    """Seconds from a record to the checkpoint that covers it, at most."""

    group_records: int = Field(default=1024, ge=1)
    """Records written and flushed together, at most. A group is what waited while the last one was flushed."""

    linger_ms: float = Field(default=20, ge=0)
    """Milliseconds that records nobody waits for (how requests ended) may wait for company before they are flushed."""

    accept_timeout_s: float = Field(default=5, gt=0)
    """Seconds a request waits to be accounted for before it is refused with 503: the disk is too slow."""

    max_waiting: int = Field(default=20_000, ge=1)
    """Records that may wait for the disk; from then on requests are refused with 503. The ends of requests that are
    in progress are still taken, up to twice as many; what comes on top is counted as lost in the log."""

    segment_mib: float = Field(default=64, gt=0)
    """MiB of a segment file, about; a start reads the last one, at some 50 MiB/s."""

    segment_hours: float = Field(default=24, gt=0)
    """Hours after which a segment is ended."""

    retention_days: float = Field(default=SIX_MONTHS_DAYS, ge=SIX_MONTHS_DAYS)
    """Days a segment is kept after its last record. 标识办法 Art. 9 asks for six months where unlabelled content was
    given out on request; no less is allowed here."""

    anchor: AnchorSettings | None = None
    """Where checkpoints go outside this machine; without one the loss of the newest records cannot be seen."""

    vault: VaultSettings | None = None
    """Keep raw texts, encrypted; None keeps none."""
