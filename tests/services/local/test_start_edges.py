"""Starts that meet a second start, a system that refuses, or a reader that went away."""

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.exits import complain
from services.cli.up import _tell
from services.local.accounts import Account
from services.local.data_dir import DataDir
from services.local.errors import StackFailed, SystemRefused
from services.local.postgres import EmbeddedPostgres
from services.local.stack import attach
from tests.patience import GIVES_UP_S
from tests.services.local.fakes import ROOT, fake_stack, traces_of, until


async def test_whoever_comes_while_a_stack_starts_waits_for_it(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    told: list[str] = []
    stack = fake_stack(data.path)
    starting = asyncio.create_task(stack.__aenter__())
    try:
        await until(data.lock.is_taken)
        assert await attach(data.path) is None
        live = await attach(data.path, patience_s=60, waiting=lambda: told.append("waits"))
        await starting
        assert live is not None
        assert live.base_url == stack.base_url
        assert told == ["waits"]
    finally:
        await asyncio.wait({starting})
        await stack.__aexit__(None, None, None)


async def test_who_waits_for_a_stack_that_ends_instead_gets_none(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.make()
    with data.held():
        waiter = asyncio.create_task(attach(tmp_path, patience_s=60))
        await asyncio.sleep(0.3)
        assert not waiter.done()
    assert await asyncio.wait_for(waiter, 20) is None


async def test_a_disk_that_fills_while_the_keys_are_written_is_told_in_words(tmp_path: Path) -> None:
    async def full(_: str) -> tuple[str, str]:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/project-key")

    with pytest.raises(SystemRefused, match=r"No space left on device \(/data/project-key\)"):
        await fake_stack(tmp_path, bootstrap=full).__aenter__()
    assert traces_of(tmp_path) == []
    async with fake_stack(tmp_path) as stack:  # nothing half made stands in the way of the next start
        assert stack.project_key == "project"


async def test_a_lock_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(SystemRefused, match="lock"):
        await fake_stack(tmp_path).__aenter__()


async def test_an_initdb_that_fails_gives_its_space_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "initdb"
    broken.write_text('#!/bin/sh\nmkdir -p "$2/base"; echo disk full; exit 1\n')
    broken.chmod(0o755)
    monkeypatch.setattr("services.local.postgres.program", lambda _: broken)
    monkeypatch.setattr("services.local.postgres.account_for", lambda folder, _: _same(folder))
    with pytest.raises(StackFailed, match="disk full"):
        await EmbeddedPostgres(tmp_path / "pg").start()
    assert not (tmp_path / "pg" / "data.new").exists()


def _same(folder: Path) -> Account:
    return Account("same", folder)


def test_a_torn_or_foreign_record_is_none(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_bytes(b"\xff\xfe")
    assert DataDir(tmp_path).record() is None
    (tmp_path / "stack.json").unlink()
    (tmp_path / "stack.json").mkdir()
    assert DataDir(tmp_path).record() is None


@pytest.mark.parametrize("call", [complain, _tell], ids=["complain", "welcome"])
def test_a_reader_that_went_away_is_no_error(call: object) -> None:
    name = getattr(call, "__name__", "")
    module = getattr(call, "__module__", "")
    read, write = os.pipe()
    os.close(read)
    code = f"from {module} import {name}; {name}('hello'); {name}('again')"
    try:
        ended = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=write,
            stderr=write,
            timeout=GIVES_UP_S,
            check=False,
        )
    finally:
        os.close(write)
    assert ended.returncode == 0
