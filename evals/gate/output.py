"""A decision for CI: Markdown for the page of a merge request, JUnit XML for the list of checks."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree as ET

from evals.gate.findings import Decision, Finding

_SUITE = "tianjing eval gate"
# Characters that XML 1.0 cannot hold, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEADINGS = {
    "PROMOTE": "the tuned model may be released",
    "BLOCK": "the tuned model must not be released",
    "INCONCLUSIVE": "the evidence does not suffice either way",
    "INVALID": "the evaluation cannot be judged",
}


def markdown(decision: Decision) -> str:
    """The verdict and a table of every finding, the most severe first."""
    lines = [
        f"## {decision.verdict}: {_HEADINGS[decision.verdict]}",
        "",
        "| | rule | finding | what would settle it |",
        "|---|---|---|---|",
    ]
    for finding in decision.findings:
        cells = (finding.label, finding.kind.replace("_", " "), finding.reason, finding.remedy)
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines) + "\n"


def junit(decision: Decision) -> str:
    """One test case a finding: BLOCK fails, INCONCLUSIVE fails by that name, INVALID is an error, a note is skipped."""
    findings = decision.findings
    counts = {
        "tests": len(findings),
        "failures": sum(_outcome(finding) == "failure" for finding in findings),
        "errors": sum(_outcome(finding) == "error" for finding in findings),
        "skipped": sum(_outcome(finding) == "skipped" for finding in findings),
    }
    root = ET.Element("testsuites", {name: str(count) for name, count in counts.items()})
    suite = ET.SubElement(root, "testsuite", {"name": _SUITE, **{name: str(count) for name, count in counts.items()}})
    seen: Counter[str] = Counter()
    for finding in findings:
        name = f"{finding.kind} {finding.name}".strip()
        seen[name] += 1
        if seen[name] > 1:
            name += f" ({seen[name]})"
        case = ET.SubElement(suite, "testcase", {"name": _legal(name), "classname": _SUITE})
        outcome = _outcome(finding)
        if outcome:
            told = ET.SubElement(case, outcome, {"type": finding.verdict, "message": _legal(finding.reason)})
            told.text = _legal(f"{finding.reason}\n{finding.remedy}".strip())
        else:
            ET.SubElement(case, "system-out").text = _legal(finding.reason)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _outcome(finding: Finding) -> str:
    if finding.kind == "advisory":
        return "skipped"
    return {"PROMOTE": "", "BLOCK": "failure", "INCONCLUSIVE": "failure", "INVALID": "error"}[finding.verdict]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
