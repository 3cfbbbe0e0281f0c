"""A purge removes everything of one project, whoever dies on the way, and nothing of anybody else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from shared.batches.lifecycle import BatchStatus
from shared.db.base import Base
from shared.errors import Conflict, NotFound, Unauthenticated
from shared.files import service as file_service
from shared.jobs.running import Hand
from shared.lanes import service as lane_service
from shared.pausing import Point
from shared.projects import service as project_service
from shared.projects.model import Role
from shared.projects.service import Caller
from shared.retention import emptying, purging
from shared.retention import service as retention_service
from shared.retention.model import Purge
from shared.wiring import Resources
from tests.shared.conftest import KIND, done
from tests.shared.retention.conftest import KilledError, Shelf, dying_at, make_shelf

OPERATOR = Caller(project_id=None, role=Role.OPERATOR, key_id=UUID(int=0))


async def fill(shelf: Shelf) -> str:
    """One of everything that a project can have, open work too; answers a key of it."""
    shelf.mill.file_id = await shelf.file()
    await shelf.keep(results_days=30)
    await shelf.batch(jobs=3)
    await shelf.place(await shelf.file(purpose=None))
    await shelf.file(days=9, hidden=True)
    await shelf.job(days=31)
    await shelf.sweep()
    await shelf.job()
    batch = await shelf.mill.open_batch(5)
    await shelf.mill.advance(batch)
    await shelf.mill.dispatch()
    await shelf.mill.sql(
        "UPDATE batches SET redrive_of = :o, redrive_kind = 'FAILED' WHERE id = :b", o=batch, b=batch
    )
    await shelf.mill.sql(
        "INSERT INTO configurations (project_id, name, product_type, parameters)"
        " VALUES (:p, 'c', 'parse_v2', '{}')",
        p=shelf.project,
    )
    async with shelf.resources.unit_of_work() as uow:
        key, _ = await project_service.create_key(uow, project_id=shelf.project, name="k")
        await uow.commit()
    return key


async def ask(shelf: Shelf) -> tuple[Purge, bool]:
    async with shelf.resources.unit_of_work() as uow:
        found = await retention_service.ask_purge(uow, OPERATOR, shelf.project)
        await uow.commit()
    return found


async def left(shelf: Shelf) -> dict[str, int]:
    """Rows of the project in every table that can tell, by the models and not by the list of the purge."""
    found = {}
    for table in Base.metadata.sorted_tables:
        # Events name their batch only; the neighbour has none.
        where = {"projects": "id = :p", "batch_events": "CAST(:p AS uuid) IS NOT NULL"}.get(
            table.name, "project_id = :p"
        )
        if "project_id" in table.columns or table.name in {"projects", "batch_events"}:
            found[table.name] = await shelf.mill.one(
                f"SELECT count(*) FROM {table.name} WHERE {where}",  # noqa: S608
                p=shelf.project,
            )
    return {name: count for name, count in found.items() if count}


async def purge_to_the_end(shelf: Shelf) -> None:
    for _ in range(20):
        await shelf.purge_step()
        if await shelf.mill.one("SELECT state FROM purges WHERE project_id = :p", p=shelf.project) == "DONE":
            return
    raise AssertionError(await left(shelf))


def test_every_table_of_a_project_is_purged_or_excused() -> None:
    """A new table with a project's id comes by itself; one that only points at such a table must be named."""
    purged = set(emptying.tables_of_a_project(Base.metadata)) | emptying.LAST | emptying.KEPT
    of_a_project = {"projects"} | {t.name for t in Base.metadata.sorted_tables if "project_id" in t.columns}
    by_key = {
        table.name
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in of_a_project - {"api_keys"}
    }
    assert of_a_project | by_key <= purged


async def test_nothing_is_left_of_it_and_all_of_the_neighbour(
    shelf: Shelf, resources: Resources, tmp_path: Path
) -> None:
    key = await fill(shelf)
    neighbour = await make_shelf(resources, tmp_path)
    other_file, other_job = await neighbour.file(), await neighbour.job()
    before = await left(shelf)
    for table in (
        "jobs",
        "chunks",
        "batches",
        "files",
        "directory_files",
        "doomed_blobs",
        "lanes",
        "api_keys",
    ):
        assert before.get(table), f"the story has no row in {table}"

    _, asked_now = await ask(shelf)
    assert asked_now
    async with resources.unit_of_work() as uow:
        with pytest.raises(Unauthenticated):
            await project_service.authenticate(uow, key)
        with pytest.raises(NotFound):
            await project_service.resolve_project(
                uow, OPERATOR, project_id=str(shelf.project), organization_id=None
            )
    await purge_to_the_end(shelf)
    assert await left(shelf) == {"purges": 1}
    mine = {name for name in shelf.blobs() if str(shelf.project) in name}
    assert mine == set()
    assert not (shelf.folder / "p" / str(shelf.project)).exists()
    assert await neighbour.has("files", other_file)
    assert await neighbour.key(other_job) in neighbour.blobs()
    row, asked_now = await ask(shelf)
    assert not asked_now
    assert (row.state, row.rows_gone > 15, row.blobs_gone, row.finished_at is not None) == (
        "DONE",
        True,
        8,
        True,
    )


@pytest.mark.parametrize("point", [Point.SLICE_REMOVED, Point.BLOBS_REMOVED])
@pytest.mark.parametrize("after", [0, 1, 4])
async def test_who_dies_in_a_purge_is_followed(
    shelf: Shelf, point: Point, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emptying, "SLICE", 2)
    monkeypatch.setattr("shared.storage.object_store.LISTED_AT_ONCE", 1)
    await fill(shelf)
    await ask(shelf)
    with pytest.raises(KilledError), dying_at(point, after=after):
        await purge_to_the_end(shelf)
    assert await shelf.mill.one("SELECT state FROM purges WHERE project_id = :p", p=shelf.project) != "DONE"
    await purge_to_the_end(shelf)
    assert await left(shelf) == {"purges": 1}
    assert shelf.blobs() == set()


async def test_a_worker_in_the_middle_is_fenced(shelf: Shelf) -> None:
    await fill(shelf)
    assignment = await shelf.mill.taken()
    await ask(shelf)
    await purge_to_the_end(shelf)
    ends = [done(assignment.chunk, file) for file in assignment.files]
    assert await shelf.mill.flush(assignment.chunk, ends) is Hand.FENCED
    assert await shelf.mill.dispatch() == 0
    assert await left(shelf) == {"purges": 1}


async def test_what_was_on_its_way_comes_too_late_or_goes_too(shelf: Shelf) -> None:
    """An upload that was let in before the keys went ends with an error, and its bytes go."""

    async def words() -> AsyncIterator[bytes]:
        yield b"late"

    await ask(shelf)
    async with shelf.resources.unit_of_work() as uow:
        made = await file_service.store_file(uow, shelf.resources.storage, shelf.project, "a", words())
        await uow.commit()
    await purge_to_the_end(shelf)
    assert await left(shelf) == {"purges": 1}
    assert not (shelf.folder / made.storage_key).exists()
    async with shelf.resources.unit_of_work() as uow:
        with pytest.raises(IntegrityError):
            await file_service.store_file(uow, shelf.resources.storage, shelf.project, "b", words())
    async with shelf.resources.unit_of_work() as uow:
        with pytest.raises(IntegrityError):
            await lane_service.open_lane(uow, shelf.project, KIND)
    assert shelf.blobs() == set()


async def test_live_batches_are_stopped_first(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.mill.file_id = await shelf.file()
    batch = await shelf.mill.open_batch(5)
    await ask(shelf)

    async def stop_here(*_: Any) -> int:
        raise KilledError

    monkeypatch.setattr(purging, "_remove_rows", stop_here)
    with pytest.raises(KilledError):
        await shelf.purge_step()
    row = await shelf.mill.batch(batch)
    assert row.stop_as == BatchStatus.CANCELLED


async def test_the_default_project_and_one_that_is_none_are_refused(
    shelf: Shelf, resources: Resources
) -> None:
    async with resources.unit_of_work() as uow:
        default = await project_service.default_project(uow)
        with pytest.raises(Conflict, match="default project"):
            await retention_service.ask_purge(uow, OPERATOR, default.id)
        with pytest.raises(NotFound):
            await retention_service.ask_purge(uow, OPERATOR, uuid4())
        with pytest.raises(NotFound):
            await retention_service.get_purge(uow, shelf.project)
    assert not await shelf.purge_step()
