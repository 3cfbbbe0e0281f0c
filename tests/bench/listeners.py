"""Many listeners of batches on a real stack: what they miss when they are cut off, and what they cost.

python -m tests.bench.listeners --listeners 20 --reconnects 50 --idle 2000 --seconds 30

Prints gaps, repeats and resets of listeners that are cut off again and again during one batch, compared with
the rows of its events; then the CPU and memory of the API under listeners that hear nothing.
"""

import argparse
import asyncio
import math
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
import psutil

from services.cli.watch.stream import Event, parsed
from tests.flows.test_limits import Operator
from tests.live_stack import LiveStack, start_live_stack

SILENCE_S: Final = 20.0
ENV: Final = {"BATCHMILL_API__LISTENERS_PER_KEY": "5000"}


class Listening:
    """One listener, which comes again with the last id it has until the batch is final. It is cut off by
    itself at the first event after each of the `pauses`."""

    def __init__(self, url: str, key: str, batch_id: str, pauses: Sequence[float] = ()) -> None:
        self._url = f"{url}/api/v2/batches/{batch_id}/events"
        self._http = httpx.Client(
            headers={"authorization": f"Bearer {key}"},
            verify=url.startswith("https"),
            timeout=httpx.Timeout(30, read=SILENCE_S),
        )
        self._pauses = list(pauses)
        self.known: int | None = None
        self.heard: list[Event] = []
        self.began: int | None = None
        self.connections = 0
        self.resets = 0

    def run(self) -> None:
        """Until the last event."""
        with self._http:
            while not self._listen():
                time.sleep(0.05)

    def _listen(self) -> bool:
        """One connection; answers whether the batch is over."""
        known = {} if self.known is None else {"last-event-id": str(self.known)}
        try:
            with self._http.stream("GET", self._url, headers=known) as found:
                if found.status_code != httpx.codes.OK:
                    return found.status_code == httpx.codes.NO_CONTENT
                self.connections += 1
                ends = time.monotonic() + (self._pauses.pop() if self._pauses else math.inf)
                for event in parsed(found.iter_bytes()):
                    if event is not None and self._hear(event):
                        return True
                    if time.monotonic() > ends:
                        return False
        except httpx.HTTPError:
            return False
        return False

    def _hear(self, event: Event) -> bool:
        self.known = event.n
        if event.kind == "state":
            self.began = event.n
        elif event.kind == "reset":
            self.resets += 1
        else:
            self.heard.append(event)
        return event.is_final


def differences(stack: LiveStack, batch_id: str, one: Listening) -> tuple[int, int, int]:
    """Events of the batch that a listener did not hear, those it heard more than once, and resets."""
    rows = stack.sql(
        "SELECT n, kind FROM batch_events WHERE batch_id = $1::uuid", batch_id.removeprefix("bat-")
    )
    told = {(row["n"], row["kind"]) for row in rows if row["n"] > (one.began or 0)}
    heard = [(event.n, event.kind) for event in one.heard]
    return len(told - set(heard)), len(heard) - len(set(heard)), one.resets


def cut_off(stack: LiveStack, listeners: int, reconnects: int, count: int) -> str:
    """A batch whose listeners are cut off again and again."""
    drawn = random.Random(listeners)
    files = [(f"{n}.txt", f"listeners {n} {time.time()}\n".encode() * 50) for n in range(count)]
    batch_id = stack.open_batch(files)
    key = stack.key("project")
    ears = [
        Listening(stack.base_url, key, batch_id, [drawn.uniform(0.0, 0.3) for _ in range(reconnects)])
        for _ in range(listeners)
    ]
    threads = [threading.Thread(target=one.run, daemon=True) for one in ears]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    found = [differences(stack, batch_id, one) for one in ears]
    gaps, repeats, resets = (sum(column) for column in zip(*found, strict=True))
    rows = stack.sql(
        "SELECT count(*) AS n, count(*) FILTER (WHERE kind = 'batch.progress') AS progress,"
        " sum(octet_length(data::text)) AS size FROM batch_events WHERE batch_id = $1::uuid",
        batch_id.removeprefix("bat-"),
    )[0]
    connections = sum(one.connections for one in ears)
    return (
        f"{count} files in {time.monotonic() - began:.1f} s, {listeners} listeners,"
        f" {connections} connections: gaps {gaps}, repeats {repeats}, resets {resets}; {rows['n']} events"
        f" ({rows['progress']} of progress, {rows['size']} bytes of data)"
    )


async def idle(stack: LiveStack, listeners: int, seconds: float, batches: Sequence[str]) -> str:
    """What so many listeners cost that hear nothing, beside the same server without them."""
    api = psutil.Process(stack.pids("api")[0])
    alone = await _cost(api, seconds / 3)
    before = api.memory_info().rss
    headers = {"authorization": f"Bearer {stack.key('project')}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=stack.base_url, headers=headers, timeout=60, limits=limits) as http:
        streams: list[httpx.Response] = []
        began = time.monotonic()
        for start in range(0, listeners, 100):
            group = range(start, min(start + 100, listeners))
            streams += await asyncio.gather(*(_open(http, batches[n % len(batches)]) for n in group))
        opened_s = time.monotonic() - began
        await asyncio.sleep(3)
        cost = await _cost(api, seconds)
        grown = api.memory_info().rss - before
        answered = time.monotonic()
        (await http.get(f"/api/v2/batches/{batches[0]}")).raise_for_status()
        answered = time.monotonic() - answered
        asked = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name LIKE 'batchmill-api%'"
        connections = (await asyncio.to_thread(stack.sql, asked))[0]["n"]
        await asyncio.gather(*(one.aclose() for one in streams))
    return (
        f"{listeners} idle listeners of {len(batches)} batches, opened in {opened_s:.1f} s: CPU {cost:.1%}"
        f" of a core (without them {alone:.1%}), {grown / 1024 / listeners:.1f} KiB each,"
        f" {grown / 2**20:.0f} MiB in all, {connections} connections of the API to the database;"
        f" a GET beside them took {answered * 1000:.0f} ms"
    )


async def _open(http: httpx.AsyncClient, batch_id: str) -> httpx.Response:
    found = await http.send(http.build_request("GET", f"/api/v2/batches/{batch_id}/events"), stream=True)
    assert found.status_code == httpx.codes.OK, await found.aread()
    return found


async def _cost(api: psutil.Process, seconds: float) -> float:
    """The share of a core that the process takes."""
    times = api.cpu_times()
    began = time.monotonic()
    await asyncio.sleep(seconds)
    now = api.cpu_times()
    return float(now.user + now.system - times.user - times.system) / (time.monotonic() - began)


def main() -> None:
    """As the arguments say."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--listeners", type=int, default=20)
    asked.add_argument("--reconnects", type=int, default=50)
    asked.add_argument("--files", type=int, default=600)
    asked.add_argument("--rate", type=int, default=400, help="files a minute, while listeners are cut off")
    asked.add_argument("--idle", type=int, default=2_000)
    asked.add_argument("--batches", type=int, default=20)
    asked.add_argument("--seconds", type=float, default=30.0)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = start_live_stack(Path(folder) / "data", env=ENV)
        try:
            operator = Operator(stack)
            with operator.http, operator.limited(jobs_per_minute=given.rate):
                print(cut_off(stack, given.listeners, given.reconnects, given.files), flush=True)
            if not given.idle:
                return
            operator = Operator(stack)
            with operator.http, operator.limited(hold={"reason": "nothing is to move", "until": None}):
                quiet = [
                    stack.open_batch([(f"{n}.txt", f"still {n} {time.time()}".encode())])
                    for n in range(given.batches)
                ]
                print(asyncio.run(idle(stack, given.idle, given.seconds, quiet)), flush=True)
        finally:
            stack.close()


if __name__ == "__main__":
    main()
