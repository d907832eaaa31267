"""A TrainJob for Kubeflow Trainer 2.3, and the ConfigMap that its training configuration comes in.

Traps of that API: torchrun's PET_* come from the controller and are refused in `env`; a patch may not set the
environment of the container `node`; `numProcPerNode` is a number; how often a failed pod is started again cannot be
patched, it stands in the runtime.
"""

from __future__ import annotations

from typing import Any

from training.errors import TrainingError
from training.launch.command import ACCELERATE, CONFIG, environment, shell_command, to_yaml
from training.launch.job import JobConfig

FILE = "trainjob.yaml"
MOUNT = "/etc/tianjing"
_API = "trainer.kubeflow.org"


def trainjob(job: JobConfig, files: dict[str, str]) -> str:
    """The manifests: `files` as a ConfigMap, mounted at /etc/tianjing, and the TrainJob.

    SIGTERM goes to the container's first process: bash gives its place to the training process or its launcher.

    Raises:
        TrainingError: there is no image.
    """
    image = job.needed("image")
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{job.name}-config", "namespace": job.kubernetes.namespace},
        "data": files,
    }
    spec: dict[str, Any] = {
        "runtimeRef": {"apiGroup": _API, "kind": "ClusterTrainingRuntime", "name": job.kubernetes.runtime},
        "trainer": {
            "image": image,
            "numNodes": job.nodes,
            "numProcPerNode": job.processes,
            "command": ["bash", "-c"],
            "args": [_literal(_script(job))],
            "env": [{"name": name, "value": _literal(value)} for name, value in environment(job).items()],
        },
        "runtimePatches": [_patch(job)],
    }
    resources = _resources(job)
    if resources:
        spec["trainer"]["resourcesPerNode"] = resources
    if job.time_limit_minutes:
        spec["activeDeadlineSeconds"] = 60 * job.time_limit_minutes
    metadata: dict[str, Any] = {"name": job.name, "namespace": job.kubernetes.namespace}
    if job.kubernetes.queue:
        metadata["labels"] = {"kueue.x-k8s.io/queue-name": job.kubernetes.queue}
        spec["suspend"] = True  # Kueue wakes it when it is admitted
    train_job = {"apiVersion": f"{_API}/v1alpha1", "kind": "TrainJob", "metadata": metadata, "spec": spec}
    return to_yaml(config_map, train_job)


def _script(job: JobConfig) -> str:
    lines = ["set -euo pipefail", *job.setup]
    if job.world > 1:
        lines.append('NODE_RANK="$PET_NODE_RANK" MASTER_ADDR="$PET_MASTER_ADDR" MASTER_PORT="$PET_MASTER_PORT"')
    lines.append("exec " + shell_command(job, f"{MOUNT}/{CONFIG}", f"{MOUNT}/{ACCELERATE}"))
    return "\n".join(lines) + "\n"


def _literal(text: str) -> str:
    """`text` as it is meant: Kubernetes replaces $(NAME) in arguments and environment, and reads $$ as one $."""
    return text.replace("$", "$$")


def _resources(job: JobConfig) -> dict[str, Any]:
    requests: dict[str, str] = {}
    if job.cpus_per_node:
        requests["cpu"] = str(job.cpus_per_node)
    if job.memory_gib:
        requests["memory"] = f"{job.memory_gib}Gi"
    limits: dict[str, str] = {}
    if job.gpus_per_node:
        requests["nvidia.com/gpu"] = limits["nvidia.com/gpu"] = str(job.gpus_per_node)
    found = {"requests": requests, "limits": limits}
    return {name: amounts for name, amounts in found.items() if amounts}


def _patch(job: JobConfig) -> dict[str, Any]:
    volumes: list[dict[str, Any]] = [{"name": "config", "configMap": {"name": f"{job.name}-config"}}]
    mounts = [{"name": "config", "mountPath": MOUNT, "readOnly": True}]
    for number, volume in enumerate(job.volumes):
        if "/" in volume.source or ":" in volume.source:
            raise TrainingError(
                f"job '{job.name}': volume source '{volume.source}' is no name of a PersistentVolumeClaim",
                "name a claim in the job's namespace",
            )
        volumes.append({"name": f"volume-{number}", "persistentVolumeClaim": {"claimName": volume.source}})
        mounts.append({"name": f"volume-{number}", "mountPath": volume.mount})
    if job.shared_memory:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory"}})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})
    pod: dict[str, Any] = {
        "terminationGracePeriodSeconds": job.grace_s,
        "volumes": volumes,
        "containers": [{"name": "node", "volumeMounts": mounts}],
    }
    if job.kubernetes.service_account:
        pod["serviceAccountName"] = job.kubernetes.service_account
    node = {"name": "node", "template": {"spec": {"template": {"spec": pod}}}}
    return {"manager": "tianjing/launch", "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [node]}}}}
