"""Chinese personal data (PII): find it and replace it.

One left-to-right scanner serves whole texts, batches and, through `tianjing.guard`, streams, so that masking a stream
equals masking the whole text. What it does is de-identification (去标识化), not anonymisation: what is left may still
point to a person.
"""

from tianjing.privacy.acts import Act, Pseudonym, Surrogate, stars
from tianjing.privacy.batch import find_many, mask_dialogues, mask_in_sessions, mask_many
from tianjing.privacy.engine import Masked, Session, find, mask
from tianjing.privacy.findings import FIELD_KINDS, KINDS, Finding
from tianjing.privacy.turns import find_turns, mask_turns

__all__ = [
    "FIELD_KINDS",
    "KINDS",
    "Act",
    "Finding",
    "Masked",
    "Pseudonym",
    "Session",
    "Surrogate",
    "find",
    "find_many",
    "find_turns",
    "mask",
    "mask_dialogues",
    "mask_in_sessions",
    "mask_many",
    "mask_turns",
    "stars",
]
