"""Processes: the engine as a supervised child, and the gateway in front of it."""
