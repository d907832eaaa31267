"""One description for every scheduler: what cannot work is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tianjing.config import load, parse
from tianjing.errors import TianjingError
from training.errors import TrainingError
from training.launch.job import JobConfig, Target
from training.launch.render import render


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"env": {"PET_NNODES": "2"}}, "'PET_NNODES' is set by the launcher"),
        ({"env": {"MASTER_PORT": "1"}}, "'MASTER_PORT' is set by the launcher"),
        ({"env": {"A B": "1"}}, "no name of an environment variable"),
        ({"name": "My Job"}, "'name'"),
        ({"dataset": "a\nb"}, "one line of printable text"),
        ({"dataset": "--help"}, "does not begin with '-'"),
        ({"distribution": "fsdp2"}, "fsdp2 needs GPUs"),
        ({"gpus_per_node": 8, "processes_per_node": 4}, "one a GPU"),
        ({"slurm": {"partition": "gpu --wrap"}}, "'slurm.partition'"),
        ({"slurm": {"partitoin": "gpu"}}, "did you mean 'partition'"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(TianjingError, match=message):
        parse(JobConfig, fields, "job.yaml")


def test_processes_that_cannot_share_a_step_are_refused_before_a_job_is_queued(tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text("micro_batches: 12\n", encoding="utf-8")
    job = JobConfig(nodes=2, gpus_per_node=4, dataset="/d", out="/o")
    with pytest.raises(TrainingError, match="'micro_batches' is 12, which 8 processes"):
        render(config, job, "slurm", tmp_path / "jobs")
    assert not (tmp_path / "jobs").exists()


def test_a_relative_path_is_refused_where_it_means_nothing_and_completed_where_it_does(tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text("{}\n", encoding="utf-8")
    job = JobConfig(dataset="runs/rows", out="/o", image="a/b:1")
    with pytest.raises(TrainingError, match=r"relative path 'runs/rows'.*kubernetes"):
        render(config, job, "kubernetes", tmp_path / "jobs")
    render(config, job, "slurm", tmp_path / "jobs")
    assert str(Path("runs/rows").absolute()) in (tmp_path / "jobs" / "job.sbatch").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adapter: runs/old", r"'adapter' is the relative path 'runs/old'"),
        ("replay: {dataset: runs/old, rows: 5}", r"'replay\.dataset' is the relative path 'runs/old'"),
        ("scenes: [service, mediation]", r"8 processes cannot train 2 scenes"),
    ],
)
def test_what_the_job_would_not_find_or_could_not_train_is_refused(text: str, message: str, tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text(f"micro_batches: 8\n{text}\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=message):
        render(config, JobConfig(dataset="/d", out="/o", gpus_per_node=8), "slurm", tmp_path / "jobs")
    assert not (tmp_path / "jobs").exists()


def test_the_queued_job_keeps_the_configuration_it_was_given(tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text("epochs: 2\n", encoding="utf-8")
    result = render(config, JobConfig(dataset="/d", out="/o"), "slurm", tmp_path / "jobs")
    config.write_text("epochs: 9\n", encoding="utf-8")
    assert (result.folder / "train.yaml").read_text(encoding="utf-8") == "epochs: 2\n"


def test_what_a_target_has_no_use_for_is_said(tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text("{}\n", encoding="utf-8")
    job = JobConfig(dataset="/d", out="/o", memory_gib=8)
    assert render(config, job, "local", tmp_path / "a").notes == ("local has no use for memory_gib",)
    assert render(config, job, "slurm", tmp_path / "b").notes == ()


@pytest.mark.parametrize("target", ["slurm", "ray", "skypilot"])
def test_the_shipped_description_renders(target: Target, tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text("micro_batches: 16\n", encoding="utf-8")
    shipped = Path(__file__).parents[3] / "scripts" / "cluster" / "job.yaml"
    assert render(config, load(JobConfig, shipped), target, tmp_path / "jobs").files


def test_every_field_says_what_it_is() -> None:
    """A field without a docstring below it has no documentation at all."""
    import ast
    import inspect

    import training.launch.job as module

    for kind in ast.parse(inspect.getsource(module)).body:
        if isinstance(kind, ast.ClassDef):
            for field, below in zip(kind.body, kind.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign):
                    said = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                    assert said, f"{kind.name}.{ast.unparse(field.target)}"


JOBS = {
    path.name: load(JobConfig, path)
    for path in sorted((REPOSITORY / "scripts" / "cluster").glob("*.yaml"))
    if path.name.startswith("job")
}
EXAMPLES = sorted((REPOSITORY / "examples" / "training").glob("*.yaml"))
# What does not train on a GPU has a job of its own.
ON_CPUS = {"cpu.yaml": "job-cpu.yaml"}


@pytest.mark.parametrize("target", ["local", "slurm", "kubernetes", "ray", "skypilot"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_shipped_configuration_can_be_launched_with_the_shipped_job(
    example: Path, target: Target, tmp_path: Path
) -> None:
    job = JOBS[ON_CPUS.get(example.name, "job.yaml")].model_copy(update={"image": "registry/a:1"})
    if target == "local":
        job = job.model_copy(update={"nodes": 1})
    result = render(example, job, target, tmp_path / "jobs")
    assert all((result.folder / name).read_text(encoding="utf-8") for name in result.files)


def test_weights_that_are_all_trained_are_not_cut_into_shards(tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text("{tune: full, micro_batches: 8}\n", encoding="utf-8")
    job = JobConfig(gpus_per_node=8, distribution="fsdp2", dataset="/d", out="/o")
    with pytest.raises(TrainingError, match=r"tune: full(.|\n)*set distribution: ddp"):
        render(config, job, "slurm", tmp_path / "jobs")
    render(config, job.model_copy(update={"distribution": "ddp"}), "slurm", tmp_path / "jobs")
