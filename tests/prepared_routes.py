"""What FastAPI works out about our routes, worked out once for all applications of a test process.

It does so for each application at its first request: a quarter of a second and four megabytes that stay, for
every test that has an API of its own. It depends on the code of the routes alone. The application, its state,
its middleware and its resources are made anew for each test, as ever.
"""

from typing import Final

from fastapi import FastAPI
from starlette.routing import BaseRoute

_prepared: Final[dict[int, list[BaseRoute]]] = {}
"""By how many there are: a console that is switched off has none."""


def prepare(app: FastAPI) -> FastAPI:
    """The same application, with the routers that an application before it has included."""
    routes = app.router.routes
    for number, known in enumerate(_prepared.setdefault(len(routes), list(routes))):
        if hasattr(known, "include_context"):
            routes[number] = known
    return app
