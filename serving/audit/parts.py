"""The account and the vault as their settings ask for them."""

from __future__ import annotations

from pathlib import Path

from serving.audit.base import Audit, NoAudit, NoVault, Vault
from serving.audit.keeper import TextVault
from serving.audit.log import AuditLog
from serving.audit.settings import AuditSettings


def account(settings: AuditSettings, state: Path) -> tuple[Audit, Vault]:
    """What the gateway is made with; `state` is the endpoint's state folder."""
    if settings.mode == "off":
        return NoAudit(), NoVault()
    log = AuditLog(settings, state)
    return log, TextVault(settings.vault, state, log.note) if settings.vault is not None else NoVault()
