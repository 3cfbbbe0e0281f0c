import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from services.local import keeper
from services.local.errors import StackError, StackFailed
from services.local.processes import ROTATE_BYTES, Part, Process
from services.local.supervisor import Supervisor
from tests.services.local.fakes import WORKER, lives, python, until


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    made = Supervisor()
    yield made
    made.hurry()
    await made.stop()


def pid_of(supervisor: Supervisor, name: str) -> int:
    return next(process.pid for process in supervisor.living() if process.part.name == name)


async def until_pid_changes(supervisor: Supervisor, name: str, former: int) -> int:
    await until(lambda: any(p.part.name == name and p.pid != former for p in supervisor.living()))
    return pid_of(supervisor, name)


async def test_a_dead_part_is_started_again_with_growing_delay(tmp_path: Path) -> None:
    said: list[str] = []
    starts: list[float] = []
    failures: list[StackError] = []
    supervisor = Supervisor(
        say=said.append, changed=lambda _: starts.append(time.monotonic()), failed=failures.append
    )
    part = python("dying", "import sys; print('cannot go on'); sys.exit(3)", logs=tmp_path)

    with pytest.raises(StackFailed, match="died 5 times") as raised:
        await supervisor.start(replace(part, ready=never))
    await supervisor.stop()

    assert raised.value.exit_code == 3
    assert raised.value.last_lines == ("cannot go on",)
    assert failures == [raised.value]
    assert [line.rsplit(" in ", 1)[1] for line in said] == ["0.2 s", "0.4 s", "0.8 s", "1.6 s"]
    gaps = [after - before for before, after in pairwise(starts)]
    assert all(gap >= least for gap, least in zip(gaps, (0.2, 0.4, 0.8, 1.6), strict=True))


async def never() -> bool:
    return False


async def test_a_part_that_never_comes_up_ends_the_stack(supervisor: Supervisor, tmp_path: Path) -> None:
    part = python("slow", "import time; print('waiting', flush=True); time.sleep(99)", logs=tmp_path)
    with pytest.raises(StackFailed, match=r"did not come up within 0\.5 s") as raised:
        await supervisor.start(replace(part, ready=never, ready_timeout_s=0.5))
    assert raised.value.exit_code is None
    assert raised.value.last_lines == ("waiting",)


async def test_a_program_that_is_not_there_says_so(supervisor: Supervisor, tmp_path: Path) -> None:
    part = Part("ghost", ("/nowhere/at/all",), tmp_path / "ghost.log", ready=never)
    with pytest.raises(StackFailed, match="No such file") as raised:
        await supervisor.start(part)
    assert raised.value.exit_code == 127


async def test_a_part_that_is_not_critical_never_ends_the_stack(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FIRST_DELAY_S", 0.001)
    lives_file = tmp_path / "lives"
    code = f"open({str(lives_file)!r}, 'a').write('x')"
    await supervisor.start(replace(python("extra", code, logs=tmp_path), critical=False, ready=never))
    await until(lambda: lives_file.exists() and len(lives_file.read_text()) >= 7, seconds=20)


async def test_kill_9_of_a_part_takes_its_children_and_brings_a_new_one(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    part = python("worker", WORKER, logs=tmp_path)

    async def ready() -> bool:
        return part.log_file.exists() and "working" in part.log_file.read_text()

    await supervisor.start(replace(part, ready=ready))
    first = pid_of(supervisor, "worker")
    child = psutil.Process(first).children()[0].pid
    os.kill(first, signal.SIGKILL)
    assert await until_pid_changes(supervisor, "worker", first)
    assert not lives(first)
    assert not lives(child)


async def test_stop_goes_by_rank_and_waits_for_each(supervisor: Supervisor, tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def end(*_): time.sleep(0.1); open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit()\n"
        "signal.signal(15, end); print('up', flush=True)\nwhile True: time.sleep(1)"
    )

    def part(name: str, rank: int) -> Part:
        made = python(name, code, str(order), name, logs=tmp_path)

        async def ready() -> bool:
            return made.log_file.exists() and "up" in made.log_file.read_text()

        return replace(made, stop_rank=rank, ready=ready)

    await supervisor.start(part("c", 0), part("a", 2), part("b", 1))
    pids = [process.pid for process in supervisor.living()]
    await supervisor.stop()
    assert order.read_text() == "abc"
    assert not any(map(lives, pids))
    assert supervisor.living() == []


async def test_a_stubborn_part_is_killed_after_its_grace_or_at_once_in_a_hurry(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(99)"
    part = python("stubborn", code, logs=tmp_path)

    async def ready() -> bool:
        return part.log_file.exists() and "up" in part.log_file.read_text()

    stubborn = replace(part, ready=ready, stop_steps=((signal.SIGTERM, 30.0),))
    await supervisor.start(stubborn)
    pid = pid_of(supervisor, "stubborn")
    stopping = asyncio.create_task(supervisor.stop())
    await asyncio.sleep(0.2)
    assert lives(pid)
    supervisor.hurry()
    async with asyncio.timeout(5):
        await stopping
    assert not lives(pid)


async def test_a_one_shot_that_fails_tells_its_last_words(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.run_once(python("good", "print('fine')", logs=tmp_path))
    with pytest.raises(StackFailed, match="ended with exit code 4") as raised:
        await supervisor.run_once(python("bad", "print('no table'); raise SystemExit(4)", logs=tmp_path))
    assert raised.value.last_lines == ("no table",)
    slow = replace(python("slow", "import time; time.sleep(99)", logs=tmp_path), ready_timeout_s=0.3)
    with pytest.raises(StackFailed, match="did not end"):
        await supervisor.run_once(slow)
    assert supervisor.living() == []


async def test_a_big_log_is_moved_aside_and_old_lines_are_not_last_words(tmp_path: Path) -> None:
    part = python("talker", "print('new words')", logs=tmp_path)
    part.log_file.write_bytes(b"old words\n" * (ROTATE_BYTES // 10 + 1))
    process = Process(part)
    assert await process.exited() == 0
    assert part.log_file.read_text() == "new words\n"
    assert part.log_file.with_name("talker.log.1").stat().st_size > ROTATE_BYTES
    again = Process(replace(part, argv=(part.argv[0], "-c", "pass")))
    await again.exited()
    assert again.last_lines() == []


async def test_ctrl_c_of_the_terminal_does_not_reach_a_part(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(python("part", "import time; time.sleep(99)", logs=tmp_path))
    pid = pid_of(supervisor, "part")
    assert os.getsid(pid) == os.getpgid(pid) == pid
