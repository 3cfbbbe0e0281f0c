"""Results and ends on their way home beside the next document: their order, and what trouble costs."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from services.worker import chunk, delivery
from services.worker.delivery import Delivery
from services.worker.engines.sandbox import Sandbox
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.jobs import reclaim
from shared.jobs.running import JobEnd
from shared.storage.object_store import ObjectStore
from shared.storage.port import StorageDown
from shared.wiring import Resources
from tests.services.worker.test_work import add_job, chunk_row, job_row, run_sql

LIMIT_S = 10.0


class Store:
    """Keeps what it gets, when it is let and unless it is told to fail."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.open = asyncio.Event()
        self.open.set()
        self.failing: Exception | None = None
        self.kept: dict[str, bytes] = {}

    async def put_files(self, files: Mapping[str, Path | bytes]) -> None:
        await self.open.wait()
        if self.failing is not None:
            raise self.failing
        for key, made in files.items():
            self.kept[key] = made if isinstance(made, bytes) else made.read_bytes()
        self.said.append("stored " + " ".join(files))


class Home:
    """A delivery, and what came home of it in which order."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.store = Store(self.said)
        self.folder = folder
        self.delivery = Delivery(self.store, self._write)

    async def _write(self, ends: Sequence[JobEnd]) -> None:
        self.said.append("told " + " ".join(str(end.result_key) for end in ends))

    def made(self, key: str | None) -> None:
        """A file has ended, with a result unless `key` is None."""
        if key is not None:
            result = self.folder / key
            result.write_text(f"of {key}")
            self.delivery.keep(key, result)
        self.delivery.add(end_with(key))

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def end_with(key: str | None) -> JobEnd:
    return JobEnd(
        job_id=uuid4(),
        status="FAILED" if key is None else "COMPLETED",
        code=None,
        message=None,
        retryable=None,
        result_key=key,
        pages=1,
        seconds=0.1,
        engine="e",
    )


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def keys(ends: Sequence[JobEnd]) -> list[str | None]:
    return [end.result_key for end in ends]


async def test_rows_are_told_after_all_results_are_stored_and_nothing_stays(home: Home) -> None:
    for key in ("a", None, "b"):
        home.made(key)
    assert await home.delivery.start() is None
    home.delivery.keep("c", b"of c")
    home.delivery.add(end_with("c"))
    ends, trouble = await home.delivery.last()
    assert (keys(ends), trouble) == (["c"], None)
    assert home.said == ["stored a b", "told a None b", "stored c"]
    assert home.store.kept == {key: f"of {key}".encode() for key in "abc"}
    assert home.left == []
    assert keys((await home.delivery.last())[0]) == ["c"], "asked again, it says the same"


async def test_the_next_file_is_not_kept_waiting_but_the_next_lot_is(home: Home) -> None:
    home.store.open.clear()
    home.made("a")
    await asyncio.wait_for(home.delivery.start(), LIMIT_S)
    home.made("b")
    second = asyncio.create_task(home.delivery.start())
    await asyncio.sleep(0.05)
    assert not second.done()
    assert home.said == []
    home.store.open.set()
    assert await asyncio.wait_for(second, LIMIT_S) is None
    await home.delivery.last()
    assert home.said == ["stored a", "told a", "stored b", "told b"]
    assert home.delivery.storing_s >= 0.04


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StorageDown("away"), "STORAGE_DOWN: away"),
        (OSError(28, "no space"), "SCRATCH: "),
        (MemoryError(), "MEMORY: "),
        (ValueError("a fault"), "STORAGE_DOWN: it failed"),
    ],
)
async def test_what_is_not_stored_has_no_end_and_says_why(home: Home, error: Exception, words: str) -> None:
    home.made("a")
    await home.delivery.start()
    await asyncio.sleep(0.05)
    home.store.failing = error
    home.made("b")
    assert await home.delivery.start() is None
    home.made("c")
    trouble = await home.delivery.start()
    assert trouble is not None
    assert trouble.startswith(words)
    home.store.failing = None
    ends, trouble = await home.delivery.last()
    assert (keys(ends), trouble) == (["c"], None), "what was made since is not lost"
    assert home.said == ["stored a", "told a", "stored c"], "no row says that there is a result of b"
    assert home.left == []


async def test_trouble_with_the_last_lot_is_told(home: Home) -> None:
    home.store.failing = StorageDown("away")
    home.made("a")
    assert await home.delivery.last() == ([], "STORAGE_DOWN: away")
    assert await home.delivery.last() == ([], None)
    assert (home.said, home.left) == ([], [])


async def test_who_leaves_waits_no_longer_than_he_says(home: Home) -> None:
    home.store.open.clear()
    home.made("a")
    await home.delivery.start()
    home.made("b")
    ends, trouble = await asyncio.wait_for(home.delivery.last(within_s=0.1), LIMIT_S)
    assert ends == []
    assert trouble is not None
    assert "in time" in trouble
    await home.delivery.close()
    assert (home.said, home.left) == ([], [])


async def test_closing_breaks_off_and_deletes_what_nobody_stored(home: Home) -> None:
    home.store.open.clear()
    for key in ("a", "b"):
        home.made(key)
    await home.delivery.start()
    home.made("c")
    await asyncio.sleep(0.02)
    await asyncio.wait_for(home.delivery.close(), LIMIT_S)
    home.store.open.set()
    assert (home.said, home.left) == ([], [])


async def test_a_lot_goes_out_twice_a_second(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.made("a")
    due = [home.delivery.is_due]
    monkeypatch.setattr(delivery, "EVERY_S", 0.0)
    due.append(home.delivery.is_due)
    await home.delivery.start()
    due.append(home.delivery.is_due)
    assert due == [False, True, False], "not yet, then, and not while nothing waits"
    await home.delivery.last()


async def test_who_was_broken_off_while_he_waited_may_ask_again(home: Home) -> None:
    home.store.open.clear()
    home.made("a")
    await home.delivery.start()
    home.made("b")
    waiting = asyncio.create_task(home.delivery.start())
    await asyncio.sleep(0.02)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    home.store.open.set()
    ends, trouble = await asyncio.wait_for(home.delivery.last(within_s=LIMIT_S), LIMIT_S)
    assert (keys(ends), trouble) == (["b"], None)
    assert home.said == ["stored a", "told a", "stored b"]


@pytest.fixture
async def runtime(resources: Resources, tmp_path: Path) -> AsyncIterator[Runtime]:
    """A worker process's means, without the process."""
    made = Runtime(resources, resources, ["parse"], Sandbox(), tmp_path)
    yield made
    await made.sandbox.close()


async def test_a_worker_leaves_in_time_whatever_the_storage_does(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def hangs(*_: object) -> None:
        asked.set()
        await asyncio.sleep(60)

    job = await add_job(runtime, "a.txt", b"words that are read and not stored")
    monkeypatch.setattr(ObjectStore, "put_files", hangs)
    task = asyncio.create_task(work(runtime, "parse", slice_s=5))
    await asyncio.wait_for(asked.wait(), LIMIT_S)
    runtime.stopping.set()
    await asyncio.wait_for(task, chunk.GRACE_S + chunk.LEAVING_WITHIN_S + 3)
    row = await chunk_row(runtime)
    assert (row.state, row.losses, row.token) == ("READY", 0, None)
    assert (await job_row(runtime, job)).status == "PENDING"


async def test_a_storage_that_takes_no_result_blames_no_document(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> None:
        raise StorageDown("it is full")

    job = await add_job(runtime, "a.txt", b"words for which there is no room")
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "put_files", down)
        patch.setattr(ObjectStore, "put", down)
        await work(runtime, "parse", slice_s=5)
    row = await chunk_row(runtime)
    assert (row.state, row.losses, row.reason) == ("READY", 0, "STORAGE_DOWN: it is full")
    assert (await job_row(runtime, job)).status == "PENDING"
    assert not await runtime.is_fit()


async def test_a_fault_of_the_storage_is_charged_to_the_file_and_ends(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works under the self-test, so it is the file's; and a file is tried so often and no more."""

    async def stumbles(*_: object) -> None:
        raise ValueError("a fault of ours")

    job = await add_job(runtime, "a.txt", b"words that the storage stumbles over")
    monkeypatch.setattr(ObjectStore, "put_files", stumbles)
    for _ in range(reclaim.LOSSES_ALONE):
        await work(runtime, "parse", slice_s=5)
        await run_sql(runtime, "UPDATE chunks SET due_at = now()")
    row = await job_row(runtime, job)
    assert (row.status, row.error_code, row.result_key) == ("FAILED", "ENGINE_ERROR", None)
    assert await chunk_row(runtime) is None
