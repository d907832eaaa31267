"""Customer timelines and profile proposals: one customer's cases, products, contacts, months and papers, in order."""

from data_recipes.timeline.proposals import proposals
from data_recipes.timeline.records import CustomerTimeline, Month, ProfileProposal, ProposalSource, TimelineEntry
from data_recipes.timeline.sources import TimelineSources
from data_recipes.timeline.timeline import timelines
from data_recipes.timeline.write import write_timelines

__all__ = [
    "CustomerTimeline",
    "Month",
    "ProfileProposal",
    "ProposalSource",
    "TimelineEntry",
    "TimelineSources",
    "proposals",
    "timelines",
    "write_timelines",
]
