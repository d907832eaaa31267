"""accelerate reads our file as we mean it, and the launcher hands on what the training processes end with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.launch.conftest import Render


def test_accelerate_loads_the_fsdp2_file_and_its_plugin_takes_every_key(
    rendered: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate.commands.config import load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
    from accelerate.utils.launch import prepare_multi_gpu_env

    path = rendered("slurm", nodes=2, gpus_per_node=8, distribution="fsdp2").folder / "accelerate.yaml"
    config = load_config_from_file(str(path))
    assert config.distributed_type == DistributedType.FSDP
    assert (config.num_machines, config.num_processes, config.mixed_precision) == (2, 16, "bf16")
    own = ["--machine_rank", "1", "--main_process_ip", "10.0.0.1", "--main_process_port", "20001"]
    arguments = launch_command_parser().parse_args(["--config_file", str(path), *own, "-m", "tianjing"])
    for key in config.fsdp_config:
        assert hasattr(arguments, key), f"accelerate launch knows no {key}"
    arguments, _, _ = _validate_launch_command(arguments)
    for name, value in prepare_multi_gpu_env(arguments).items():
        if name.startswith(("FSDP_", "ACCELERATE_")):
            monkeypatch.setenv(name, value)
    assert os.environ["ACCELERATE_USE_FSDP"] == "true"
    assert (arguments.nproc_per_node, arguments.nnodes, arguments.node_rank) == ("8", "2", 1)
    assert (arguments.rdzv_backend, arguments.rdzv_endpoint) == ("static", "10.0.0.1:20001")
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert str(plugin.state_dict_type).endswith("SHARDED_STATE_DICT")
    assert plugin.cpu_ram_efficient_loading is True
    assert plugin.activation_checkpointing is False
    assert type(plugin.cpu_offload).__name__ == "OffloadPolicy"  # not CPUOffloadPolicy


def test_a_single_process_is_started_without_a_launcher(rendered: Render) -> None:
    folder = rendered("local").folder
    assert "accelerate.yaml" not in {path.name for path in folder.iterdir()}
    assert "exec python -m tianjing train run /data/rows" in (folder / "local.sh").read_text(encoding="utf-8")


_WORKER = """
import os, signal, sys, time
from pathlib import Path

def stop(*_):
    Path(f"stopped-{os.environ['RANK']}").touch()
    sys.exit(75)

signal.signal(signal.SIGTERM, stop)
Path(f"started-{os.environ['RANK']}-of-{os.environ['WORLD_SIZE']}").touch()
if sys.argv[1] == "wait":
    time.sleep(60)
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("ends", "status"), [("75", 75), ("2", 2), ("wait", 75)])
def test_the_status_and_the_signal_pass_through_the_launcher(
    rendered: Render, tmp_path: Path, ends: str, status: int
) -> None:
    config = rendered("local", processes_per_node=2).folder / "accelerate.yaml"
    (tmp_path / "worker.py").write_text(_WORKER, encoding="utf-8")
    own = ["--config_file", str(config), "--machine_rank", "0", "--main_process_ip", "127.0.0.1"]
    command = [sys.executable, "-m", "training.launch.workers", *own, "--main_process_port", "0", "worker.py", ends]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    launcher = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    if ends == "wait":
        while not all((tmp_path / f"started-{rank}-of-2").exists() for rank in (0, 1)):
            assert launcher.poll() is None
            time.sleep(0.05)
        launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(timeout=120) == status, launcher.communicate()[1]
    if ends == "wait":
        assert (tmp_path / "stopped-0").exists() and (tmp_path / "stopped-1").exists()
