"""The pages that people read: the operations, and what of the hosted API is here. Nothing of them comes from
another host."""

from pathlib import Path
from typing import Final

import fastapi_offline
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse, PlainTextResponse

ASSETS: Final = "/docs/assets"
COMPATIBILITY: Final = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"


def install(app: FastAPI) -> None:
    """Serve `/docs`, `/redoc` and `/docs/compatibility`."""
    folder = Path(fastapi_offline.__file__).with_name("static")
    matrix = COMPATIBILITY.read_text(encoding="utf-8")
    # FastAPI remembers pages for longer than an application lives: they must not hold it.
    title = app.title

    @app.get("/docs", include_in_schema=False)
    async def swagger(request: Request) -> HTMLResponse:
        root = _root(request)
        return get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title=title,
            swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
        )

    @app.get("/redoc", include_in_schema=False)
    async def redoc(request: Request) -> HTMLResponse:
        root = _root(request)
        return get_redoc_html(
            openapi_url=f"{root}/openapi.json",
            title=title,
            redoc_js_url=f"{root}{ASSETS}/redoc.standalone.js",
            redoc_favicon_url=f"{root}{ASSETS}/favicon.png",
            with_google_fonts=False,
        )

    @app.get("/docs/compatibility", include_in_schema=False)
    async def compatibility() -> PlainTextResponse:
        return PlainTextResponse(matrix)

    app.mount(ASSETS, StaticFiles(directory=folder), name="assets")


def _root(request: Request) -> str:
    # Behind a proxy that takes a prefix off, the browser must put it on again.
    return str(request.scope.get("root_path", "")).rstrip("/")
