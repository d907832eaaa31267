"""`tianjing eval gate`: from folders and options to a verdict on the console, in CI files and in the release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evals.errors import EvalError
from evals.gate import output
from evals.gate.findings import Decision
from evals.gate.policy import GatePolicy
from evals.gate.release import decide_and_sign, judge
from evals.gate.selftest import selftest
from tianjing.config import load
from tianjing.console import make_console
from tianjing.files import atomic_write, require_target
from tianjing.models import resolve

_COLOURS = {"PROMOTE": "green", "BLOCK": "red", "INCONCLUSIVE": "yellow", "INVALID": "red"}


def run_gate(
    evals: Path,
    out: Path | None,
    folders: Mapping[str, str | Path | None],
    config: Path | None,
    *,
    junit: Path | None,
    markdown: Path | None,
    selftest: bool,
) -> int:
    """Decide, print and write; returns the exit status of the verdict, or 1 for a failed self-test.

    Args:
        folders: `base`, `adapter`, `merged`, `dataset` and `against`, as given.

    Raises:
        EvalError: a release is asked for and a folder is not given.
        TianjingError: as `judge` and `decide_and_sign` do.
    """
    require_target(out, junit, markdown)
    policy = load(GatePolicy, config)
    if selftest:
        return _selftest(evals, policy)
    if out is None:
        decided = judge(evals, policy)
    else:
        against = folders["against"]
        decided = decide_and_sign(
            evals, out, _contents(folders), policy, against=None if against is None else Path(against)
        )
    if junit is not None:
        atomic_write(junit, output.junit(decided))
    if markdown is not None:
        atomic_write(markdown, output.markdown(decided))
    _print(decided, out)
    return decided.exit_code


def _contents(folders: Mapping[str, str | Path | None]) -> dict[str, Path]:
    missing = [name for name in ("base", "merged", "dataset") if folders[name] is None]
    if missing:
        raise EvalError(
            f"a release names what it is about, and --{missing[0]} is not given",
            "give --base, --merged and --dataset (and --adapter), or leave --out away to decide only",
        )
    contents = {"base": resolve(str(folders["base"])).path}
    for name in ("merged", "dataset", "adapter"):
        folder = folders[name]
        if folder is not None:
            contents[name] = Path(folder)
    return contents


def _print(decided: Decision, out: Path | None) -> None:
    console = make_console(soft_wrap=True)
    for finding in decided.findings:
        console.print(f"[{_COLOURS[finding.verdict]}]{finding.label:>12}[/]  ", end="")
        console.print(finding.reason, markup=False)
        if finding.remedy:
            console.print(f"{'':>14}→ {finding.remedy}", markup=False)
    written = "" if out is None else f" → {out}"
    console.print(f"[bold {_COLOURS[decided.verdict]}]{decided.verdict}[/]{written}")


def _selftest(evals: Path, policy: GatePolicy) -> int:
    console = make_console(soft_wrap=True)
    trials = selftest(evals, policy)
    for trial in trials:
        console.print(f"[{'green' if trial.passed else 'red'}]{'ok' if trial.passed else 'FAILED':>12}[/]  ", end="")
        console.print(trial.told, markup=False)
    return 0 if all(trial.passed for trial in trials) else 1
