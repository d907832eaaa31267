"""Negotiation tests: a customer with secrets who answers an agent, and a report on what the agent achieved."""

from tianjing.simulation.negotiation.customer import NegotiatingCustomer, NegotiationState
from tianjing.simulation.negotiation.debtor import Debtor, make_debtor
from tianjing.simulation.negotiation.offers import Offer, find_offer
from tianjing.simulation.negotiation.report import Negotiation, NegotiationReport, negotiate, report

__all__ = [
    "Debtor",
    "NegotiatingCustomer",
    "Negotiation",
    "NegotiationReport",
    "NegotiationState",
    "Offer",
    "find_offer",
    "make_debtor",
    "negotiate",
    "report",
]
