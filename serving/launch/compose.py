"""The gateway of an endpoint, put together: one line for each part."""

from __future__ import annotations

from collections.abc import Sequence

from serving.adapters.base import OneModel, Target
from serving.audit.base import NoAudit, NoVault
from serving.edge.routing import Door
from serving.gateway import Gateway
from serving.guard.base import Guards
from serving.handoff.api import doors as case_doors
from serving.handoff.local import LocalDesk
from serving.launch.plan import Endpoint
from serving.limits.base import Unlimited
from serving.observe.base import Unobserved
from serving.upstreams.base import Upstreams


def compose(endpoint: Endpoint, upstreams: Upstreams, guards: Guards) -> tuple[Gateway, Sequence[Door]]:
    """The gateway with all its parts, and the doors that belong to them."""
    config = endpoint.config
    gateway = Gateway(
        config=config,
        identity=endpoint.key,
        limiter=Unlimited(),
        router=OneModel(config.served_name, Target(config.served_name, release=endpoint.release)),
        guards=guards,
        desk=LocalDesk(endpoint.queue),
        upstreams=upstreams,
        audit=NoAudit(),
        vault=NoVault(),
        observer=Unobserved(),
    )
    return gateway, case_doors(endpoint.queue)
