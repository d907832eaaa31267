"""The lineage package's one exception."""

from tianjing.errors import TianjingError


class LineageError(TianjingError):
    """An artefact, manifest, key or release is missing, broken, or does not match its digest."""
