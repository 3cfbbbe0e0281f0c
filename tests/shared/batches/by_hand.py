"""The moves of limits, made by hand on a mill."""

from dataclasses import replace
from typing import Any

from shared.batches import explain as batch_explain
from shared.batches import service as batch_service
from shared.jobs import limiting, opening, running
from shared.lanes.limits import LaneLimits

KIND = "parse_v2"
OPEN = LaneLimits(None, 1, None, None, 1_000_000, 1.0, None)


async def limit(mill: Any, **changes: Any) -> LaneLimits:
    async with mill.resources.unit_of_work() as uow:
        found = await limiting.set_limits(uow, mill.project_id, KIND, replace(OPEN, **changes))
        await uow.commit()
    return found


async def opened(mill: Any, files: int) -> Any:
    """A batch over `files` new files alone, read to its end."""
    directory = await mill.one(
        "INSERT INTO directories (project_id, name) VALUES (:p, 'd') RETURNING id", p=mill.project_id
    )
    mill.directory_id = directory
    batch_id = await mill.open_batch(files)
    await mill.advance(batch_id)
    return batch_id


async def status_of(mill: Any, batch_id: Any) -> str:
    return str((await mill.batch(batch_id)).status)


async def explained(mill: Any, batch_id: Any) -> batch_explain.Explanation:
    async with mill.resources.unit_of_work() as uow:
        batch = await batch_service.get_batch(uow, mill.project_id, batch_id)
        return await batch_explain.explain(uow, batch)


async def finish(mill: Any, held: Any, an_end: Any) -> None:
    await mill.close(held.chunk, [an_end(held.chunk, f) for f in held.files])
    async with mill.resources.unit_of_work() as uow:
        await running.tell_of_end(uow, held.chunk)


async def alone(mill: Any) -> Any:
    async with mill.resources.unit_of_work() as uow:
        view = await opening.open_parse_job(
            uow,
            project_id=mill.project_id,
            file_id=mill.file_id,
            name="f",
            size_bytes=1,
            sha256=b"",
            parameters={"tier": "fast"},
        )
        await uow.commit()
    return view


async def files_granted(mill: Any) -> int:
    return int(await mill.one("SELECT coalesce(sum(size), 0) FROM chunks WHERE state IN ('READY', 'TAKEN')"))
