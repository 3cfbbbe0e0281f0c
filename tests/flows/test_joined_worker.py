"""A second worker joins a live stack from another folder, by the stack's URLs alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.patience import GIVES_UP_S

PARSE = ("worker", "--queues", "parse,extract", "--concurrency", "2")


@pytest.fixture(scope="module")
def stack(start_stack: Callable[[], Any]) -> Any:
    """A stack of this module's own: its workers are counted."""
    return start_stack()


def urls_of(stack: Any) -> dict[str, str]:
    """What a person reads from the stack's data folder to join it."""
    return {
        "BATCHMILL_DATABASE__URL": (stack.data_dir / "database-url").read_text().strip(),
        "BATCHMILL_BROKER__URL": stack.broker_url,
        "BATCHMILL_STORAGE__URL": (stack.data_dir / "storage").as_uri(),
    }


def outside() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BATCHMILL_")}


Join = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def join(stack: Any, tmp_path: Path) -> Iterator[Join]:
    """Starts a worker in a folder of its own that joins the stack; it is up when this answers."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        ready = tmp_path / f"ready-{len(started)}"
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *PARSE],
            cwd=tmp_path,
            env={**outside(), **urls_of(stack), "BATCHMILL_READY_FILE": str(ready)},
            start_new_session=True,
        )
        started.append(process)
        deadline = time.monotonic() + GIVES_UP_S
        while not ready.exists():
            assert process.poll() is None, "the joined worker ended"
            assert time.monotonic() < deadline, "the joined worker did not come up"
            time.sleep(0.1)
        # Its processes are seen by the database with their first sign of life.
        stack.wait_for(lambda: len(workers_of(stack, process)) == 2)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=GIVES_UP_S)


def workers_of(stack: Any, process: subprocess.Popen[bytes]) -> set[Any]:
    """The rows of workers that are processes of this one."""
    import psutil

    pids = [child.pid for child in psutil.Process(process.pid).children()]
    return {row["id"] for row in stack.sql("SELECT id FROM workers WHERE pid = ANY($1::int[])", pids)}


def some_files(count: int) -> list[tuple[str, bytes]]:
    return [(f"{i:04}.txt", (b"line %d of a file\n" % i) * 2_000) for i in range(count)]


def takers(stack: Any, batch_id: str, within_s: float = GIVES_UP_S) -> set[Any]:
    """Who held a chunk of the batch at any of our looks, until it ends."""
    seen: set[Any] = set()
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        rows = stack.sql("SELECT worker_id FROM chunks WHERE batch_id = $1::uuid", batch_id[4:])
        seen |= {row["worker_id"] for row in rows if row["worker_id"] is not None}
        status = stack.sql("SELECT status FROM batches WHERE id = $1::uuid", batch_id[4:])[0]["status"]
        if status in {"COMPLETED", "FAILED", "CANCELLED"}:
            return seen
        time.sleep(0.05)
    raise AssertionError("the batch did not end")


def test_both_work_on_one_batch_and_every_file_has_one_end(stack: Any, join: Join) -> None:
    joined = join()
    theirs = workers_of(stack, joined)
    batch_id = stack.open_batch(some_files(300))
    seen = takers(stack, batch_id)
    assert seen & theirs, "the joined worker took nothing"
    assert seen - theirs, "the stack's own worker took nothing"
    assert stack.wait_final(batch_id) == "COMPLETED"
    stack.assert_exact(batch_id, 300)


def test_killed_in_the_middle_it_costs_time_and_nothing_else(stack: Any, join: Join) -> None:
    joined = join()
    theirs = workers_of(stack, joined)
    batch_id = stack.open_batch(some_files(300))

    def holds_a_chunk() -> bool:
        rows = stack.sql("SELECT worker_id FROM chunks WHERE state = 'TAKEN'")
        return bool({row["worker_id"] for row in rows} & theirs)

    stack.wait_for(holds_a_chunk)
    os.kill(joined.pid, signal.SIGKILL)
    joined.wait()
    assert stack.wait_final(batch_id) == "COMPLETED"
    stack.assert_exact(batch_id, 300)
    failed = "SELECT count(*) FROM jobs WHERE batch_id = $1::uuid AND status = 'FAILED'"
    assert stack.sql(failed, batch_id[4:])[0][0] == 0


def refused(folder: Path, command: tuple[str, ...], settings: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *command],
        cwd=folder,
        env={**outside(), **settings},
        capture_output=True,
        text=True,
        timeout=GIVES_UP_S,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr.splitlines()[-1]
    return done.stderr.splitlines()[-1]


def test_with_a_storage_of_its_own_it_is_refused(stack: Any, tmp_path: Path) -> None:
    before = stack.sql("SELECT count(*) FROM workers")[0][0]
    for storage in ({}, {"BATCHMILL_STORAGE__URL": (tmp_path / "mine").as_uri()}):
        settings = {**urls_of(stack), **storage}
        if not storage:
            del settings["BATCHMILL_STORAGE__URL"]
        said = refused(tmp_path, PARSE, settings)
        assert f"the folder {stack.data_dir / 'storage'} on " in said
        assert f"the folder {tmp_path / ('mine' if storage else '.batchmill/storage')} on " in said
        assert "Set BATCHMILL_STORAGE__URL" in said
    assert stack.sql("SELECT count(*) FROM workers")[0][0] == before


def test_an_api_with_a_storage_of_its_own_is_refused(stack: Any, tmp_path: Path) -> None:
    settings = {**urls_of(stack), "BATCHMILL_STORAGE__URL": (tmp_path / "mine").as_uri()}
    assert "log above says why" in refused(tmp_path, ("api", "--port", "18999"), settings)


def test_half_of_the_urls_is_refused_with_the_name_of_the_other(stack: Any, tmp_path: Path) -> None:
    settings = urls_of(stack)
    del settings["BATCHMILL_BROKER__URL"]
    assert "BATCHMILL_BROKER__URL is not set" in refused(tmp_path, PARSE, settings)


def test_the_command_says_whose_storage_it_is(stack: Any, tmp_path: Path) -> None:
    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services.cli", *arguments],
            cwd=tmp_path,
            env={**outside(), **urls_of(stack), **settings},
            capture_output=True,
            text=True,
            timeout=GIVES_UP_S,
            check=False,
        )

    same = run("storage", "show")
    assert (same.returncode, "the same" in same.stdout) == (0, True)
    other = run("storage", "show", BATCHMILL_STORAGE__URL=(tmp_path / "mine").as_uri())
    assert (other.returncode, "the same" in other.stdout) == (1, False)
    doctor = run("doctor", BATCHMILL_STORAGE__URL=(tmp_path / "mine").as_uri())
    assert "FAIL  mark" in doctor.stdout
    assert "ok    mark" in run("doctor").stdout
