"""Names of models, versions and loads: they become folders, routes and label values, so their form is narrow."""

from __future__ import annotations

import re
import secrets

from serving.errors import ApiError

MODEL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
# Also the form that the engine's inner door asks for; see `tianjing.engine.allow_list`.
VERSION_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_VERSION_CHARS = 50


def require_name(value: object, field: str, pattern: str = VERSION_PATTERN) -> str:
    """`value`, when it is a name.

    Raises:
        ApiError: 400, naming the field and the form.
    """
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ApiError(400, f"'{field}' must match {pattern}", param=field)
    return value


def load_name(version: str) -> str:
    """What the engine knows one load of a version by: new every time.

    An engine keeps the prefix cache of a name and path after its adapter was unloaded, so neither is used again.
    """
    return f"{version[:_VERSION_CHARS]}-{secrets.token_hex(6)}"
