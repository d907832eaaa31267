"""Tianjing: the shared vocabulary of the toolkit. Imports no stage and no GPU library."""

__version__ = "0.1.0"
