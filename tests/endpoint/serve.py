"""A process that serves a model file as an OpenAI-compatible endpoint on loopback, until it is killed.

Run as a program: `serve.py MODEL PORT CONTEXT PARALLEL [KEY]`. It prints `ready` when it answers.
"""

import os
import sys
import time

import xllamacpp


def main() -> None:
    model, port, context, parallel, *keys = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.n_ctx = int(context)
    params.n_parallel = int(parallel)
    params.api_keys = keys
    # One thread: two beside any busy neighbour spin on each other instead of working.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.ui = False
    params.offline = True
    params.fit_params = False
    params.cache_ram_mib = 0
    params.verbosity = 0
    server = xllamacpp.Server(params)
    sys.stdout.write(f"ready {server.listening_address}\n")
    sys.stdout.flush()
    # Nobody is left to kill it when the tests themselves were killed.
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1)


if __name__ == "__main__":
    main()
