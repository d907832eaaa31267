"""The report of an evaluation: one HTML page, Markdown and JUnit for CI, and a table for the console."""

from evals.report.console import console_summary
from evals.report.page import render_report

__all__ = ["console_summary", "render_report"]
