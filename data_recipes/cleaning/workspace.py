"""The folder in which a chain of phases works: a finished task is a finished folder, so a killed run goes on.

A task writes into a hidden folder of its own and renames it into place when it is done. What stands under its final
name is therefore whole, whoever was killed when, and the same task done twice (a job queued again) changes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tianjing.files import atomic_write, canonical_json

_PLAN = "plan.json"


@dataclass(frozen=True)
class Phase:
    """One step of a chain: `count` tasks that may run in any order and anywhere, once the phases before are done.

    `run(workspace, index, folder)` fills the folder of task `index`. It must be a function of a module, so that another
    process can import it, and must write the same bytes whenever it is called.
    """

    name: str
    count: int
    run: Callable[[Workspace, int, Path], None]
    light: bool = False
    """Done before another process would have started."""


class Workspace:
    """A chain's folder, on a disk that every worker sees.

    Args:
        root: made when a plan is kept; nothing in it is of use once the chain's artefact is written.
    """

    def __init__(self, root: Path):
        self.root = Path(root)

    def keep(self, plan: dict[str, Any]) -> bool:
        """Begin with this plan, or go on where a run with the same one stopped; True where it goes on.

        What another plan (another configuration, changed material) left behind is cleared.
        """
        text = canonical_json(plan)
        path = self.root / _PLAN
        if path.is_file() and path.read_text("utf-8") == text:
            return True
        shutil.rmtree(self.root, ignore_errors=True)
        atomic_write(path, text)
        return False

    def plan(self) -> Any:
        """The plan that was kept."""
        return json.loads((self.root / _PLAN).read_text("utf-8"))

    def kept_at(self) -> int:
        """When the plan was kept, in nanoseconds: another value, another plan."""
        return (self.root / _PLAN).stat().st_mtime_ns

    def folder(self, phase: str, index: int = 0) -> Path:
        """Where a finished task of `phase` stands."""
        return self.root / phase / f"{index:05d}"

    def open_tasks(self, phase: Phase) -> list[int]:
        """Tasks that are not finished, in order."""
        return [index for index in range(phase.count) if not self.folder(phase.name, index).is_dir()]

    def run(self, phase: Phase, index: int) -> None:
        """Do one task, unless it is finished."""
        if self.folder(phase.name, index).is_dir():
            return
        with self._whole(self.folder(phase.name, index)) as folder:
            phase.run(self, index, folder)

    @contextlib.contextmanager
    def _whole(self, target: Path) -> Iterator[Path]:
        temporary = target.with_name(f".{target.name}.{os.uname().nodename}.{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            for path in temporary.iterdir():
                with open(path, "rb") as stream:
                    os.fsync(stream.fileno())
            try:
                os.rename(temporary, target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise  # else another worker has finished the same task, with the same bytes
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.root, ignore_errors=True)
