"""One adapter for each scene of one dataset, by one command: OUT/SCENE, each an adapter like any other.

What is finished is left as it is, and what was interrupted goes on, so the same command serves until all are there. A
server takes them by their names: `--lora-modules service=OUT/service mediation=OUT/mediation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tianjing.console import make_console
from tianjing.lineage import all_there, artefact_digest, read_manifest
from tianjing.tasks import SCENES
from training.config import TrainConfig
from training.continued import inherit
from training.errors import TrainingError
from training.interruption import Interrupted, stop_on_sigterm
from training.ranks import Ranks
from training.run import train
from training.selection import Scene, tasks_of
from training.workspace import Resume, require_target, run_inputs, run_parameters

console = make_console(stderr=True, soft_wrap=True)


def scenes_of(config: TrainConfig, names: Sequence[str] = ()) -> list[Scene]:
    """The scenes to train: those of the configuration, or of these the named ones. Without either, none.

    Raises:
        TrainingError: a name that neither the configuration nor tianjing.tasks.SCENES knows.
    """
    known = config.scenes or SCENES
    unknown = [name for name in names if name not in known]
    if unknown:
        raise TrainingError(
            f"--scene {unknown[0]}: no such scene; known are {', '.join(known)}",
            "name one of them, or describe it in the configuration: scenes: {NAME: [TASK, ...]}",
        )
    wanted = tuple(dict.fromkeys(names)) or tuple(config.scenes or ())
    return [Scene(name, known[name]) for name in wanted]


def one_scene(config: TrainConfig, name: str | None) -> Scene | None:
    """The scene that is planned; None where one adapter is trained on all tasks.

    Raises:
        TrainingError: the configuration names several, and none is chosen.
    """
    found = scenes_of(config, (name,) if name else ())
    if len(found) > 1:
        raise TrainingError(
            f"the configuration trains {len(found)} scenes, and a plan is for one",
            f"choose it: --scene {found[0].name}",
        )
    return found[0] if found else None


def of_scene(config: TrainConfig, scene: Scene) -> TrainConfig:
    """The configuration of one scene: it goes on from its own adapter, where it goes on from any."""
    if config.adapter is None:
        return config
    return config.model_copy(update={"adapter": str(Path(config.adapter) / scene.name)})


def train_scenes(
    dataset: Path,
    model: Path,
    out: Path,
    config: TrainConfig,
    scenes: Sequence[Scene],
    resume: Resume = "auto",
    ends_process: bool = False,
) -> None:
    """Train each scene that is not finished yet into `out / NAME`.

    Args:
        ends_process: as `train`, after the last scene.

    Raises:
        TrainingError: a scene has no row in the dataset; several processes are to train several scenes; or as `train`.
        Interrupted: SIGTERM came; the same command goes on.
    """
    ranks = Ranks.from_environment()
    console.quiet = not ranks.writes
    if ranks.world > 1 and len(scenes) > 1:
        raise TrainingError(
            f"{ranks.world} processes cannot train {len(scenes)} scenes one after another",
            "give each scene a job of its own: scenes: [NAME] in its configuration",
        )
    _check_rows(dataset, config, scenes)
    for scene in scenes:  # all of them, before the first is trained
        settings = of_scene(config, scene)
        require_target(out / scene.name, settings, run_inputs(dataset, model, settings))
    with stop_on_sigterm(ends_process) as stop:
        for number, scene in enumerate(scenes, start=1):
            target, settings = out / scene.name, of_scene(config, scene)
            console.print(f"scene {scene.name} ({number} of {len(scenes)}): {', '.join(scene.tasks)}")
            if resume != "never" and _finished(target, dataset, model, settings, scene):
                console.print(f"{target}: is finished, and stays as it is")
                continue
            if stop.requested:  # while the artefact before was written
                raise Interrupted(f"stopped after scene {scenes[number - 2].name}, which is finished")
            train(dataset, model, target, settings, resume, scene=scene, stop=stop)
            stop.end_at_once()


def _check_rows(dataset: Path, config: TrainConfig, scenes: Sequence[Scene]) -> None:
    """Every scene must have rows before the first is trained; rows that no scene takes are told."""
    rows = tasks_of(dataset, config)
    for scene in scenes:
        if not any(rows[task] for task in scene.tasks):
            raise TrainingError(
                f"{dataset}: holds no row of scene {scene.name} (tasks {', '.join(scene.tasks)})",
                "leave the scene out, or build the dataset with one of its tasks",
            )
    taken = {task for scene in scenes for task in scene.tasks}
    left = Counter({task: count for task, count in rows.items() if task not in taken})
    if left:
        by_task = ", ".join(f"{task} {count}" for task, count in sorted(left.items()))
        console.print(f"{left.total()} rows belong to none of these scenes and are not learned: {by_task}")


def _finished(target: Path, dataset: Path, model: Path, config: TrainConfig, scene: Scene) -> bool:
    """Whether `target` is the artefact that this very run would write."""
    if not all_there(target):
        return False
    manifest = read_manifest(target)
    config = inherit(config, model)
    digests = [artefact_digest(path) for path in run_inputs(dataset, model, config).values()]
    recorded = [record.sha256 for record in manifest.inputs]
    return manifest.parameters == run_parameters(config, scene) and recorded == digests
