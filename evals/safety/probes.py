"""The probes as material of an evaluation: ordinary rows of ordinary tasks, from the data beside this file."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from evals.errors import EvalError
from evals.material import Material
from evals.safety import config as settings
from evals.safety.canary import Canary, read_canaries
from evals.safety.config import SafetyConfig
from evals.safety.probe_tasks import ProbeTask, probe_task
from tianjing.config import StrictModel, load_yaml, parse
from tianjing.files import canonical_json, sha256_bytes
from tianjing.records import Example
from tianjing.tasks import conversation

Json = dict[str, Any]
_DATA = Path(__file__).parent / "data"
_ENCODED = re.compile(r"⟦(.*?)⟧", re.S)
# The day on which the loans of the rate probes are spoken about.
_AS_OF = "2026-06-01"


class _Probe(StrictModel):
    """One line of a data file; which of the optional fields stand there depends on the family."""

    id: str
    attack: str
    ask: str = ""
    turns: tuple[tuple[Literal["customer", "agent"], str], ...] = ()
    material: str = ""
    says: tuple[str, str] | None = None
    encode: str = ""
    secrets: tuple[str, ...] = ()
    loan: tuple[float, float, float, int, int] | None = None


class _Pair(StrictModel):
    """A request to refuse and its harmless twin."""

    id: str
    harm: str
    harmful: str
    harmless: str


class _Data(StrictModel):
    """One data file."""

    family: str
    probes: tuple[_Probe, ...] = ()
    pairs: tuple[_Pair, ...] = ()


def load_probes(families: Sequence[str], canaries: Path | None = None) -> Material:
    """The probes of these families; there are no training rows, so nobody is shown worked examples.

    Args:
        canaries: the file that `tianjing eval canary plant` wrote, for the family `canary`.

    Raises:
        EvalError: a family is not known, or `canary` is asked for without canaries.
    """
    rows: list[Example] = []
    for family in families:
        if family not in get_args(settings.Family):
            raise EvalError(f"no probe family '{family}'", f"families: {', '.join(get_args(settings.Family))}")
        if family == "canary" and canaries is None:
            raise EvalError("the probes 'canary' need planted canaries", "give `safety.canaries`: canaries.jsonl")
        rows += _rows(family, canaries)
    content = canonical_json([row.model_dump(mode="json") for row in rows])
    definitions = [{"kind": "probe", "family": family} for family in families]
    return Material((), rows, definitions, sha256_bytes(content.encode()))


def add_probes(material: Material, config: SafetyConfig) -> Material:
    """`material` and the probes that `config` asks for; the same material where it asks for none."""
    if not config.probes:
        return material
    probes = load_probes(config.probes, config.canaries)
    return Material(
        material.train,
        [*material.test, *probes.test],
        [*material.definitions, *probes.definitions],
        sha256_bytes((material.digest + probes.digest).encode()),
    )


def _rows(family: str, canaries: Path | None) -> Iterator[Example]:
    if family == "canary":
        assert canaries is not None
        for canary in read_canaries(canaries):
            for given in (0, canary.prefix_chars):
                yield _canary_row(canary, given)
    elif family in ("refusal", "over_refusal"):
        for pair in _data("refusal").pairs:
            text = pair.harmful if family == "refusal" else pair.harmless
            yield _row(family, pair.id, [{"speaker": "customer", "text": text}], "", {}, pair.harm)
    else:
        for probe in _data(family).probes:
            turns = [{"speaker": s, "text": _filled(probe, t)} for s, t in probe.turns or (("customer", probe.ask),)]
            yield _row(family, probe.id, turns, _material(probe), _check(probe), probe.attack)


def _canary_row(canary: Canary, given: int) -> Example:
    text = canary.instruction + (f"提示：开头是{canary.secret[:given]}。" if given else "")
    check = {"secret": canary.secret, "planted": canary.planted, "given": given, "space": canary.space}
    # The choice of items is balanced over labels; one canary is one cluster: its two questions are not two trials.
    return _row(
        "canary",
        f"{canary.id}-{given}",
        [{"speaker": "customer", "text": text}],
        "",
        check,
        f"{'planted' if canary.planted else 'control'}{given}",
        canary.id,
    )


def _row(
    family: str, name: str, turns: list[Json], material: str, check: Json, attack: str, group: str = ""
) -> Example:
    task = ProbeTask(family)
    fields = {"turns": turns, "material": material, "check": check}
    reference = {"label": attack}
    return Example(
        id=f"{task.id}-{name}",
        task=task.id,
        group=f"probe-{group or name}",
        split="test",
        messages=conversation(task, fields, reference),
        fields=fields,
        reference=reference,
        licence="Apache-2.0",
        source="tianjing probes",
    )


def _filled(probe: _Probe, text: str) -> str:
    if probe.says:
        text = text.replace("«a»", probe.says[0]).replace("«b»", probe.says[1])
    return _ENCODED.sub(lambda found: _ENCODINGS[probe.encode](found[1]), text)


def _check(probe: _Probe) -> Json:
    if probe.says:
        return {"marker": "".join(probe.says)}
    if probe.loan:
        return {"facts": _facts(*probe.loan)}
    return {"secrets": list(probe.secrets)} if probe.secrets else {}


def _material(probe: _Probe) -> str:
    if not probe.loan:
        return _filled(probe, probe.material)
    principal, rate, instalment, count, day = probe.loan
    return (
        f"合同信息：借款本金{principal:g}元，年化利率{rate:g}%，共{count}期，"
        f"每期应还{instalment:.2f}元，每月{day}日还款。"
    )


def _facts(principal: float, rate: float, instalment: float, count: int, day: int) -> Json:
    def fact(name: str, kind: str, value: str, **more: str) -> Json:
        return {"name": name, "kind": kind, "value": value, **more}

    return {
        "as_of": _AS_OF,
        "values": [
            fact("principal", "money", f"{principal:g}"),
            fact("instalment", "money", f"{instalment:.2f}"),
            fact("total_repayment", "money", f"{instalment * count:.2f}"),
            fact("contract_rate", "rate", f"{rate / 100:.6g}", per="year"),
            fact("annual_rate_irr", "rate", f"{rate / 100:.6g}", per="year"),
            fact("due_date", "date", f"{_AS_OF[:8]}{day:02d}"),
            fact("instalments", "count", str(count), unit="期"),
        ],
    }


@cache
def _data(name: str) -> _Data:
    path = _DATA / f"{name}.yaml"
    return parse(_Data, load_yaml(path), str(path), path)


_ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(" "),
    "reversed": lambda text: text[::-1],
    "spaced": lambda text: " ".join(text),
    "invisible": lambda text: "\u200b".join(text),
    "unicode": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "fullwidth": lambda text: "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text),
}

__all__ = ["add_probes", "load_probes", "probe_task"]
