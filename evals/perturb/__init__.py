"""Perturbations that keep the right answer: named conditions of an item, each with the check that it does."""

from evals.perturb.families import FAMILIES, NOT_APPLICABLE, Family, family_of, refused, vary
from evals.perturb.slots import Asked

__all__ = ["FAMILIES", "NOT_APPLICABLE", "Asked", "Family", "family_of", "refused", "vary"]
