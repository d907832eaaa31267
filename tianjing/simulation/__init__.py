"""Sample corpora with known truth: a fictional consumer-finance company, its two call centres and its policies."""

from tianjing.simulation.corpus import Corpus, generate, save

__all__ = ["Corpus", "generate", "save"]
