"""What a document may not do; and the next one is served all the same. The engine is `misbehaving.py`."""

import ast
import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from services.worker.engines import landlock, process
from services.worker.engines.limits import SandboxLimits
from services.worker.engines.port import Again, Done, Infra, Outcome, ParseRequest, Sandboxed
from services.worker.engines.process import Child
from services.worker.engines.sandbox import ENGINES, Sandbox
from shared.jobs.codes import FailureCode
from tests.services.worker.engines.conftest import MISBEHAVING, Reader, is_gone, pdf, pid_in

SCOPES_TCP = 4

Bad = Callable[..., Reader]
Wait = Callable[..., Awaitable[None]]


def ended_as(outcome: Outcome, code: FailureCode, words: str) -> bool:
    assert isinstance(outcome, Done), outcome
    assert outcome.code is code, outcome
    assert outcome.message is not None
    assert words in outcome.message
    return outcome.result is None


def names_in(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def test_the_sandbox_is_what_the_worker_asks_for() -> None:
    sandboxed: Sandboxed = Sandbox()
    assert sandboxed is not None


def test_the_limits_are_those_of_the_design() -> None:
    limits = SandboxLimits()
    assert (limits.wall_s, limits.cpu_s, limits.memory_bytes) == (300, 300, 2 * 2**30)
    assert (limits.pages, limits.written_bytes) == (5000, 512 * 2**20)
    assert (limits.documents_per_child, limits.seconds_per_child) == (200, 30)


@pytest.mark.parametrize(
    ("deed", "limits", "code", "words"),
    [
        ("hang", {"wall_s": 0.4}, FailureCode.TIMEOUT, "within 0.4 s"),
        ("spin", {"cpu_s": 1}, FailureCode.TIMEOUT, "1 s of processor time"),
        ("swell", {"memory_bytes": 150 * 2**20}, FailureCode.OUT_OF_MEMORY, "150 MB"),
        ("leap", {"memory_bytes": 2**30}, FailureCode.OUT_OF_MEMORY, "1024 MB"),
        ("abort_for_memory", {}, FailureCode.OUT_OF_MEMORY, "memory"),
        ("leave", {}, FailureCode.ENGINE_ERROR, "exit code 7"),
        ("leave_politely", {}, FailureCode.ENGINE_ERROR, "exit code 0"),
        ("crash", {}, FailureCode.ENGINE_ERROR, "signal 11"),
        ("panic", {}, FailureCode.ENGINE_ERROR, "PanicException"),
    ],
)
async def test_one_bad_document_is_one_error(
    bad: Bad, deed: str, limits: dict[str, float], code: FailureCode, words: str
) -> None:
    reader = bad(**limits)
    assert ended_as(await reader.do(deed), code, words)
    assert await reader.say("read") == "words"


async def test_a_refusal_is_passed_on_and_made_safe_to_show(bad: Bad) -> None:
    outcome = await bad().do("refuse")
    assert isinstance(outcome, Done)
    assert (outcome.code, outcome.message) == (FailureCode.PDF_IS_BROKEN, "no good [31m")
    assert outcome.retryable


async def test_what_is_written_is_counted_file_by_file_and_together(bad: Bad) -> None:
    reader = bad(written_bytes=2**20)
    assert await reader.say("write_one", bytes=2**20) == "written"
    assert ended_as(
        await reader.do("write_one", bytes=2**20 + 1), FailureCode.DOCUMENT_TOO_LARGE, "over the limit"
    )
    assert ended_as(await reader.do("write_many", bytes=2**19), FailureCode.DOCUMENT_TOO_LARGE, "wrote more")
    assert await reader.say("read") == "words"


async def test_a_result_over_the_limit_is_a_document_too_large(bad: Bad) -> None:
    reader = bad(written_bytes=2**20)
    outcome = await reader.run(b"x" * 2**20, "a.txt")
    assert ended_as(outcome, FailureCode.DOCUMENT_TOO_LARGE, "1 MB")


async def test_a_document_over_the_limit_is_not_opened(bad: Bad) -> None:
    outcome = await bad(document_bytes=2**20).run(b"x" * (2**20 + 1), "a.txt")
    assert ended_as(outcome, FailureCode.DOCUMENT_TOO_LARGE, "larger than 1 MB")


async def test_too_many_pages(tmp_path: Path) -> None:
    sandbox = Sandbox(limits=SandboxLimits(pages=3), folder=tmp_path)
    reader = Reader(sandbox, tmp_path)
    try:
        assert ended_as(await reader.run(pdf(4), "a.pdf"), FailureCode.TOO_MANY_PAGES, "4 pages")
        assert len((await reader.read(pdf(4), "a.pdf", page_ranges={"target_pages": "2-4"})).pages) == 3
    finally:
        await sandbox.close()


async def test_the_protocol_cannot_be_written_to_by_accident(bad: Bad) -> None:
    assert await bad().say("chatter") == "chattered"


@pytest.mark.parametrize(
    "line",
    [
        *('{"id": "guess", "code": null}', "not json", "[]", "x" * 200_000, '{"infra": "the disk is full"}'),
        *('0 {"id": "guess", "code": null}', "65537 {}", "999999999999 {}", "-1 {}", "4 {}\nmore"),
    ],
)
async def test_an_answer_on_purpose_forged_is_not_believed(bad: Bad, line: str) -> None:
    reader = bad()
    assert ended_as(await reader.do("forge", line=line), FailureCode.ENGINE_ERROR, "protocol")
    assert await reader.say("read") == "words"


async def test_a_child_knows_no_secret_and_holds_nothing_of_ours(
    bad: Bad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHMILL_SECRET_KEY", "KEY_OF_THE_PARENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "KEY_OF_THE_PARENT")
    left, right = socket.socketpair()
    left.set_inheritable(True)
    with left, right:
        reader = bad()
        found = ast.literal_eval(await reader.say("surroundings"))
    assert "KEY_OF_THE_PARENT" not in str(found)
    assert set(found["environ"]) <= {
        *("PATH", "LANG", "LC_CTYPE", "HOME", "TMPDIR", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"),
        *("OMP_THREAD_LIMIT", "MALLOC_ARENA_MAX"),
    }
    assert found["limits"] == [0, 256]
    # 0, 1, 2, two of the protocol, the open folder listing itself.
    assert found["handles"] <= 6
    assert mode_of(found["cwd"]) == mode_of(found["cwd"] + "/..") == 0o700


def mode_of(path: str) -> int:
    return Path(path).stat().st_mode & 0o777


def may_unshare() -> bool:
    code = "import ctypes,sys; sys.exit(ctypes.CDLL(None).unshare(0x50000000) != 0)"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_there_is_no_network_where_the_system_allows_that(bad: Bad) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        said = await bad().say("call_home", port=server.getsockname()[1])
    kept_off = may_unshare() or landlock.version() >= SCOPES_TCP
    assert said == ("no network" if kept_off else "network")


async def test_the_environment_of_the_parent_cannot_be_read(bad: Bad, tmp_path: Path) -> None:
    code = (
        "import sys, time; from services.worker.engines.limits import hide_process\n"
        "if sys.argv[1] == 'hidden': hide_process()\n"
        "print('up', flush=True); time.sleep(60)"
    )
    env = {**os.environ, "BATCHMILL_SECRET_KEY": "KEY_OF_THE_PARENT"}
    said = {}
    for how in ("hidden", "plain"):
        other = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, how), env=env, stdout=asyncio.subprocess.PIPE
        )
        assert other.stdout is not None
        assert await other.stdout.readline() == b"up\n"
        said[how] = await bad().say("spy", path=f"/proc/{other.pid}/environ")
        other.kill()
        await other.wait()
    # A user namespace or Landlock keeps the child out; without both a process hides itself (root sees all).
    kept_out = may_unshare() or landlock.version() > 0
    assert said["plain"] == ("refused" if kept_out else "secret")
    assert said["hidden"] == ("refused" if kept_out or os.geteuid() else "secret")


async def test_each_document_finds_an_empty_folder(bad: Bad) -> None:
    reader = bad()
    assert [await reader.say("litter") for _ in range(3)] == ["[]"] * 3


async def test_a_warm_child_is_kept(bad: Bad) -> None:
    reader = bad()
    assert len({await reader.say("pid") for _ in range(5)}) == 1


async def test_a_child_serves_one_project_and_so_many_documents(bad: Bad) -> None:
    reader = bad(documents_per_child=2, seconds_per_child=0.0)
    pids = [await reader.say("pid", project=project) for project in "aabbbb"]
    assert len(set(pids)) == 3
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4] == pids[5]
    assert all(is_gone(int(pid)) for pid in pids[:4])


async def test_a_child_of_short_documents_is_kept_until_it_has_worked_for_long(bad: Bad) -> None:
    reader = bad(documents_per_child=2, seconds_per_child=0.9)
    first = [await reader.say("pid") for _ in range(4)]
    assert len(set(first)) == 1
    assert await reader.say("nap") == "rested"
    assert await reader.say("pid") != first[0]


async def test_a_child_that_has_grown_is_replaced(bad: Bad) -> None:
    reader = bad(memory_bytes=200 * 2**20)
    first = await reader.say("grow", bytes=110 * 2**20)
    assert await reader.say("pid") != first


async def test_a_document_is_not_blamed_for_the_one_before(bad: Bad) -> None:
    reader = bad()
    assert await reader.say("read") == "words"
    assert await reader.say("crash_when_used") == "unharmed"


async def test_our_own_trouble_is_no_failure_of_the_document(
    bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = await bad().do("fill_disk")
    assert isinstance(outcome, Infra)
    assert "No space left" in outcome.reason
    request = ParseRequest(Path(__file__), "a.py")

    nowhere = Sandbox(folder=tmp_path / "nowhere")
    assert isinstance(await nowhere.run(request, project_id="p"), Infra)

    unknown = Sandbox(folder=tmp_path, engines={**ENGINES, "text": "services.no_such_engine"})
    outcome = await unknown.run(request, project_id="p")
    assert isinstance(outcome, Infra)
    assert "services.no_such_engine" in outcome.reason
    await unknown.close()

    with monkeypatch.context() as patch:
        patch.setattr(process, "_MODULE", "services.no_such_child")
        mute = Sandbox(folder=tmp_path)
        outcome = await mute.run(request, project_id="p")
        assert isinstance(outcome, Infra)
        assert "no_such_child" in outcome.reason
        patch.setattr(sys, "executable", "/no/such/python")
        assert isinstance(await mute.run(request, project_id="p"), Infra)
    assert isinstance(await mute.run(request, project_id="p"), Done)
    await mute.close()
    assert isinstance(await mute.run(request, project_id="p"), Infra)


async def test_a_document_that_is_gone_has_a_clear_end(bad: Bad, tmp_path: Path) -> None:
    outcome = await bad().sandbox.run(ParseRequest(tmp_path / "gone", "a.txt"), project_id="p")
    assert ended_as(outcome, FailureCode.ENGINE_ERROR, "not where it should be")


async def test_a_file_that_only_we_may_read_is_copied_for_the_child(bad: Bad) -> None:
    reader = bad()
    path = reader.put(b"locked words", "a.txt")
    path.chmod(0)
    expected = None if os.access(path, os.R_OK) else FailureCode.ENGINE_ERROR
    outcome = await reader.sandbox.run(ParseRequest(path, "a.txt"), project_id="p")
    assert isinstance(outcome, Done)
    assert outcome.code is expected


async def test_kill_ends_the_document_and_blames_nobody(bad: Bad, tmp_path: Path, wait: Wait) -> None:
    reader = bad()
    run = asyncio.create_task(reader.do("hang", where="pid"))
    pid = await pid_in(tmp_path, "pid")
    await reader.sandbox.kill()
    outcome = await asyncio.wait_for(run, 5)
    assert isinstance(outcome, Again)
    assert is_gone(pid)
    assert await reader.say("read") == "words"


async def test_kill_while_the_child_starts(bad: Bad) -> None:
    reader = bad()
    run = asyncio.create_task(reader.do("hang"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await reader.sandbox.kill()
    assert isinstance(await asyncio.wait_for(run, 10), Again)
    await reader.sandbox.kill()
    assert await reader.say("read") == "words"


async def test_cancelling_kills_the_child_and_the_next_run_works(
    bad: Bad, tmp_path: Path, wait: Wait
) -> None:
    reader = bad()
    for number, delay in enumerate((0.0, 0.03, None)):
        run = asyncio.create_task(reader.do("hang", where=f"pid{number}"))
        pid = await pid_in(tmp_path, f"pid{number}") if delay is None else None
        await asyncio.sleep(delay or 0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        if pid is not None:
            await wait(lambda seen=pid: is_gone(seen))
        assert await reader.say("read") == "words"


async def test_a_killed_child_takes_its_children_with_it(
    bad: Bad, tmp_path: Path, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What seccomp forbids where there is one; the group is what remains elsewhere.
    monkeypatch.setattr(process, "_MODULE", "tests.services.worker.engines.unfiltered")
    run = asyncio.create_task(bad(wall_s=3.0).do("leave_child", where="stray"))
    stray = await pid_in(tmp_path, "stray")
    assert ended_as(await run, FailureCode.TIMEOUT, "3 s")
    await wait(lambda: is_gone(stray))


async def test_results_outlive_their_child_and_end_with_the_sandbox(bad: Bad, tmp_path: Path) -> None:
    reader = bad(documents_per_child=1, seconds_per_child=0.0)
    noise = Random(7).randbytes(150_000).hex().encode()
    done = [await reader.done(noise, "a.txt") for _ in range(3)]
    results = [outcome.result for outcome in done]
    assert len(set(results)) == 3
    assert all(isinstance(result, Path) and result.exists() for result in results)
    await reader.sandbox.close()
    await reader.sandbox.close()
    assert names_in(tmp_path) == ["documents"]


async def test_close_ends_a_document_in_progress(bad: Bad, tmp_path: Path, wait: Wait) -> None:
    reader = bad()
    run = asyncio.create_task(reader.do("hang", where="pid"))
    pid = await pid_in(tmp_path, "pid")
    await reader.sandbox.close()
    assert isinstance(await run, Again)
    assert is_gone(pid)


async def test_a_child_ends_when_its_pipe_does(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    engines = {"text": MISBEHAVING, "paged": MISBEHAVING}
    child = await Child.start(folder, project_id="p", limits=SandboxLimits(), engines=engines)
    child._in.close()
    assert await asyncio.wait_for(child._process.wait(), 5) == 0
    await child.end()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_child_at_work_ends_with_its_parent(tmp_path: Path, wait: Wait, how: signal.Signals) -> None:
    document = tmp_path / "a.txt"
    document.write_text("words")
    code = f"""
import asyncio
from pathlib import Path
from services.worker.engines.port import ParseRequest
from services.worker.engines.sandbox import Sandbox

sandbox = Sandbox(folder=Path({str(tmp_path)!r}), engines={{"text": {MISBEHAVING!r}}})
request = ParseRequest(Path({str(document)!r}), "a.txt", {{"do": "hang", "where": "pid"}})
asyncio.run(sandbox.run(request, project_id="p"))
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    try:
        child = await pid_in(tmp_path, "pid")
        assert not is_gone(child)
    finally:
        parent.send_signal(how)
        await asyncio.wait_for(parent.wait(), 10)
    await wait(lambda: is_gone(child))
    left = [tmp_path / name for name in names_in(tmp_path) if name.startswith("batchmill-sandbox-")]
    assert len(left) == 1
    # Its folder is for the next one to find.
    sandbox = Sandbox(folder=tmp_path)
    assert isinstance(await sandbox.run(ParseRequest(document, "a.txt"), project_id="p"), Done)
    assert left[0].name not in names_in(tmp_path)
    await sandbox.close()


async def test_two_sandboxes_do_not_meet(bad: Bad) -> None:
    one, two = bad(), bad()
    said = await asyncio.gather(*(reader.say("pid") for reader in (one, two, one, two)))
    assert said[0] == said[2] != said[1] == said[3]


async def test_documents_of_one_sandbox_wait_for_each_other(reader: Reader) -> None:
    texts = [f"document {number}" for number in range(20)]
    read = await asyncio.gather(*(reader.read(text.encode(), "a.txt") for text in texts))
    assert [document.pages[0].text for document in read] == texts
