"""The gateway of an endpoint, put together: one line for each part."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import Route
from starlette.types import ASGIApp

from serving.adapters.api import doors as adapter_doors
from serving.adapters.base import OneModel, Router, Target
from serving.adapters.compose import owning_registry
from serving.adapters.configured import Configured
from serving.adapters.loader import Loader
from serving.adapters.metrics import AdapterCollector
from serving.adapters.registry import Registry
from serving.app import create_app
from serving.audit.base import Audit
from serving.audit.parts import account
from serving.decide.doors import doors as decide_doors
from serving.decide.service import Decider
from serving.edge.routing import Door
from serving.gateway import Gateway
from serving.guard.factory import GuardFactory
from serving.handoff import signals
from serving.handoff.api import doors as case_doors
from serving.handoff.local import LocalDesk
from serving.handoff.opening import queue_of
from serving.handoff.words import AgentWords
from serving.identity.attempts import Attempts
from serving.identity.live import identity_of
from serving.launch.fleet import FIRST, Fleet
from serving.launch.plan import Endpoint
from serving.launch.readings import add_readings
from serving.limits import limiters
from serving.observe.metrics import doors as metrics_doors
from serving.observe.responses import CountedResponses
from serving.observe.watch import Watch
from serving.upstreams.pool import Pool
from tianjing.lineage import artefact_digest


@dataclass(frozen=True)
class Composed:
    """The application, and what the endpoint needs of it beside.

    Attributes:
        patterns: of the paths that it answers.
        registry: None where engines run elsewhere.
    """

    app: ASGIApp
    gateway: Gateway
    patterns: frozenset[str]
    registry: Registry | None


def compose(endpoint: Endpoint, pool: Pool, fleet: Fleet | None) -> Composed:
    """The gateway with all its parts, and the application around it.

    Raises:
        TianjingError: a rule pack, a key, a store or a policy of the configuration is wrong.
    """
    config, state = endpoint.config, endpoint.state
    guards = GuardFactory(config.guard)
    audit, vault = account(config.audit, state)
    cases = queue_of(config.handoff, state)
    limiter, quotas = limiters(config.limits)
    watch = Watch(config.observe)
    registry = _registry(endpoint, audit, fleet) if fleet is not None else None
    router: Router = registry.router if registry is not None else _elsewhere(endpoint)
    desk = LocalDesk(cases, config.handoff)
    gateway = Gateway(
        config=config,
        identity=identity_of(config.identity, endpoint.key, audit.note),
        limiter=limiter,
        router=router,
        guards=guards,
        desk=desk,
        upstreams=pool,
        audit=audit,
        vault=vault,
        observer=watch,
        others=() if registry is None else (registry,),
        configured={
            "guard": guards.policy,
            "handoff": signals.policy(),
            "release": endpoint.release,
            "keys": artefact_digest(config.identity.keyring) if config.identity.keyring else "",
        },
    )
    learned = config.handoff.learned
    margin = learned.margin if learned.enabled else None
    decider = Decider(config.decide, config.guard.rule_packs, config.guard.institution, margin)
    doors: list[Door] = [
        *case_doors(cases, config.handoff, AgentWords(guards.spoken)),
        *decide_doors(decider, audit, quotas),  # a decision takes no place at an engine
        *(adapter_doors(registry) if registry is not None else ()),
        *metrics_doors(watch.metrics),
    ]
    add_readings(watch.metrics, pool, desk, audit, guards)
    if registry is not None:
        watch.metrics.registry.register(AdapterCollector(registry))
    app = create_app(gateway, doors, Attempts(config.identity))
    patterns = frozenset(route.path for route in app.routes if isinstance(route, Route))
    return Composed(CountedResponses(app, watch.metrics, patterns), gateway, patterns, registry)


def _registry(endpoint: Endpoint, audit: Audit, fleet: Fleet) -> Registry:
    config, weights, model = endpoint.config, endpoint.weights, endpoint.model
    assert weights is not None and model is not None
    name, settings = config.served_name, config.adapters
    loader = None
    if config.runtime_lora:
        url = fleet.first.base_url.removesuffix("/v1")
        loader = Loader(
            FIRST, url, fleet.first.api_key, config.max_loras, config.max_lora_rank, settings.load_timeout_s
        )
    released = config.release if weights.release else None
    return owning_registry(
        endpoint.state,
        settings,
        audit,
        Configured(name, name, weights, group=FIRST, release_file=released),
        fleet,
        temperature=config.temperature,
        trusted=config.trusted,
        loader=loader,
        base=artefact_digest(model) if settings.roots else None,
    )


def _elsewhere(endpoint: Endpoint) -> Router:
    """Weights that others load: one name, under the release that the operator gave."""
    name = endpoint.config.served_name
    return OneModel(name, Target(name, release=endpoint.release))
