"""The routes of the console, read from the application: one that comes is tested by itself."""

from typing import Final

from fastapi.routing import iter_route_contexts

from services.api.app import create_app
from shared.config import Settings

CONSOLE: Final = "/console"
NO_BATCH: Final = "bat-00000000-0000-7000-8000-000000000000"
NO_DIRECTORY: Final = "dir-00000000-0000-7000-8000-000000000000"


def routes(method: str) -> list[str]:
    """The paths that answer to the method, with ids that are nobody's."""
    found = {
        path.format(batch_id=NO_BATCH, directory_id=NO_DIRECTORY, seq="1")
        for route in iter_route_contexts(create_app(Settings()).routes)
        if (path := route.path or "").startswith(CONSOLE) and method in (route.methods or ())
    }
    return sorted(found)


WRITES: Final = routes("POST")
READS: Final = [path for path in routes("GET") if not path.endswith("/login")]
