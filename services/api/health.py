"""Is this process alive, and can it serve?"""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse

from services.api.dependencies import door
from shared import __version__
from shared.db import migrations
from shared.storage.port import StorageDown
from shared.telemetry import logger

log = logger(__name__)

router = APIRouter(tags=["health"])
PROBE = "health/probe"


class Readiness(BaseModel):
    """What was looked at; `down` when one of the needed is not `ok`."""

    status: Literal["ok", "degraded", "down"]
    version: str
    checks: dict[str, str]


@router.get("/health")
def alive() -> dict[str, str]:
    """Alive, and which version. Asks nothing of anyone."""
    return {"status": "ok", "version": __version__}


@router.get("/ready", response_model=Readiness, responses={503: {"model": Readiness}})
async def ready(request: Request) -> JSONResponse:
    """200 when requests can be served, else 503. A broker that is away degrades: work waits for the sweep,
    requests do not fail. So does a full disk: all but uploads goes on."""
    checks = {
        **await _database(request),
        "storage": await _storage(request),
        "space": await door(request).space.shortage() or "ok",
        "broker": _broker(request),
    }
    needed = all(state == "ok" for name, state in checks.items() if name not in {"broker", "space"})
    status = "ok" if all(state == "ok" for state in checks.values()) else "degraded"
    return JSONResponse(
        {"status": status if needed else "down", "version": __version__, "checks": checks},
        200 if needed else 503,
    )


async def _database(request: Request) -> dict[str, str]:
    try:
        found = await migrations.current(door(request).resources.engine)
    # Whatever a driver raises here means the same to whoever asks.
    except Exception as error:  # noqa: BLE001
        log.warning("database is not ready", error=repr(error)[:300])
        return {"database": "unreachable", "migrations": "unknown"}
    wanted: str = request.app.state.revision
    if found is None:
        return {"database": "ok", "migrations": "missing: run 'batchmill migrate'"}
    # Revisions are numbers with leading zeros. A newer schema serves: a rolling upgrade migrates first.
    return {"database": "ok", "migrations": "ok" if found >= wanted else f"at {found}, needs {wanted}"}


async def _storage(request: Request) -> str:
    try:
        await door(request).resources.storage.put(PROBE, b"ok")
    except StorageDown as error:
        log.warning("storage is not ready", error=str(error)[:300])
        return "unusable"
    return door(request).gate.standing


def _broker(request: Request) -> str:
    return "ok" if door(request).resources.queue.broker_up else "unreachable"
