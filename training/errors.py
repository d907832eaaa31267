"""The error of this package."""

from tianjing.errors import TianjingError


class TrainingError(TianjingError):
    """A dataset, configuration or checkpoint that training cannot go on with."""
