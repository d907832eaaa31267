"""Practices: what to do in which situation, by its outcome, with evidence, doubts and the rulebook's verdict."""

from data_recipes.experience.practices.cases import Case, Told, cases, told
from data_recipes.experience.practices.clock import Clocks, align
from data_recipes.experience.practices.conclusions import conclude
from data_recipes.experience.practices.exposure import Exposure, customer_turn_at
from data_recipes.experience.practices.mining import best_practices, mine

__all__ = [
    "Case",
    "Clocks",
    "Exposure",
    "Told",
    "align",
    "best_practices",
    "cases",
    "conclude",
    "customer_turn_at",
    "mine",
    "told",
]
