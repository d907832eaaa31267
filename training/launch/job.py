"""What a job is given: the machines it takes, and where data and results stand as those machines see them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt, StringConstraints, field_validator, model_validator

from tianjing.config import StrictModel
from training.errors import TrainingError

Target = Literal["local", "slurm", "kubernetes", "ray", "skypilot"]

# Set by the launchers; a value from outside would send the processes to one another's run.
_RESERVED = re.compile(r"RANK|LOCAL_RANK|GROUP_RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|MASTER_ADDR|MASTER_PORT|NODE_RANK")
_RESERVED_PREFIXES = ("PET_", "SLURM_", "SKYPILOT_", "TORCHELASTIC_", "ACCELERATE_", "FSDP_")


def _one_line(value: str) -> str:
    if not value or value.startswith("-") or any(not character.isprintable() for character in value):
        raise ValueError("write one line of printable text that does not begin with '-'")
    return value


Line = Annotated[str, AfterValidator(_one_line)]
"""A path or name. Any character that prints may stand in it; every renderer quotes."""

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@*,+-]*$")]
"""A name that a scheduler gave out: letters, digits and a few signs."""

DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
"""RFC 1035: what Kubernetes takes as a name, and every other scheduler too."""


class VolumeSection(StrictModel):
    """Storage that outlives the job."""

    source: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9/][A-Za-z0-9_.:/@+-]*$")]
    """Kubernetes: the claim. Slurm: a folder of the hosts, mounted into `image`. SkyPilot: a volume's name, or the
    address of a bucket (`s3://…`)."""

    mount: Annotated[Line, StringConstraints(pattern=r"^/[^:,]*$")]
    """Absolute folder at which the job sees it; no `:` or `,`, which container runtimes separate mounts by."""


class SlurmSection(StrictModel):
    """What only Slurm asks for."""

    partition: Word | None = None
    """None takes the site's default."""
    account: Word | None = None
    """Who pays; None takes the user's default."""
    qos: Word | None = None
    """Quality of service; None takes the default."""


class KubernetesSection(StrictModel):
    """What only Kubeflow Trainer asks for."""

    namespace: DnsLabel = "default"
    """Where the TrainJob, its claims and the Kueue queue live."""
    runtime: Word = "torch-distributed"
    """ClusterTrainingRuntime that starts the pods. It alone says how often a failed pod is started again."""
    queue: Word | None = None
    """Kueue LocalQueue that admits the job; None starts it at once."""
    service_account: Word | None = None
    """None takes the namespace's default."""


class SkyPilotSection(StrictModel):
    """What only SkyPilot asks for."""

    accelerator: Word = "H200"
    """Name of the GPU, as `sky gpus list` writes it; `gpus_per_node` says how many."""
    infra: Word | None = None
    """Cloud, region or Kubernetes context (`aws/us-east-1`, `k8s/NAME`); None takes the cheapest that fits."""
    use_spot: bool = False
    """Machines that may be taken away; the run then goes on elsewhere from its last checkpoint."""


class RaySection(StrictModel):
    """What only Ray asks for."""

    address: Word = "http://127.0.0.1:8265"
    """Of the cluster's job server."""


class JobConfig(StrictModel):
    """One training job, for any scheduler."""

    name: DnsLabel = "tianjing-train"
    """Of the job: lower-case letters, digits and '-', at most 63."""

    dataset: Line | None = None
    """Dataset artefact as the job's machines see it; None takes the training configuration's."""
    model: Line | None = None
    """Base model as the job's machines see it; None takes the training configuration's, else 'embedded'."""
    out: Line | None = None
    """Folder of the adapter as the job's machines see it, on storage that they share: checkpoints stand beside it, and
    a job that was interrupted goes on from them. None takes the training configuration's."""

    nodes: PositiveInt = 1
    """Machines."""
    gpus_per_node: int = Field(0, ge=0)
    """GPUs of each, one process for each of them; 0 trains on CPUs."""
    processes_per_node: PositiveInt | None = None
    """Processes of each machine; None takes one a GPU, or one on CPUs."""
    distribution: Literal["ddp", "fsdp2"] = "ddp"
    """How the processes share the work: each holds the model (ddp), or its shards (fsdp2) where one GPU cannot hold it.
    While the base fits on each GPU, ddp is faster: only the adapter is exchanged."""
    cpus_per_node: PositiveInt | None = None
    """Cores of each machine; None takes the scheduler's default."""
    memory_gib: PositiveInt | None = None
    """Main memory of each machine, GiB; None takes the scheduler's default."""
    time_limit_minutes: PositiveInt | None = None
    """After which the scheduler ends the job; None takes its default."""

    image: Word | None = None
    """Container image with tianjing and its `gpu` or `cpu` extra. Kubernetes needs one; Slurm runs it through pyxis."""
    volumes: tuple[VolumeSection, ...] = ()
    """Mounted storage."""
    shared_memory: bool = True
    """Mount memory at /dev/shm on Kubernetes: its 64 MiB default is too small for NCCL between GPUs of one pod."""

    env: dict[str, str] = {}
    """Environment of the processes. What the launchers set themselves is refused."""
    setup: tuple[str, ...] = ()
    """Lines of bash before training on each machine, such as `source /opt/venv/bin/activate`. Written as they are."""
    python: Line = "python"
    """Interpreter that has tianjing, after `setup`."""
    offline: bool = True
    """Set HF_HUB_OFFLINE: compute nodes rarely reach a model hub, and waiting for one costs minutes a process."""

    retries: int = Field(5, ge=0)
    """How often a job that was interrupted (exit status 75) is started again, where the scheduler leaves it to us."""
    grace_s: PositiveInt = 240
    """Seconds from SIGTERM to the end, in which a checkpoint is written."""

    slurm: SlurmSection = SlurmSection()
    """Slurm's own settings."""
    kubernetes: KubernetesSection = KubernetesSection()
    """Kubeflow Trainer's own settings."""
    skypilot: SkyPilotSection = SkyPilotSection()
    """SkyPilot's own settings."""
    ray: RaySection = RaySection()
    """Ray's own settings."""

    @field_validator("env")
    @classmethod
    def _not_reserved(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"'{name}' is no name of an environment variable")
            if _RESERVED.fullmatch(name) or name.startswith(_RESERVED_PREFIXES):
                raise ValueError(f"'{name}' is set by the launcher; leave it out")
            if any(not character.isprintable() for character in text):
                raise ValueError(f"'{name}' holds a character that does not print")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> JobConfig:
        if self.distribution == "fsdp2" and not self.gpus_per_node:
            raise ValueError("fsdp2 needs GPUs: on CPUs accelerate runs it as ddp in silence; set distribution: ddp")
        if self.gpus_per_node and self.processes_per_node not in (None, self.gpus_per_node):
            raise ValueError("'processes_per_node' is one a GPU; leave it out")
        return self

    @property
    def processes(self) -> int:
        """Of one machine."""
        return self.processes_per_node or self.gpus_per_node or 1

    @property
    def world(self) -> int:
        """Processes of the job."""
        return self.nodes * self.processes

    def needed(self, field: Literal["dataset", "out", "image"]) -> str:
        """A field that this target cannot do without.

        Raises:
            TrainingError: it is not given.
        """
        value: str | None = getattr(self, field)
        if value is None:
            raise TrainingError(f"job '{self.name}': '{field}' is not given", f"set {field} in the job description")
        return value
