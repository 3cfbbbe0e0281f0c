"""The console, `/console`: pages for people, made here and loading nothing from other hosts.

Everything is read and done through the services that the API stands on, by the project of whoever signed in.
"""

from typing import Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.staticfiles import StaticFiles

from services.api.console import batch, exports, opening, overview, results, signing_in, steering
from services.api.console.answers import ConsoleAnswers
from services.api.console.drawing import PATH, STATIC
from services.api.console.visitors import same_origin

__all__ = ["ConsoleAnswers", "install"]

PAGES: Final = (overview, batch, results, exports, steering, opening, signing_in)


def install(app: FastAPI) -> None:
    """Serve it. `ConsoleAnswers` must surround what makes the application's refusals."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])
    for page in PAGES:
        router.include_router(page.router, prefix=PATH)
    app.include_router(router)
    app.mount(f"{PATH}/static", StaticFiles(directory=STATIC), name="console-static")
