"""The models package's one exception."""

from tianjing.errors import TianjingError


class ModelError(TianjingError):
    """A base model is unknown, cannot be fetched, or is damaged."""
