"""Rendering of pages: one HTML file, everything escaped, no outside resource, and no script but its own."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("data_recipes.browse", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def render(template: str, **values: Any) -> str:
    """A page from its template."""
    return _environment().get_template(template).render(**values)


def json_block(value: Any) -> Any:
    """JSON that may stand inside a script element: no text in it can end the element or open a comment."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def asset(name: str) -> Any:
    """A style sheet or script of this package, to stand in a page as it is."""
    from markupsafe import Markup

    return Markup((resources.files("data_recipes.browse") / name).read_text(encoding="utf-8"))


def markup(text: str) -> Any:
    """Markup that its maker has escaped, to stand in a page as it is."""
    from markupsafe import Markup

    return Markup(text)


def digest(script: str) -> str:
    """SHA-256 of a page's own script as its content security policy names it: no other script then runs."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
