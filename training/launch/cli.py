"""What `tianjing train launch` does and says."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from tianjing.config import load_yaml, parse
from tianjing.console import make_console
from training.errors import TrainingError
from training.launch.job import JobConfig, Target

console = make_console(stderr=True, soft_wrap=True)


def launch(
    config: Path,
    on: str,
    job: Path | None,
    nodes: int | None,
    gpus_per_node: int | None,
    out: Path | None,
    submit: bool,
) -> None:
    """Render, say what was rendered and how to submit it, and submit if asked.

    Raises:
        TianjingError: a wrong configuration or description, or a client that is not here or refuses.
    """
    from training.launch.render import render
    from training.launch.submit import command_line, has_client
    from training.launch.submit import submit as submit_files

    if on not in get_args(Target):
        raise TrainingError(f"--on {on}: no such target", f"give one of {', '.join(get_args(Target))}")
    target: Target = on  # type: ignore[assignment]
    given = {"nodes": nodes, "gpus_per_node": gpus_per_node}
    settings = (load_yaml(job) if job else {}) | {name: value for name, value in given.items() if value is not None}
    description = parse(JobConfig, settings, str(job) if job else "job", job)
    rendered = render(config, description, target, out or Path("jobs") / f"{description.name}-{on}")
    console.print(f"{rendered.folder}: {', '.join(rendered.files)}", markup=False)
    for note in rendered.notes:
        console.print(f"note: {note}", markup=False)
    if submit:
        console.print(submit_files(rendered, target), markup=False)
        return
    here = "" if has_client(target) else " (the client is not installed here)"
    console.print(f"not submitted; to submit{here}: {command_line(rendered)}", markup=False)
