"""Procedures (SOP): how a task is done, mined from the operation log and the acts of dialogues, and who conforms."""

from data_recipes.experience.procedures.cases import Case, Step, join_cases
from data_recipes.experience.procedures.conformance import Conformance, conform, conformance
from data_recipes.experience.procedures.mine import mine_procedures

__all__ = ["Case", "Conformance", "Step", "conform", "conformance", "join_cases", "mine_procedures"]
