"""The driver runs a task a machine, ends the others with the first that fails, and starts an interrupted run again."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.launch.conftest import HOSTILE, Render
from training.launch.ray_job import RayJob, run


def test_the_submitted_command_holds_nothing_of_the_user(rendered: Render) -> None:
    folder = rendered("ray", nodes=2, gpus_per_node=8, dataset=HOSTILE, retries=3).folder
    subprocess.run(["bash", "-n", str(folder / "submit.sh")], check=True)
    command = shlex.split((folder / "submit.sh").read_text(encoding="utf-8").splitlines()[-1])
    assert command[:4] == ["exec", "ray", "job", "submit"]
    assert command[command.index("--") + 1 :] == ["python", "-m", "training.launch.ray_job", "job.json"]
    job = RayJob.model_validate(json.loads((folder / "job.json").read_text(encoding="utf-8")))
    assert (job.nodes, job.gpus, job.retries) == (2, 8, 3)
    words = shlex.split(job.script)
    assert words[words.index("run") + 1] == HOSTILE
    assert words[-2:] == ["--config", "train.yaml"]
    assert (folder / "train.yaml").exists()


@pytest.fixture
def two_machines() -> Iterator[None]:
    """A Ray cluster of two machines, both played by this one."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address)
    yield
    ray.shutdown()
    cluster.shutdown()


# Of the first attempt, machine 0 is interrupted and machine 1 waits for it; the second attempt comes through.
_SCRIPT = """
cd "$PLACE_OF_TEST"
trap 'touch ended-with-its-task; exit 75' TERM
echo "$MASTER_ADDR:$MASTER_PORT" >> "place-$NODE_RANK"
if [ "$(wc -l < "place-$NODE_RANK")" -gt 1 ]; then exit 0; fi
if [ "$NODE_RANK" = 0 ]; then while [ ! -e place-1 ]; do sleep 0.1; done; exit 75; fi
while true; do sleep 0.1; done
"""


@pytest.mark.slow
def test_an_interrupted_run_is_started_again_on_all_machines(two_machines: None, tmp_path: Path) -> None:
    script = _SCRIPT.replace("$PLACE_OF_TEST", str(tmp_path))
    assert run(RayJob(nodes=2, cpus=1, gpus=0, retries=2, grace_s=20, script=script)) == 0
    first, second = ((tmp_path / f"place-{machine}").read_text(encoding="utf-8").splitlines() for machine in (0, 1))
    assert len(first) == 2 and first == second
    assert (tmp_path / "ended-with-its-task").exists(), "SIGTERM never reached what the cancelled task had started"
