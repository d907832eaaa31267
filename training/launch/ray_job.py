"""A job for Ray: one task a machine, each starting its processes: python -m training.launch.ray_job job.json

Ray runs a job once, to its end or failure, so the driver itself starts an interrupted run again. The command comes in a
file: Ray's command line joins its arguments in a way that a shell does not read back.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tianjing.config import StrictModel, parse
from tianjing.errors import EXIT_RESUMABLE
from training.launch.command import ACCELERATE, CONFIG, exports, quoted, shell_command
from training.launch.job import JobConfig

FILE = "job.json"
SUBMIT = "submit.sh"
_POLL_S = 0.2


class RayJob(StrictModel):
    """What the driver needs to know."""

    nodes: int
    """Machines, one task each."""
    cpus: float
    """Cores that a task claims."""
    gpus: float
    """GPUs that a task claims."""
    retries: int
    """How often an interrupted run is started again."""
    grace_s: int
    """Seconds that the other machines get to end after the first one has failed."""
    script: str
    """Bash; it finds NODE_RANK, MASTER_ADDR and MASTER_PORT set."""


def description(job: JobConfig) -> str:
    """The JSON file, for a working directory that holds the training configuration too."""
    lines = ["set -euo pipefail", *job.setup, *exports(job), "exec " + shell_command(job, CONFIG, ACCELERATE)]
    found = RayJob(
        nodes=job.nodes,
        cpus=job.cpus_per_node or 1,
        gpus=job.gpus_per_node,
        retries=job.retries,
        grace_s=job.grace_s,
        script="\n".join(lines) + "\n",
    )
    return found.model_dump_json(indent=2) + "\n"


def submit_script(job: JobConfig) -> str:
    """Bash that submits the folder it stands in."""
    submit = ["exec", "ray", "job", "submit", "--address", job.ray.address, "--no-wait", "--working-dir", "."]
    driver = quoted([*submit, "--", "python", "-m", "training.launch.ray_job", FILE])
    return f'#!/bin/bash\nset -euo pipefail\ncd "$(dirname "$0")"\n{driver}\n'


def run(job: RayJob) -> int:
    """Run on the cluster that this process is connected to; the status of the last attempt.

    A machine that is lost in the middle is an interruption: the run goes on from its last checkpoint.
    """
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group

    for attempt in range(job.retries + 1):
        # Anew each time: a machine may be gone.
        group = placement_group([{"CPU": job.cpus, "GPU": job.gpus}] * job.nodes, strategy="STRICT_SPREAD")
        ray.get(group.ready())
        try:
            status = _attempt(job, group)
        except ray.exceptions.RayError as error:
            print(f"lost a machine: {error}", file=sys.stderr)
            status = EXIT_RESUMABLE
        finally:
            remove_placement_group(group)
        if status != EXIT_RESUMABLE:
            break
        print(f"interrupted; attempt {attempt + 1} of {job.retries + 1}", file=sys.stderr)
    return status


def _attempt(job: RayJob, group: Any) -> int:
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    def on(machine: int, function: Any) -> Any:
        strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=machine)
        remote: Any = ray.remote(num_cpus=job.cpus, num_gpus=job.gpus, max_retries=0)(function)
        return remote.options(scheduling_strategy=strategy)

    address, port = ray.get(on(0, _meeting_point).remote())
    running = [
        on(machine, _run_machine).remote(job.script, machine, address, port, job.grace_s)
        for machine in range(job.nodes)
    ]
    statuses: list[int] = []
    while running:
        # Once one machine has failed, the others wait for it in vain.
        ended, running = ray.wait(running, timeout=job.grace_s if any(statuses) else None)
        if not ended:
            for task in running:
                ray.cancel(task)
            ray.wait(running, num_returns=len(running), timeout=2 * job.grace_s)
            break
        statuses += ray.get(ended)
    return next((status for status in statuses if status), 0)


def _meeting_point() -> tuple[str, int]:
    """Address of this machine, and a port that is free on it."""
    import ray

    with socket.socket() as probe:
        probe.bind(("", 0))
        return ray.util.get_node_ip_address(), probe.getsockname()[1]


def _run_machine(script: str, machine: int, address: str, port: int, grace_s: int) -> int:
    place = {"NODE_RANK": str(machine), "MASTER_ADDR": address, "MASTER_PORT": str(port)}
    process = subprocess.Popen(["bash", "-c", script], env=os.environ | place)
    try:
        # In turns: `ray.cancel` interrupts Python between two instructions, not a call that blocks.
        while process.poll() is None:
            time.sleep(_POLL_S)
        return process.returncode
    except KeyboardInterrupt:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


def main(arguments: list[str]) -> int:
    """Read the file and run what it describes."""
    import ray

    path = Path(arguments[0])
    job = parse(RayJob, json.loads(path.read_text(encoding="utf-8")), str(path))
    ray.init()
    return run(job)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
