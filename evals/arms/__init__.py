"""Where the arms of an evaluation are asked: vLLM started for it, an endpoint that is there, or this process."""

from evals.arms.base import ArmSpec, Group, Serving
from evals.arms.endpoint import Endpoint, endpoint_group, read_endpoint
from evals.arms.local import in_process_groups, vllm_groups

__all__ = [
    "ArmSpec",
    "Endpoint",
    "Group",
    "Serving",
    "endpoint_group",
    "in_process_groups",
    "read_endpoint",
    "vllm_groups",
]
