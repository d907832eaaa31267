"""Who calls: API keys, and what each may do."""

from serving.identity.principal import Identity, Permission, Principal

__all__ = ["Identity", "Permission", "Principal"]
