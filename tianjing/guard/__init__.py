"""The stream guard: what may be sent of a text that is still being written. Sans-IO: no clock, no network.

A whole text is the same core with one push, so `mask(stream) == mask(whole)` however the stream was cut. Text goes out
once every detector has decided past it; a detector that fails blocks the stream.
"""

from tianjing.guard.core import CONTENT, Guard
from tianjing.guard.detectors import Detector, Incremental, Scan, Scanned
from tianjing.guard.errors import GuardError
from tianjing.guard.privacy import PrivacyDetector
from tianjing.guard.rules import RulebookDetector
from tianjing.guard.statements import StatementDetector
from tianjing.guard.stream import FAULT, OnCap, Stream
from tianjing.guard.verdicts import WITHHELD, Action, Released, Span, Verdict, strongest

__all__ = [
    "CONTENT",
    "FAULT",
    "WITHHELD",
    "Action",
    "Detector",
    "Guard",
    "GuardError",
    "Incremental",
    "OnCap",
    "PrivacyDetector",
    "Released",
    "RulebookDetector",
    "Scan",
    "Scanned",
    "Span",
    "StatementDetector",
    "Stream",
    "Verdict",
    "strongest",
]
