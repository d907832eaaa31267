"""Where a base model comes from: a folder, a model hub, or the embedded default."""

from tianjing.models.cache import cache_dir
from tianjing.models.errors import ModelError
from tianjing.models.resolution import ResolvedModel, resolve

__all__ = ["ModelError", "ResolvedModel", "cache_dir", "resolve"]
