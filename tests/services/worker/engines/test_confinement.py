"""A child reaches its own folder and its own code only; a worker hides itself. Engine: `misbehaving.py`."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.worker.engines import landlock
from services.worker.engines.port import Done, ParseRequest
from shared.jobs.codes import FailureCode
from tests.services.worker.engines.conftest import Reader
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
