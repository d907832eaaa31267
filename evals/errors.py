"""What can go wrong in an evaluation that a user can mend."""

from tianjing.errors import TianjingError


class EvalError(TianjingError):
    """An evaluation that cannot start, go on, or be trusted."""
