"""The one error a user sees: what is wrong, where, and what to do about it."""

EXIT_STAGE_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_NOT_RELEASED = 3
# EX_TEMPFAIL of sysexits.h: stopped on request, all work saved; job schedulers requeue on it.
EXIT_RESUMABLE = 75
EXIT_INTERRUPTED = 130


class TianjingError(Exception):
    """A failure that the user can mend.

    Args:
        message: what is wrong, naming the file and line, or the field.
        remedy: what to do next; printed on its own line.
        exit_code: exit status of the command that raised it.
    """

    def __init__(self, message: str, remedy: str = "", exit_code: int = EXIT_BAD_INPUT):
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.remedy}" if self.remedy else self.message
