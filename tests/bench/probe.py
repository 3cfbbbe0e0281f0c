"""How much of the machine is free just before a run. A moment, not an average over the run."""

import multiprocessing
import os
import time

PROBE_S = 0.25


def free_cores() -> float:
    """How many cores as many spinning processes as there are cores got: the number of cores on an idle
    machine."""
    cores = os.cpu_count() or 1
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        return round(sum(pool.map(_spin, [PROBE_S] * cores, chunksize=1)), 2)


def _spin(seconds: float) -> float:
    began, used = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        pass
    return (time.process_time() - used) / (time.perf_counter() - began)
