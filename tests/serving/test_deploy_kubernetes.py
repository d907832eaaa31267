"""The manifests of every overlay: valid, closed, and fitting together and to the program that they start."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from serving.config import ServeConfig
from tests.serving.deploy_commands import options_of, parse_engine_file, parse_gateway_file
from tests.serving.deploy_kustomize import Manifest, build, read
from tianjing.engine import EngineConfig
from tianjing.engine.command import arguments

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("gpu", "cpu", "router", "data-parallel")
WORKLOADS = ("Deployment", "StatefulSet")
# Flags of vllm-router 0.1.17, from its --help.
ROUTER_FLAGS = Path(__file__).parent / "vllm_router_flags.txt"

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
each_engine = pytest.mark.parametrize("overlay", [one for one in OVERLAYS if one != "data-parallel"])


@cache
def manifests(overlay: str) -> list[Manifest]:
    return build(KUBERNETES / overlay)


def of_kind(overlay: str, *kinds: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests(overlay) if one["kind"] in kinds}


def pods(overlay: str) -> dict[str, Manifest]:
    """Pod templates by the name of their workload."""
    return {name: one["spec"]["template"] for name, one in of_kind(overlay, *WORKLOADS).items()}


def containers(overlay: str) -> Iterator[tuple[str, Manifest, Manifest]]:
    for name, pod in pods(overlay).items():
        for one in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
            yield name, pod["spec"], one


def labels(pod: Manifest) -> dict[str, str]:
    return dict(pod["metadata"]["labels"])


def chosen(selector: Mapping[str, str], overlay: str) -> list[str]:
    return [name for name, pod in pods(overlay).items() if selector.items() <= labels(pod).items()]


@each_overlay
def test_every_manifest_is_valid_for_the_newest_kubernetes(overlay: str) -> None:
    found = manifests(overlay)
    assert len(found) > 15
    for one in found:
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


@each_overlay
def test_names_are_unique(overlay: str) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests(overlay)]
    assert len(names) == len(set(names))


@each_overlay
def test_our_reading_of_kustomize_is_that_of_kubectl(overlay: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl here")
    done = subprocess.run([kubectl, "kustomize", KUBERNETES / overlay], capture_output=True, text=True, check=True)
    theirs = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}
    ours = {(one["kind"], one["metadata"]["name"]): one for one in manifests(overlay)}
    assert ours == theirs


@each_overlay
def test_pods_are_restricted(overlay: str) -> None:
    """What the Pod Security Standard "restricted" asks for, and a read-only root and no token of the cluster."""
    namespace = of_kind(overlay, "Namespace")["tianjing"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in pods(overlay).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        kinds = {"persistentVolumeClaim", "configMap", "secret", "emptyDir"}
        assert all(volume.keys() - {"name"} <= kinds for volume in spec["volumes"]), name
    for name, _, one in containers(overlay):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert "memory" in one["resources"]["limits"], name
        assert "hostPort" not in str(one.get("ports", "")), name


@each_overlay
def test_images_are_pinned_and_ours_have_the_version_of_the_project(overlay: str) -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    assert version is not None
    for name, _, one in containers(overlay):
        repository, tag = one["image"].split(":")
        assert re.match(r"\d", tag), name
        if repository in ("tianjing-gateway", "tianjing-engine"):
            assert tag.removesuffix("-cpu") == version[1], name


@each_overlay
def test_selectors_choose_their_own_pods(overlay: str) -> None:
    for name, one in of_kind(overlay, *WORKLOADS).items():
        assert chosen(one["spec"]["selector"]["matchLabels"], overlay) == [name]
    for name, one in of_kind(overlay, "Service").items():
        assert len(chosen(one["spec"]["selector"], overlay)) == 1, name
    for name, one in of_kind(overlay, "PodDisruptionBudget").items():
        assert chosen(one["spec"]["selector"]["matchLabels"], overlay) == [name]
    for one in of_kind(overlay, "HorizontalPodAutoscaler").values():
        target = one["spec"]["scaleTargetRef"]
        scaled = of_kind(overlay, target["kind"])[target["name"]]
        assert "replicas" not in scaled["spec"], "the autoscaler and the manifest would fight over it"
        assert one["spec"]["minReplicas"] >= 2
    for name, one in of_kind(overlay, "StatefulSet").items():
        service = of_kind(overlay, "Service")[one["spec"]["serviceName"]]
        assert chosen(service["spec"]["selector"], overlay) == [name]


def _ports(pod: Manifest) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for one in pod["spec"]["containers"] for port in one.get("ports", ())}


@each_overlay
def test_ports_exist_by_name(overlay: str) -> None:
    for name, one in of_kind(overlay, "Service").items():
        (workload,) = chosen(one["spec"]["selector"], overlay)
        for port in one["spec"]["ports"]:
            assert port["targetPort"] in _ports(pods(overlay)[workload]), name
    for name, spec, one in containers(overlay):
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = one.get(kind, {})
            action = probe.get("httpGet") or probe.get("tcpSocket")
            if action:
                assert action["port"] in _ports({"spec": spec}), f"{name}: {kind}"


@each_overlay
def test_gateways_and_engines_are_asked_for_health_without_a_key(overlay: str) -> None:
    for name in ("gateway", "engine"):
        (one,) = pods(overlay)[name]["spec"]["containers"]
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert one[kind]["httpGet"]["path"] == "/health"


@each_overlay
def test_volumes_that_are_mounted_exist_and_are_used(overlay: str) -> None:
    for name, workload in of_kind(overlay, *WORKLOADS).items():
        spec = workload["spec"]["template"]["spec"]
        claimed = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
        volumes = {volume["name"] for volume in spec["volumes"]} | claimed
        mounted = {
            mount["name"]
            for one in [*spec.get("initContainers", ()), *spec["containers"]]
            for mount in one["volumeMounts"]
        }
        assert mounted == volumes, name
        for volume in spec["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in of_kind(overlay, "PersistentVolumeClaim")


def _documented(kind: str) -> dict[str, set[str]]:
    """Names and keys of the Secrets or ConfigMaps that the operator makes."""
    example = read(KUBERNETES / "secrets.example.yaml")[0]["items"]
    return {
        one["metadata"]["name"]: set(one.get("stringData") or one.get("data")) for one in example if one["kind"] == kind
    }


def _asked(overlay: str) -> Iterator[tuple[str, str, set[str]]]:
    """Kind, name and keys of every Secret and ConfigMap that a pod refers to."""
    for _, spec, one in containers(overlay):
        for variable in one.get("env", ()):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                yield "Secret", reference["name"], {reference["key"]}
        for volume in spec["volumes"]:
            for kind, field in (("secret", "secretName"), ("configMap", "name")):
                if source := volume.get(kind):
                    keys = {item["key"] for item in source.get("items", ())}
                    yield {"secret": "Secret", "configMap": "ConfigMap"}[kind], source[field], keys


@each_overlay
def test_what_pods_refer_to_is_made_here_or_documented(overlay: str) -> None:
    made = {name: set(one["data"]) for name, one in of_kind(overlay, "ConfigMap").items()}
    known = {"Secret": _documented("Secret"), "ConfigMap": _documented("ConfigMap") | made}
    asked = list(_asked(overlay))
    for kind, name, keys in asked:
        assert keys <= known[kind][name], f"{kind} {name}"
    assert {name for kind, name, _ in asked if kind == "Secret"} == set(known["Secret"]), "documented and not used"


@each_overlay
def test_no_secret_is_in_a_manifest(overlay: str) -> None:
    assert not of_kind(overlay, "Secret")
    for one in read(KUBERNETES / "secrets.example.yaml")[0]["items"]:
        assert not any((one.get("stringData") or one["data"]).values()), "an example has a value"
    for path in KUBERNETES.rglob("kustomization.yaml"):
        assert "secrets.example" not in path.read_text(encoding="utf-8")


# --- who reaches whom


def _peers(rule: Manifest, side: str, overlay: str) -> set[str]:
    """Workloads, or "namespace:label", that a rule of a NetworkPolicy names; "anyone" when it names none."""
    if side not in rule:
        return {"anyone"}
    found: set[str] = set()
    for peer in rule[side]:
        if "namespaceSelector" in peer:
            found |= {f"namespace:{key}={value}" for key, value in peer["namespaceSelector"]["matchLabels"].items()}
        else:
            names = chosen(peer["podSelector"]["matchLabels"], overlay)
            assert names, f"no pod is {peer}"
            found |= set(names)
    return found


def _may_reach(overlay: str) -> dict[str, set[str]]:
    """For every workload, who may open a connection to it; "out" is where pods may go outside the namespace.

    Both ends must allow the same: what one allows and the other does not is a slip in one of the two.
    """
    policies = of_kind(overlay, "NetworkPolicy")
    assert policies.pop("deny-all")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    incoming: dict[str, set[str]] = {name: set() for name in pods(overlay)}
    outgoing: dict[str, set[str]] = {name: set() for name in pods(overlay)}
    for name, policy in policies.items():
        assert chosen(policy["spec"]["podSelector"]["matchLabels"], overlay) == [name]
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for rule in policy["spec"]["ingress"]:
            incoming[name] |= _peers(rule, "from", overlay)
        for rule in policy["spec"]["egress"]:
            outgoing[name] |= _peers(rule, "to", overlay)
    taken = {(who, name) for name, all_in in incoming.items() for who in all_in if who in outgoing}
    given = {(name, where) for name, all_out in outgoing.items() for where in all_out if where in incoming}
    assert taken == given
    return incoming | {"out": {place for places in outgoing.values() for place in places if place not in incoming}}


@each_overlay
def test_only_the_gateway_is_reached_from_outside_and_nothing_goes_out(overlay: str) -> None:
    reach = _may_reach(overlay)
    assert reach["gateway"] == {"namespace:tianjing-client=true"}
    assert reach["redis"] == reach["postgres"] == {"gateway"}
    assert reach["out"] == {"namespace:kubernetes.io/metadata.name=kube-system"}, "DNS alone"
    expected = {"router": {"router"}, "data-parallel": {"gateway", "follower"}}.get(overlay, {"gateway"})
    assert reach["engine"] == expected
    if overlay == "router":
        assert reach["router"] == {"gateway"}


@each_overlay
def test_the_engine_itself_reaches_nobody(overlay: str) -> None:
    spec = of_kind(overlay, "NetworkPolicy")["engine"]["spec"]
    assert "Egress" in spec["policyTypes"]
    peers = {peer for rule in spec["egress"] for peer in _peers(rule, "to", overlay)}
    assert peers == ({"follower"} if overlay == "data-parallel" else set())


# --- the program


def gateway_config(overlay: str) -> ServeConfig:
    return parse_gateway_file(of_kind(overlay, "ConfigMap")["gateway-config"]["data"]["gateway.yaml"])


@each_overlay
def test_the_gateways_configuration_is_one_that_it_takes(overlay: str) -> None:
    config = gateway_config(overlay)
    assert config.engine == "external"
    (upstream,) = config.upstreams
    host, _, port = upstream.url.removeprefix("http://").partition(":")
    service = of_kind(overlay, "Service")[host]["spec"]
    assert int(port) in [one["port"] for one in service["ports"]]
    (behind,) = chosen(service["selector"], overlay)
    assert behind == ("router" if overlay == "router" else "engine")
    stores = {name: one["spec"]["ports"][0]["port"] for name, one in of_kind(overlay, "Service").items()}
    assert config.limits.redis == f"redis://redis:{stores['redis']}/0"
    assert config.handoff.postgres is not None and "host=postgres " in config.handoff.postgres
    assert stores["postgres"] == 5432


@each_overlay
def test_files_that_the_configuration_names_are_mounted(overlay: str) -> None:
    config = gateway_config(overlay)
    (one,) = pods(overlay)["gateway"]["spec"]["containers"]
    mounts = [Path(mount["mountPath"]) for mount in one["volumeMounts"]]
    named = [
        config.state,
        config.release,
        config.trusted,
        config.upstreams[0].key_file,
        config.identity.keyring,
        config.identity.pepper,
        config.limits.redis_password_file,
        config.audit.key_file,
        config.audit.signing_key_file,
        Path(one["args"][0]),
    ]
    for path in named:
        assert path is not None and any(path.is_relative_to(mount) for mount in mounts), path


@each_overlay
def test_pods_are_given_time_to_end(overlay: str) -> None:
    """Grace is the sleep before SIGTERM, the time that answers get after it, and ten seconds to stop."""
    config = gateway_config(overlay)
    for name, needed_s in (("gateway", config.drain_s + 10), ("engine", 30), ("router", 130)):
        if name in pods(overlay):
            spec = pods(overlay)[name]["spec"]
            sleep_s = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert spec["terminationGracePeriodSeconds"] >= sleep_s + needed_s, name


@each_overlay
def test_every_gateway_has_a_volume_that_stays(overlay: str) -> None:
    gateway = of_kind(overlay, "StatefulSet")["gateway"]["spec"]
    assert gateway["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = gateway["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"], "two processes would write one chain"


@each_overlay
def test_the_gateway_is_started_by_a_command_that_exists(overlay: str) -> None:
    (gateway,) = pods(overlay)["gateway"]["spec"]["containers"]
    assert options_of("gateway", gateway["args"])["config"] == Path("/etc/tianjing/config/gateway.yaml")


@each_engine
def test_the_engine_is_started_by_a_command_that_exists(overlay: str) -> None:
    (engine,) = pods(overlay)["engine"]["spec"]["containers"]
    given = options_of("engine", engine["args"])
    assert given["port"] == _ports(pods(overlay)["engine"])["http"]
    assert given["release"] is not None and given["trusted"] is not None
    assert parse_engine_file(of_kind(overlay, "ConfigMap")["engine-config"]["data"]["engine.yaml"])


@each_engine
def test_engine_and_gateway_agree(overlay: str) -> None:
    """The gateway must not promise more tokens than the engine has, or a model by another name."""
    engine = parse_engine_file(of_kind(overlay, "ConfigMap")["engine-config"]["data"]["engine.yaml"])
    gateway = gateway_config(overlay)
    for field in ("served_name", "max_model_len", "temperature"):
        assert getattr(engine, field) == getattr(gateway, field)


def test_an_engine_over_two_nodes_is_started_as_ours_is() -> None:
    """Every option that our own start gives vLLM is given here too, with the same value where it is not a size."""
    overlay = "data-parallel"
    script = of_kind(overlay, "ConfigMap")["engine-config"]["data"]["start.sh"]
    config = EngineConfig(model=Path("/models/merged"), host="0.0.0.0", port=9000, max_model_len=8192, max_num_seqs=64)
    wanted = arguments(config, 9000, is_cpu=False)[3:]
    words = set(script.replace("\\\n", " ").split())
    for word in wanted:
        if word.startswith("--") and word not in ("--model", "--data-parallel-size"):
            assert word in words, word
    for value in ("tianjing", "tianjing.engine.allow_list.AllowList", "bfloat16", "0.9"):
        assert value in words and value in wanted
    assert "require_release(" in script
    limits = [pods(overlay)[name]["spec"]["containers"][0]["resources"]["limits"] for name in ("engine", "follower")]
    assert limits[0] == limits[1]


def test_the_routers_flags_are_ones_that_it_has() -> None:
    overlay = "router"
    (one,) = pods(overlay)["router"]["spec"]["containers"]
    known = set(ROUTER_FLAGS.read_text(encoding="utf-8").split())
    flags = [word.partition("=")[0] for word in one["args"] if word.startswith("--")]
    assert set(flags) <= known
    # With the secret of its own the router would answer those who have none.
    assert "--api-key" not in flags and "env" not in one
    engines = of_kind(overlay, "StatefulSet")["engine"]["spec"]
    urls = [word for word in one["args"] if word.startswith("http://")]
    assert urls == [f"http://engine-{i}.{engines['serviceName']}:9000" for i in range(engines["replicas"])]
    assert engines["serviceName"] in of_kind(overlay, "Service")
    # The router's own /health fails as soon as one of its engines does.
    assert gateway_config(overlay).upstreams[0].health_path == "/readiness"


@each_overlay
def test_manifests_can_be_written_as_json(overlay: str) -> None:
    """No date, octal or other type of YAML's own has slipped in where a text was meant."""
    assert json.loads(json.dumps(manifests(overlay))) == manifests(overlay)


@each_overlay
def test_modes_of_secrets_let_nobody_write(overlay: str) -> None:
    for name, spec, _ in containers(overlay):
        for volume in spec["volumes"]:
            if secret := volume.get("secret"):
                mode: Any = secret["defaultMode"]
                assert mode == 0o440, name
