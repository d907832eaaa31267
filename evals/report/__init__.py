"""The report of an evaluation: one HTML page, Markdown and JUnit for CI, and a table for the console."""

from evals.report.annexes import Annexes, read_annexes
from evals.report.console import console_summary
from evals.report.junit import junit_xml
from evals.report.markdown import summary_markdown, summary_suites
from evals.report.page import render_report

__all__ = [
    "Annexes",
    "console_summary",
    "junit_xml",
    "read_annexes",
    "render_report",
    "summary_markdown",
    "summary_suites",
]
