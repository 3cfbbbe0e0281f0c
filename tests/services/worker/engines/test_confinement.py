"""A child reaches its own folder and its own code only; a worker hides itself. Engine: `misbehaving.py`."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from services.worker.engines import landlock, seccomp
from services.worker.engines.port import Done, ParseRequest
from shared.jobs.codes import FailureCode
from tests.services.worker.engines.conftest import Reader, is_gone
from tests.services.worker.engines.test_sandbox import ended_as, names_in

SCOPES_SIGNALS = 6

Bad = Callable[..., Reader]


async def test_nothing_outside_its_folder_is_in_a_childs_reach(bad: Bad, tmp_path: Path) -> None:
    """The key of a stack lies in a file of the same user; Landlock keeps it where the kernel has that."""
    key = tmp_path / "data" / "operator-key"
    key.parent.mkdir()
    key.write_text("KEY_OF_THE_PARENT")
    done = set((await bad().say("trespass", path=str(key))).split())
    found = landlock.version()
    if found:
        assert done <= {"signal"}, "only what Landlock does not know may be done"
        assert (key.read_text(), names_in(key.parent)) == ("KEY_OF_THE_PARENT", ["operator-key"])
    assert ("signal" in done) == (found < SCOPES_SIGNALS), "a child could end its worker"


async def test_a_document_that_must_be_copied_is_not_copied_when_it_is_too_large(
    bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_copy(*_: object) -> None:
        raise AssertionError("it was copied")

    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(2**30)
    monkeypatch.setattr(shutil, "copyfile", no_copy)
    outcome = await bad().sandbox.run(ParseRequest(huge, "huge.txt"), project_id="p")
    assert ended_as(outcome, FailureCode.DOCUMENT_TOO_LARGE, "larger than 512 MB")


async def test_the_copy_of_a_document_does_not_count_as_written(bad: Bad) -> None:
    reader = bad(written_bytes=2**20)
    outcome = await reader.run(b"x" * (2**20 + 2**19), "a.txt", do="nap")
    assert isinstance(outcome, Done)
    assert outcome.code is None, outcome


def test_a_worker_hides_itself_before_it_forks() -> None:
    code = (
        "import ctypes, sys; from services.worker import app\n"
        "app._hold_to_storage = lambda _: sys.exit(10 + ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
        "app.run(['parse'])"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert ended.returncode == (10 if sys.platform == "linux" else 9), ended.stderr


def may_filter() -> bool:
    """Whether this system lets a process give up starting others."""
    code = (
        "import ctypes, sys; ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)\n"
        "from services.worker.engines.seccomp import allow_no_process; sys.exit(not allow_no_process())"
    )
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_libraries_do_not_stumble_over_what_is_out_of_reach(bad: Bad) -> None:
    assert await bad().say("types_of_files") == "image/png []"


async def test_a_document_starts_no_process_however_it_tries(bad: Bad) -> None:
    mark = f"{os.getpid()}.5"
    outcome = await bad(wall_s=5.0).do("multiply", times=20, mark=mark)
    if may_filter():
        assert ended_as(outcome, FailureCode.ENGINE_ERROR, "PermissionError")
        assert [left.pid for left in psutil.process_iter() if mark in cmdline(left)] == []
    assert await bad().say("threads") == "8"


def test_the_filter_is_there_on_the_machines_that_it_knows() -> None:
    assert may_filter() == (sys.platform == "linux" and platform.machine() in seccomp._MACHINES)


async def test_a_document_that_hangs_up_and_stays_is_ended(bad: Bad) -> None:
    reader = bad(wall_s=5.0)
    pid = int(await reader.say("pid"))
    assert ended_as(await reader.do("hang_up"), FailureCode.ENGINE_ERROR, "hung up")
    assert is_gone(pid)
    assert await reader.say("read") == "words"


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
