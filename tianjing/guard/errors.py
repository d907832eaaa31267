"""The guard package's one exception."""

from tianjing.errors import TianjingError


class GuardError(TianjingError):
    """The guard was set up or used wrongly. Text that it judges never raises this: a guard that fails blocks."""
