"""A decision for CI: Markdown for the page of a merge request, JUnit XML for the list of checks."""

from __future__ import annotations

from collections import Counter

from evals.gate.findings import Decision, Finding
from evals.report.junit import Case, Outcome, Suite, junit_xml

_SUITE = "tianjing eval gate"
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
    """One test case a finding: BLOCK and INCONCLUSIVE fail, INVALID is an error, a note is skipped."""
    seen: Counter[str] = Counter()
    cases = []
    for finding in decision.findings:
        name = f"{finding.kind} {finding.name}".strip()
        seen[name] += 1
        if seen[name] > 1:
            name += f" ({seen[name]})"
        details = f"{finding.verdict}: {finding.reason}\n{finding.remedy}".strip()
        cases.append(Case(name, _outcome(finding), finding.reason, details))
    return junit_xml([Suite(_SUITE, cases)])


def _outcome(finding: Finding) -> Outcome:
    if finding.kind == "advisory":
        return "skipped"
    outcomes: dict[str, Outcome] = {"PROMOTE": "passed", "INVALID": "error"}
    return outcomes.get(finding.verdict, "failure")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
