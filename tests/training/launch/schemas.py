"""Hand-written JSON schemas of what we render, strict: a key that is not listed is refused.

TrainJob: the CRD of Kubeflow Trainer 2.3 (trainer.kubeflow.org/v1alpha1) and what its webhook refuses besides.
SkyPilot: the documented fields of a task.
"""

from __future__ import annotations

from typing import Any


def strict(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def several(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


TEXT: dict[str, Any] = {"type": "string"}
WORD: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 253}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 1}
NAME: dict[str, Any] = {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
QUANTITIES = {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[0-9]+(Gi)?$"}}

# The controller sets them; the webhook refuses a TrainJob that does.
RESERVED = ["PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT"]
ENV = several(strict(("name", "value"), name={"type": "string", "not": {"enum": RESERVED}}, value=TEXT))

VOLUME = strict(
    ("name",),
    name=NAME,
    configMap=strict(("name",), name=WORD),
    persistentVolumeClaim=strict(("claimName",), claimName=WORD),
    emptyDir=strict((), medium={"enum": ["Memory"]}),
) | {"minProperties": 2, "maxProperties": 2}
MOUNT = strict(
    ("name", "mountPath"), name=NAME, mountPath={"type": "string", "pattern": "^/"}, readOnly={"type": "boolean"}
)
# No `env` here: for the container `node` it can be set through the trainer alone.
CONTAINER = strict(("name",), name={"const": "node"}, volumeMounts=several(MOUNT))
POD = strict(
    (),
    serviceAccountName=WORD,
    terminationGracePeriodSeconds={"type": "integer", "minimum": 0},
    volumes=several(VOLUME),
    containers=several(CONTAINER),
)
JOB = strict(("name",), name=WORD, template=strict((), spec=strict((), template=strict((), spec=POD))))
PATCH = strict(
    ("manager",),
    manager=WORD,
    trainingRuntimeSpec=strict((), template=strict((), spec=strict((), replicatedJobs=several(JOB)))),
)
TRAINER = strict(
    (),
    image={"type": "string", "maxLength": 500},
    command=several(TEXT),
    args=several(TEXT),
    env=ENV,
    numNodes=COUNT,
    numProcPerNode=COUNT,  # a number since 2.3, no "auto"
    resourcesPerNode=strict((), requests=QUANTITIES, limits=QUANTITIES),
)
TRAIN_JOB = strict(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "trainer.kubeflow.org/v1alpha1"},
    kind={"const": "TrainJob"},
    metadata=strict(("name",), name=NAME, namespace=NAME, labels={"type": "object", "additionalProperties": WORD}),
    spec=strict(
        ("runtimeRef",),
        runtimeRef=strict(
            ("name",),
            apiGroup={"const": "trainer.kubeflow.org"},
            kind={"enum": ["ClusterTrainingRuntime", "TrainingRuntime"]},
            name=WORD,
        ),
        trainer=TRAINER,
        runtimePatches=several(PATCH) | {"maxItems": 16},
        suspend={"type": "boolean"},
        activeDeadlineSeconds=COUNT,
    ),
)
CONFIG_MAP = strict(
    ("apiVersion", "kind", "metadata", "data"),
    apiVersion={"const": "v1"},
    kind={"const": "ConfigMap"},
    metadata=strict(("name",), name=WORD, namespace=NAME),
    data={"type": "object", "additionalProperties": TEXT, "propertyNames": {"pattern": "^[-._a-zA-Z0-9]+$"}},
)

STATUS = {"type": "integer", "minimum": 0, "maximum": 255}
SKY_TASK = strict(
    ("run",),
    name=TEXT,
    num_nodes=COUNT,
    resources=strict(
        (),
        infra=TEXT,
        accelerators={"type": "string", "pattern": "^[A-Za-z0-9-]+:[0-9]+$"},
        cpus={"type": "string", "pattern": r"^[0-9]+\+?$"},
        memory={"type": "string", "pattern": r"^[0-9]+\+?$"},
        image_id=TEXT,
        use_spot={"type": "boolean"},
        job_recovery=strict((), recover_on_exit_codes=several(STATUS)),
    ),
    envs={"type": "object", "additionalProperties": TEXT},
    file_mounts={
        "type": "object",
        "additionalProperties": {
            "anyOf": [TEXT, strict(("source",), source=TEXT, mode={"enum": ["MOUNT", "COPY", "MOUNT_CACHED"]})]
        },
    },
    volumes={"type": "object", "additionalProperties": TEXT},
    run=TEXT,
)
