"""The data stage's error."""

from tianjing.errors import TianjingError


class DataError(TianjingError):
    """Raw material, knowledge or configuration that the data stage cannot use."""
