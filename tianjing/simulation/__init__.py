"""Sample corpora with known truth: a fictional consumer-finance company, its two call centres and its policies."""

from tianjing.simulation.corpus import SimulationError, simulate

__all__ = ["SimulationError", "simulate"]
