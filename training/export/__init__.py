"""Weights to hand over, with their papers: card, bill of materials, lineage."""

from training.export.export import export

__all__ = ["export"]
