"""Manifests fit their schemas, strictly, and say what was meant once the scheduler has read them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.training.launch.conftest import HOSTILE, Render
from tests.training.launch.schemas import CONFIG_MAP, SKY_TASK, TRAIN_JOB
from training.errors import TrainingError

JOB: dict[str, Any] = {
    "nodes": 2,
    "gpus_per_node": 8,
    "cpus_per_node": 96,
    "memory_gib": 512,
    "image": "registry/team/tianjing:1",
    "env": {"NOTE": "$(HOME) $$ 数据"},
}


def train_job(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    config_map, job = yaml.safe_load_all((folder / "trainjob.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(config_map, CONFIG_MAP)
    jsonschema.validate(job, TRAIN_JOB)
    return config_map, job


def as_kubernetes_reads_it(text: str, variables: dict[str, str]) -> str:
    """Expansion of arguments and environment: $$ is one $, $(NAME) the variable where there is one."""

    def read(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\((\w+)\)", read, text)


def arguments(script: str, environment: dict[str, str], folder: Path) -> list[str]:
    """What the script starts python with, by a python that writes it down."""
    python = folder / "bin" / "python"
    python.parent.mkdir(exist_ok=True)
    python.write_text(f'#!/bin/bash\nprintf "%s\\0" "$@" > "{folder}/arguments"\n', encoding="utf-8")
    python.chmod(0o755)
    path = {"PATH": f"{python.parent}:/usr/bin:/bin"}
    subprocess.run(["bash", "-c", script], env=environment | path, cwd=folder, check=True)
    return (folder / "arguments").read_text(encoding="utf-8").split("\0")[:-1]


def test_a_trainjob_fits_the_crd_and_every_field_arrives(rendered: Render) -> None:
    volumes = [{"source": "shared", "mount": "/data"}]
    kubernetes = {"namespace": "credit", "queue": "team", "service_account": "trainer"}
    folder = rendered("kubernetes", **JOB, volumes=volumes, kubernetes=kubernetes, time_limit_minutes=480).folder
    config_map, job = train_job(folder)
    assert config_map["data"]["train.yaml"] == "micro_batches: 16\n"
    assert job["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "team"} and job["spec"]["suspend"] is True
    assert job["spec"]["activeDeadlineSeconds"] == 28800
    trainer = job["spec"]["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 8)
    assert trainer["resourcesPerNode"] == {
        "requests": {"cpu": "96", "memory": "512Gi", "nvidia.com/gpu": "8"},
        "limits": {"nvidia.com/gpu": "8"},
    }
    (patched,) = job["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = patched["template"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 240
    mounted = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert set(mounted) == {"/etc/tianjing", "/data", "/dev/shm"}
    assert set(mounted.values()) == {volume["name"] for volume in pod["volumes"]}


def test_a_pod_reads_every_argument_and_value_as_it_was_written(rendered: Render, tmp_path: Path) -> None:
    _, job = train_job(rendered("kubernetes", **JOB, dataset=HOSTILE).folder)
    trainer = job["spec"]["trainer"]
    pod = {"PET_NODE_RANK": "1", "PET_MASTER_ADDR": "demo-node-0-0", "PET_MASTER_PORT": "29500", "HOME": "/root"}
    env = {entry["name"]: as_kubernetes_reads_it(entry["value"], pod) for entry in trainer["env"]}
    assert env["NOTE"] == "$(HOME) $$ 数据"
    (script,) = (as_kubernetes_reads_it(text, pod | env) for text in trainer["args"])
    found = arguments(script, pod | env, tmp_path)
    assert found[:4] == ["-m", "training.launch.workers", "--config_file", "/etc/tianjing/accelerate.yaml"]
    options = dict(zip(found[4:10:2], found[5:10:2], strict=True))
    assert options == {
        "--machine_rank": "1",
        "--main_process_ip": "demo-node-0-0",
        "--main_process_port": "29500",
    }
    assert found[found.index("run") + 1] == HOSTILE
    assert found[-2:] == ["--config", "/etc/tianjing/train.yaml"]


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec["trainer"]["env"].append({"name": "PET_NNODES", "value": "2"}),
        lambda spec: spec["trainer"].update(numProcPerNode="auto"),
        lambda spec: spec.update(podSpecOverrides=[]),
        lambda spec: spec["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"][0][
            "template"
        ]["spec"]["template"]["spec"]["containers"][0].update(env=[{"name": "A", "value": "b"}]),
    ],
)
def test_the_schema_refuses_what_the_controller_refuses(rendered: Render, change: Any) -> None:
    _, job = train_job(rendered("kubernetes", **JOB).folder)
    change(job["spec"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job, TRAIN_JOB)


def test_a_pod_without_an_image_or_with_a_bucket_for_a_claim_is_refused(rendered: Render) -> None:
    with pytest.raises(TrainingError, match="'image' is not given"):
        rendered("kubernetes")
    with pytest.raises(TrainingError, match=r"'s3://bucket' is no name of a PersistentVolumeClaim"):
        rendered("kubernetes", image="a/b:1", volumes=[{"source": "s3://bucket", "mount": "/data"}])


def test_a_skypilot_task_fits_its_fields_and_starts_what_was_meant(rendered: Render, tmp_path: Path) -> None:
    volumes = [{"source": "s3://bucket/rows", "mount": "/data"}, {"source": "disk", "mount": "/results"}]
    sky = {"accelerator": "H200", "infra": "aws/us-east-1", "use_spot": True}
    result = rendered("skypilot", **JOB, volumes=volumes, skypilot=sky, dataset=HOSTILE)
    task = yaml.safe_load((result.folder / "job.sky.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(task, SKY_TASK)
    assert task["resources"]["accelerators"] == "H200:8" and task["num_nodes"] == 2
    assert task["resources"]["job_recovery"] == {"recover_on_exit_codes": [75]}
    assert task["file_mounts"]["/data"] == {"source": "s3://bucket/rows", "mode": "MOUNT"}
    assert task["volumes"] == {"/results": "disk"}
    assert all((result.folder / path).is_file() for path in task["file_mounts"].values() if isinstance(path, str))
    node = {"SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NODE_RANK": "1"}
    found = arguments(task["run"], node | task["envs"], tmp_path)
    assert found[found.index("--main_process_ip") + 1] == "10.0.0.1"
    assert found[found.index("--machine_rank") + 1] == "1"
    assert found[found.index("run") + 1] == HOSTILE
    assert found[found.index("--config") + 1] in task["file_mounts"]
