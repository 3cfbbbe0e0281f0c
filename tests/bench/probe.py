"""How much of the machine is free just before a run. A moment, not an average over the run."""

import os
import subprocess
import sys
from typing import Final

# In interpreters of their own: a fork of this process would share its signals.
SPIN: Final = (
    "import time\n"
    "began, used = time.perf_counter(), time.process_time()\n"
    "while time.perf_counter() - began < 0.25: pass\n"
    "print((time.process_time() - used) / (time.perf_counter() - began))"
)


def free_cores() -> float:
    """How many cores as many spinning processes as there are cores got: the number of cores on an idle
    machine."""
    command = [sys.executable, "-S", "-c", SPIN]
    spinning = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(os.cpu_count() or 1)
    ]
    return round(sum(float(process.communicate(timeout=60)[0]) for process in spinning), 2)
