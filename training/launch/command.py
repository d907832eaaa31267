"""The command that every job runs: `tianjing train run`, under accelerate's launcher if it takes several processes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from training.launch.job import JobConfig

CONFIG = "train.yaml"
ACCELERATE = "accelerate.yaml"

# What a target's script sets before the launcher reads it: this machine's number, and where the first one listens.
NODE = ('"$NODE_RANK"', '"$MASTER_ADDR"', '"$MASTER_PORT"')


def run_command(job: JobConfig, config: str) -> list[str]:
    """`tianjing train run` with what this job trains on; `config` is the path at which the job sees it."""
    command = [job.python, "-m", "tianjing", "train", "run", job.needed("dataset")]
    return [*command, "--model", job.model or "embedded", "--out", job.needed("out"), "--config", config]


def launcher(job: JobConfig, accelerate: str) -> str:
    """Shell text in front of the run command's arguments after `-m`, or nothing where one process is all.

    It reads NODE_RANK, MASTER_ADDR and MASTER_PORT.
    """
    rank, address, port = NODE
    return (
        f"{shlex.quote(job.python)} -m training.launch.workers --config_file {shlex.quote(accelerate)}"
        f" --machine_rank {rank} --main_process_ip {address} --main_process_port {port}"
    )


def shell_command(job: JobConfig, config: str, accelerate: str) -> str:
    """The whole command as one line of shell text, quoted."""
    run = run_command(job, config)
    if job.world == 1:
        return quoted(run)
    return f"{launcher(job, accelerate)} {quoted(run[1:])}"


def quoted(words: Sequence[str]) -> str:
    """Words as shell text."""
    return " ".join(shlex.quote(word) for word in words)


def environment(job: JobConfig) -> dict[str, str]:
    """What the processes find set; a value of the description wins over ours."""
    own = {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(job.grace_s)} if job.world > 1 else {}
    return own | ({"HF_HUB_OFFLINE": "1"} if job.offline else {}) | job.env


def exports(job: JobConfig) -> list[str]:
    """`environment` as lines of bash."""
    return [f"export {name}={shlex.quote(value)}" for name, value in environment(job).items()]


def accelerate_config(job: JobConfig) -> str:
    """The file for accelerate's launcher; the trainer sets precision and checkpointing itself."""
    common: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "debug": False,
        # On CPUs too: with MULTI_CPU accelerate starts the processes through MPI. `use_cpu` makes the group gloo's.
        "distributed_type": "MULTI_GPU",
        "main_training_function": "main",
        "mixed_precision": "bf16" if job.gpus_per_node else "no",
        "num_machines": job.nodes,
        "num_processes": job.world,
        # Machines are numbered, and the first one listens; no rendezvous decides who is which.
        "rdzv_backend": "static",
        "use_cpu": not job.gpus_per_node,
    }
    if job.distribution == "fsdp2":
        common["distributed_type"] = "FSDP"
        common["fsdp_config"] = {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_reshard_after_forward": True,
            "fsdp_state_dict_type": "SHARDED_STATE_DICT",
            "fsdp_cpu_ram_efficient_loading": True,
            # The trainer's own switch; both together would recompute twice.
            "fsdp_activation_checkpointing": False,
            "fsdp_offload_params": False,
        }
    return to_yaml(common)


class _Dumper(yaml.SafeDumper):
    """Scripts stand in the file as they would in one of their own."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def to_yaml(*documents: dict[str, Any]) -> str:
    """YAML that a person can read too."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
