"""JUnit XML, the form in which CI systems show what passed and what did not.

Elements and attributes as Jenkins and GitLab read them: `testsuites`, `testsuite`, `testcase` with `failure`, `error`
or `skipped`, and `system-out`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

Outcome = Literal["passed", "failure", "error", "skipped"]

# Characters that XML 1.0 cannot hold, not even escaped; model output may contain them.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Case:
    """One check. `message` is what CI shows in a line, `details` what it shows when opened."""

    name: str
    outcome: Outcome = "passed"
    message: str = ""
    details: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Suite:
    """Checks that belong together."""

    name: str
    cases: Sequence[Case]


def junit_xml(suites: Sequence[Suite]) -> str:
    """The document: a failure for each check not met, an error for what could not be judged, skipped for not shown."""
    root = ET.Element("testsuites", _counts([case for suite in suites for case in suite.cases]))
    for suite in suites:
        node = ET.SubElement(root, "testsuite", {"name": _legal(suite.name), **_counts(suite.cases)})
        for case in suite.cases:
            at = {"name": _legal(case.name), "classname": _legal(suite.name), "time": f"{case.seconds:.3f}"}
            entry = ET.SubElement(node, "testcase", at)
            if case.outcome != "passed":
                told = ET.SubElement(entry, case.outcome, {"message": _legal(case.message)})
                told.text = _legal(case.details or case.message)
            elif case.details or case.message:
                ET.SubElement(entry, "system-out").text = _legal(case.details or case.message)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    tally = {"tests": len(cases)}
    for word, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        tally[word] = sum(case.outcome == outcome for case in cases)
    seconds = sum(case.seconds for case in cases)
    return {**{name: str(count) for name, count in tally.items()}, "time": f"{seconds:.3f}"}


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
