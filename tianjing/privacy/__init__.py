"""Chinese personal data (PII): find it, mask it, and mask a stream without ever releasing half of it.

One left-to-right scanner serves all three, so that masking a stream equals masking the whole text.
"""

from tianjing.privacy.engine import Masked, Session, StreamMasker, find, mask
from tianjing.privacy.findings import KINDS, Finding

__all__ = ["KINDS", "Finding", "Masked", "Session", "StreamMasker", "find", "mask"]
