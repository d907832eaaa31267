"""The one exception of checking statements."""

from tianjing.errors import TianjingError


class StatementsError(TianjingError):
    """Facts that cannot be used; names the file, the line or field, and the remedy."""
