"""HTML out of templates. Every value is escaped, and nothing is ever marked as safe."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import Scope

from services.api.console.words import FILTERS
from shared import __version__

PATH: Final = "/console"
STATIC: Final = Path(__file__).with_name("static")
_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(FILTERS)


def _stamp() -> str:
    """Changes with the files that pages load, so that a browser may keep them."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


_STAMP: Final = _stamp()


def base_of(scope: Scope) -> str:
    """Where the console is: below the prefix, if any, that a proxy takes off."""
    return str(scope.get("root_path", "")).rstrip("/") + PATH


def draw(template: str, base: str, **values: Any) -> str:
    """The template with these values."""
    return _ENVIRONMENT.get_template(template).render(base=base, stamp=_STAMP, version=__version__, **values)


def page(
    request: Request,
    template: str,
    code: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """An answer with the template in it."""
    return HTMLResponse(draw(template, base_of(request.scope), **values), code, headers=headers)
