"""A task for SkyPilot: a managed job that is started again where its machines are taken away, or on exit status 75."""

from __future__ import annotations

from typing import Any

from tianjing.errors import EXIT_RESUMABLE
from training.launch.command import ACCELERATE, CONFIG, environment, shell_command, to_yaml
from training.launch.job import JobConfig

FILE = "job.sky.yaml"
_PORT = 29500
# Where the machines find the files of this folder; the home folder differs from image to image.
_PLACE = "/tmp/tianjing-launch"


def task(job: JobConfig, files: dict[str, str]) -> str:
    """The YAML; submit it from the folder that holds it, as it names `files` relative to there."""
    resources: dict[str, Any] = {}
    if job.skypilot.infra:
        resources["infra"] = job.skypilot.infra
    if job.gpus_per_node:
        resources["accelerators"] = f"{job.skypilot.accelerator}:{job.gpus_per_node}"
    if job.cpus_per_node:
        resources["cpus"] = f"{job.cpus_per_node}+"
    if job.memory_gib:
        resources["memory"] = f"{job.memory_gib}+"
    if job.image:
        resources["image_id"] = f"docker:{job.image}"
    resources["use_spot"] = job.skypilot.use_spot
    resources["job_recovery"] = {"recover_on_exit_codes": [EXIT_RESUMABLE]}
    buckets = {volume.mount: volume.source for volume in job.volumes if "://" in volume.source}
    volumes = {volume.mount: volume.source for volume in job.volumes if "://" not in volume.source}
    mounts: dict[str, Any] = {f"{_PLACE}/{name}": f"./{name}" for name in files}
    mounts |= {mount: {"source": source, "mode": "MOUNT"} for mount, source in buckets.items()}
    found: dict[str, Any] = {"name": job.name, "num_nodes": job.nodes, "resources": resources}
    found["envs"] = environment(job)
    found["file_mounts"] = mounts
    if volumes:
        found["volumes"] = volumes
    found["run"] = _script(job)
    return to_yaml(found)


def _script(job: JobConfig) -> str:
    lines = ["set -euo pipefail", *job.setup]
    if job.world > 1:
        lines += [
            'mapfile -t hosts <<< "$SKYPILOT_NODE_IPS"',
            f"NODE_RANK=$SKYPILOT_NODE_RANK MASTER_ADDR=${{hosts[0]}} MASTER_PORT={_PORT}",
        ]
    lines.append("exec " + shell_command(job, f"{_PLACE}/{CONFIG}", f"{_PLACE}/{ACCELERATE}"))
    return "\n".join(lines) + "\n"
