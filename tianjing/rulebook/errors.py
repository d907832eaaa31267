"""The rulebook package's one exception."""

from tianjing.errors import TianjingError


class RulebookError(TianjingError):
    """A rule pack, a contact log or a dialogue file is missing, broken, or says something that cannot be checked."""
