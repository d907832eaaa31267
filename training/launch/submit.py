"""Hand rendered files to the scheduler's own client, where it is installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess

from training.errors import TrainingError
from training.launch.job import Target
from training.launch.render import Rendered

_CLIENT: dict[Target, str] = {
    "local": "bash",
    "slurm": "sbatch",
    "kubernetes": "kubectl",
    "ray": "ray",
    "skypilot": "sky",
}


def command_line(rendered: Rendered) -> str:
    """What a person types to submit."""
    return f"cd {shlex.quote(str(rendered.folder))} && {shlex.join(rendered.submit)}"


def has_client(target: Target) -> bool:
    """Whether this machine can submit."""
    return shutil.which(_CLIENT[target]) is not None


def submit(rendered: Rendered, target: Target) -> str:
    """Submit; what the client said. For `local` this process becomes the training run and does not return.

    Raises:
        TrainingError: the client is not here, or it refused.
    """
    if not has_client(target):
        raise TrainingError(
            f"'{_CLIENT[target]}' is not installed here, so nothing was submitted; the files are in {rendered.folder}",
            f"on a machine that has it: {command_line(rendered)}",
        )
    if target == "local":
        os.chdir(rendered.folder)
        os.execvp(rendered.submit[0], rendered.submit)
    done = subprocess.run(rendered.submit, cwd=rendered.folder, capture_output=True, text=True)
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise TrainingError(
            f"{rendered.submit[0]} refused the job (exit status {done.returncode}): {said}",
            f"mend what it names, then: {command_line(rendered)}",
        )
    return said
