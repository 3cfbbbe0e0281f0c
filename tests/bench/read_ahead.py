"""What it saves to give a reader documents before their turn.

    python -m tests.bench.read_ahead --files 300 --runs 5

One sandbox with the real engines reads distinct generated PDFs one after the other, as a chunk does: in one
run each is said when it is its turn, in the next what follows is said too, and so on. Told is the processor
time of a document, in this process (the worker's side of the hand-over) and in the reader, and the time on
the clock; the median of the runs. The reader is warm.
"""

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from services.worker.engines.port import Done, ParseRequest
from services.worker.engines.sandbox import Sandbox
from tests.bench.work_processes import document


def _seconds_of(pid: int) -> float:
    """Processor time of another process, to the nanosecond where the kernel tells it."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _own_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def one_run(
    sandbox: Sandbox, requests: list[ParseRequest], *, ahead: bool
) -> tuple[float, float, float]:
    """Milliseconds a document: of this process, of the reader, on the clock."""
    await sandbox.run(requests[0], project_id="p")
    child = sandbox._child
    assert child is not None
    pid = child._process.pid
    began = (_own_seconds(), _seconds_of(pid), time.perf_counter())
    for number, request in enumerate(requests):
        behind = islice(requests, number + 1, None) if ahead else ()
        outcome = await sandbox.run(request, project_id="p", ahead=behind)
        if not isinstance(outcome, Done) or outcome.code is not None:
            raise SystemExit(f"not read: {outcome}")
    if sandbox._child is not child:
        raise SystemExit("the reader was replaced")
    ended = (_own_seconds(), _seconds_of(pid), time.perf_counter())
    own, reader, clock = (
        (end - begin) * 1000 / len(requests) for begin, end in zip(began, ended, strict=True)
    )
    return own, reader, clock


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--pages", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    found: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory(prefix="batchmill-bench-") as place:
        requests = []
        for seed in range(options.files):
            path = Path(place, f"{seed}.pdf")
            path.write_bytes(document(seed, options.pages))
            requests.append(ParseRequest(path, path.name, {"tier": "fast"}))
        sandbox = Sandbox(folder=Path(place))
        await one_run(sandbox, requests[:50], ahead=False)
        for _ in range(options.runs):
            for ahead in (False, True):
                found[ahead].append(await one_run(sandbox, requests, ahead=ahead))
        await sandbox.close()
    print("ms a document: worker's side, reader, both, clock")
    for ahead, runs in found.items():
        own, reader, clock = (statistics.median(column) for column in zip(*runs, strict=True))
        name = "ahead" if ahead else "alone"
        print(f"  {name}: {own:.3f}  {reader:.3f}  {own + reader:.3f}  {clock:.3f}")


if __name__ == "__main__":
    asyncio.run(main())
