"""One run of one peer, in the peers' own environment:

    python run.py with_celery plain --files 5000 --processes 2

Starts its workers, waits until a first file of each is done, then takes the time from the first of `--files`
files being sent to the last being done. Prints one line of JSON.
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import redis
from counting import DONE

WARM = 50
PATIENCE_S = 180
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("kind")
    parser.add_argument("--files", type=int, required=True)
    parser.add_argument("--processes", type=int, required=True)
    options = parser.parse_args()
    peer = importlib.import_module(options.peer)
    broker = redis.Redis.from_url(os.environ["BENCH_REDIS"], decode_responses=True)
    peer.prepare(options.kind)
    env = {**os.environ, "PYTHONPATH": str(HERE)}
    with Path(os.environ["BENCH_LOG"]).open("ab") as log:
        running = [
            subprocess.Popen([sys.executable, *line], env=env, cwd=HERE, stdout=log, stderr=log)
            for line in peer.workers(options.processes)
        ]
    try:
        broker.delete(DONE)
        peer.enqueue(options.kind, 1, WARM)
        until(broker, WARM)
        time.sleep(0.5)
        started = time.perf_counter()
        peer.enqueue(options.kind, WARM + 1, options.files)
        sent = time.perf_counter()
        done = until(broker, WARM + options.files)
        print(json.dumps({"seconds": done - started, "send_seconds": sent - started}))
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(timeout=30)


def until(broker: redis.Redis, count: int) -> float:
    """The moment at which so many are done."""
    deadline = time.monotonic() + PATIENCE_S
    while int(str(broker.get(DONE) or 0)) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"{broker.get(DONE)!r} of {count} after {PATIENCE_S} s")
        time.sleep(0.005)
    return time.perf_counter()


if __name__ == "__main__":
    main()
