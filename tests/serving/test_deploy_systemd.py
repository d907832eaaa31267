"""The units: directives that systemd knows, closed to the host, and starting what the program has."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.serving.deploy_commands import options_of, parse_engine_file, parse_gateway_file

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = ("tianjing-engine", "tianjing-gateway")
each_unit = pytest.mark.parametrize("unit", UNITS)

BOOLEAN = r"yes|no"
SPAN = r"\d+(s|min)?"
MODE = r"0[0-7]{3}"
NAME = r"[a-z][a-z0-9-]*"
PATH = r"/[\w./-]+"
# What systemd 252 and later know, of the directives that are of use here; anything else is taken for a slip.
DIRECTIVES = {
    "Unit": {
        "Description": r".+",
        "Documentation": rf"file:{PATH}",
        "After": r".+",
        "Wants": r".+",
        "StartLimitIntervalSec": SPAN,
        "StartLimitBurst": r"\d+",
    },
    "Service": {
        "Type": r"exec",
        "User": NAME,
        "Group": NAME,
        "EnvironmentFile": PATH,
        "Environment": rf"\w+={PATH}",
        "LoadCredential": rf"[\w.]+:{PATH}",
        "ExecStart": rf"{PATH} .+",
        "ExecReload": r"/bin/kill -HUP \$MAINPID",
        "Restart": r"on-failure",
        "RestartSec": SPAN,
        "KillMode": r"mixed",
        "TimeoutStopSec": SPAN,
        "WorkingDirectory": PATH,
        "UMask": MODE,
        "LimitNOFILE": r"\d+",
        "CapabilityBoundingSet": r"",
        "ProtectSystem": r"strict",
        "ProtectProc": r"invisible",
        "ProcSubset": r"pid",
        "SystemCallArchitectures": r"native",
        "SystemCallFilter": r"~?(@[a-z-]+ ?)+",
        "SystemCallErrorNumber": r"EPERM",
        "RestrictAddressFamilies": r"(AF_[A-Z0-9]+ ?)+",
        "IPAddressDeny": r"any",
        "IPAddressAllow": r"localhost",
        "DevicePolicy": r"closed",
        "DeviceAllow": r"char-[\w*]+ rw",
        **dict.fromkeys(("RuntimeDirectory", "StateDirectory", "LogsDirectory"), NAME),
        **dict.fromkeys(("RuntimeDirectoryMode", "StateDirectoryMode", "LogsDirectoryMode"), MODE),
        **dict.fromkeys(
            (
                *("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectHostname", "ProtectClock"),
                *("ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups"),
                *("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality"),
                *("MemoryDenyWriteExecute", "RemoveIPC"),
            ),
            BOOLEAN,
        ),
    },
    "Install": {"WantedBy": r"multi-user\.target"},
}
REPEATED = {"LoadCredential", "SystemCallFilter"}
# What every unit here must say; the gateway, which compiles nothing and needs no device, more.
CLOSED = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "ProtectProc": "invisible",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
}


def parse_unit(text: str) -> dict[str, dict[str, list[str]]]:
    """Sections and their directives. Raises ValueError for a line, section, directive or value that is not known."""
    sections: dict[str, dict[str, list[str]]] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
            if section not in DIRECTIVES or section in sections:
                raise ValueError(f"line {number}: section {section}")
            sections[section] = {}
            continue
        name, equals, value = line.partition("=")
        pattern = DIRECTIVES.get(section, {}).get(name)
        if not equals or pattern is None or not re.fullmatch(pattern, value):
            raise ValueError(f"line {number}: {line}")
        values = sections[section].setdefault(name, [])
        if values and name not in REPEATED:
            raise ValueError(f"line {number}: {name} a second time")
        values.append(value)
    return sections


def service(unit: str) -> dict[str, str]:
    parsed = parse_unit((SYSTEMD / f"{unit}.service").read_text(encoding="utf-8"))
    assert parsed.keys() == DIRECTIVES.keys()
    return {name: values[-1] for name, values in parsed["Service"].items()}


@each_unit
def test_units_hold_only_what_systemd_knows(unit: str) -> None:
    assert service(unit)["Type"] == "exec"


@pytest.mark.parametrize("line", ["NoNewPriviliges=yes", "ProtectHome=maybe", "UMask=77", "ProtectSystem", "Type=exec"])
def test_a_slip_in_a_unit_is_found(line: str) -> None:
    text = (SYSTEMD / "tianjing-engine.service").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"line \d+: "):
        parse_unit(text.replace("[Service]\n", f"[Service]\n{line}\n"))


@each_unit
def test_units_are_closed_to_the_host(unit: str) -> None:
    found = service(unit)
    assert {name: found.get(name) for name in CLOSED} == CLOSED
    assert found["User"] == unit and found["Group"] == "tianjing"
    if unit == "tianjing-gateway":
        assert found["MemoryDenyWriteExecute"] == found["PrivateDevices"] == "yes"
        assert "SystemCallFilter" in found
    else:
        # Nothing but this host: the engine has its weights, and nobody to talk to.
        assert (found["IPAddressDeny"], found["IPAddressAllow"]) == ("any", "localhost")
        assert found["DevicePolicy"] == "closed"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@each_unit
def test_systemd_takes_the_unit(unit: str, tmp_path: Path) -> None:
    """The program is not installed here, so another stands for it; anything that systemd says is a failure."""
    for path in SYSTEMD.glob("*.service"):
        text = re.sub(r"/opt/tianjing/\S+/tianjing", "/bin/true", path.read_text(encoding="utf-8"))
        (tmp_path / path.name).write_text(text.replace("Documentation=", "#"), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / f"{unit}.service"],
        capture_output=True,
        text=True,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
    )
    said = [line for line in done.stderr.splitlines() if f"{unit}.service" in line]
    assert not said


def test_users_of_the_units_are_made_and_share_the_group_of_the_socket() -> None:
    lines = (SYSTEMD / "tianjing.sysusers.conf").read_text(encoding="utf-8").splitlines()
    rows = [shlex.split(line) for line in lines if line and not line.startswith("#")]
    assert {row[0] for row in rows} == {"g", "u", "m"}
    assert {row[1] for row in rows if row[0] == "u"} == set(UNITS)
    assert {tuple(row[1:]) for row in rows if row[0] == "m"} == {(unit, "tianjing") for unit in UNITS}
    assert ["g", "tianjing", "-"] in rows


def test_the_units_start_commands_that_exist_with_files_that_fit() -> None:
    gateway, engine = service("tianjing-gateway"), service("tianjing-engine")
    config = parse_gateway_file((SYSTEMD / "gateway.yaml").read_text(encoding="utf-8"))
    own = parse_engine_file((SYSTEMD / "engine.yaml").read_text(encoding="utf-8"))
    program, serve, command, *rest = shlex.split(engine["ExecStart"])
    assert (Path(program).name, serve, command) == ("tianjing", "serve", "engine")
    given = options_of(command, rest)
    (upstream,) = config.upstreams
    assert upstream.url == f"unix:{given['uds']}"
    assert given["uds"].parent == Path("/run") / engine["RuntimeDirectory"]
    assert given["log"].parent == Path("/var/log") / engine["LogsDirectory"]
    assert (given["release"], given["trusted"]) == (config.release, config.trusted)
    for field in ("served_name", "max_model_len", "temperature"):
        assert getattr(own, field) == getattr(config, field)
    program, serve, command, *rest = shlex.split(gateway["ExecStart"])
    assert (Path(program).name, serve, command) == ("tianjing", "serve", "gateway")
    assert options_of(command, rest)["config"] == Path("/etc/tianjing/gateway.yaml")


def test_the_gateways_files_are_where_its_unit_puts_them() -> None:
    found = service("tianjing-gateway")
    parsed = parse_unit((SYSTEMD / "tianjing-gateway.service").read_text(encoding="utf-8"))
    config = parse_gateway_file((SYSTEMD / "gateway.yaml").read_text(encoding="utf-8"))
    state = Path("/var/lib") / found["StateDirectory"]
    assert config.state == state and config.identity.keyring is not None
    assert config.identity.keyring.parent == state
    handed = {Path(value.split(":")[1]).name: value.split(":")[0] for value in parsed["Service"]["LoadCredential"]}
    for path in (config.audit.key_file, config.audit.signing_key_file):
        assert path is not None
        assert path.parent == Path("/run/credentials/tianjing-gateway.service")
        assert handed[path.name] == path.name
    assert int(found["TimeoutStopSec"]) >= config.drain_s + 10
    assert config.upstreams[0].key_env == "TIANJING_ENGINE_KEY"
    assert found["EnvironmentFile"] == service("tianjing-engine")["EnvironmentFile"]


def test_only_the_group_reaches_the_engines_socket() -> None:
    found = service("tianjing-engine")
    assert found["RuntimeDirectoryMode"] == "0750" and found["UMask"] == "0007"
    assert found["Group"] == service("tianjing-gateway")["Group"]
