"""Suites: tasks and rows from files, described by a short YAML or read in a published layout (docs/suites.md)."""
