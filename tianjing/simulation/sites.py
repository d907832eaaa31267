"""The two call-centre sites and their wholly separate grammars."""

from __future__ import annotations

from dataclasses import dataclass

from tianjing.simulation import (
    grammar_east_acts,
    grammar_east_answers,
    grammar_east_bargain,
    grammar_east_breaches,
    grammar_east_questions,
    grammar_east_reasons,
    grammar_east_talk,
    grammar_west_acts,
    grammar_west_answers,
    grammar_west_bargain,
    grammar_west_breaches,
    grammar_west_questions,
    grammar_west_reasons,
    grammar_west_talk,
)
from tianjing.simulation.grammar import Grammar, Productions

# What the caller fills in: facts of the person, the account, the agent and the article.
SLOTS = (
    "name",
    "surname",
    "title",
    "call",
    "product",
    "amount",
    "half",
    "principal",
    "interest",
    "penalty",
    "days",
    "day",
    "mobile",
    "id_tail",
    "id_card",
    "card",
    "worker",
    "label",
    "spouse",
    "lead",
    "asked",
    "content",
    "asked_monthly",
    "monthly",
    "wait",
)


@dataclass(frozen=True)
class Site:
    """One site's way of speaking, its agents and the article keys that its customers ask about."""

    name: str
    grammar: Grammar
    agents: tuple[str, ...]
    articles: tuple[str, ...]


def _policy(
    questions: dict[str, tuple[str, ...]], answers: dict[str, tuple[str, ...]], no_basis: tuple[str, ...]
) -> Productions:
    rows: dict[str, tuple[str, ...]] = {f"ask_{key}": value for key, value in questions.items()}
    rows |= {f"answer_{key}": value for key, value in answers.items()}
    rows["ask_no_basis"] = no_basis
    return rows


SITES: dict[str, Site] = {
    "east": Site(
        "east",
        Grammar(
            "east",
            (
                grammar_east_talk.TALK,
                grammar_east_reasons.REASONS,
                grammar_east_acts.ACTS,
                grammar_east_acts.REPLIES,
                grammar_east_breaches.BREACHES,
                grammar_east_bargain.BARGAIN,
                grammar_east_answers.POLICY_TALK,
                _policy(grammar_east_questions.QUESTIONS, grammar_east_answers.ANSWERS, grammar_east_answers.NO_BASIS),
            ),
            SLOTS,
        ),
        tuple(f"e{number:02d}" for number in range(1, 29)),
        tuple(grammar_east_questions.QUESTIONS),
    ),
    "west": Site(
        "west",
        Grammar(
            "west",
            (
                grammar_west_talk.TALK,
                grammar_west_reasons.REASONS,
                grammar_west_acts.ACTS,
                grammar_west_acts.REPLIES,
                grammar_west_breaches.BREACHES,
                grammar_west_bargain.BARGAIN,
                grammar_west_answers.POLICY_TALK,
                _policy(grammar_west_questions.QUESTIONS, grammar_west_answers.ANSWERS, grammar_west_answers.NO_BASIS),
            ),
            SLOTS,
        ),
        tuple(f"w{number:02d}" for number in range(1, 13)),
        tuple(grammar_west_questions.QUESTIONS),
    ),
}
