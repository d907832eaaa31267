"""The outer door: routes with the permission each needs, limits on headers and bodies, and how bytes leave."""
