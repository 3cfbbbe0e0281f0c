"""The Celery side of a worker: hears bells and hands them to the process's loop. The only home of the app.

Bells are acknowledged early and carry no work, so none of Celery's redelivery matters here; leases on
rows bring back what a dead process held.
"""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import socket
import sys
import threading
import warnings
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import (
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutting_down,
)

from services.worker.doorstep import wait_for_storage
from services.worker.engines.limits import hide_process
from services.worker.engines.version import engine_version
from services.worker.hearing import Hearing
from services.worker.runtime import LoopThread, Runtime, close_runtime, open_runtime
from services.worker.stop_pipe import StopPipe
from services.worker.tasks import orchestrate
from services.worker.tasks import work as working
from shared.config import Settings
from shared.installation.service import OtherStorage
from shared.queue.celery_queue import celery_settings
from shared.queue.messages import VERSION, Advance, Dispatch, Work
from shared.telemetry import logger, set_up
from shared.wiring import open_resources

log = logger(__name__)

PR_SET_PDEATHSIG = 1
TASKS_PER_CHILD = 20_000
LEAVES_WITHIN_S = 8.0
"""After SIGTERM. What is held is given back within three seconds; who stops a worker kills it after ten."""


class WorkerProcess:
    """What a prefork child holds between bells."""

    def __init__(self, settings: Settings, queues: list[str], *, mark: str) -> None:
        self.settings = settings
        self.mark = mark
        self.queues = queues
        # Celery tells its children nothing of a shutdown (protocol rule 28).
        self.stop = StopPipe()
        self.loop: LoopThread | None = None
        self.runtime: Runtime | None = None

    def open(self) -> None:
        """After the fork: die with the parent, then open the runtime."""
        _die_with_parent()
        self.loop = LoopThread()
        self.runtime = self.loop.call(open_runtime(self.settings, self.queues, self.stop, mark=self.mark))

    def close(self) -> None:
        """Before the process ends."""
        if self.loop is not None and self.runtime is not None:
            self.loop.call(close_runtime(self.runtime), timeout=5)

    def run(self, task: Any, *args: Any, **options: Any) -> None:
        """Run a task's coroutine on the loop, to its end."""
        assert self.loop is not None
        assert self.runtime is not None
        self.loop.call(task(self.runtime, *args, **options))


def build_app(process: WorkerProcess, broker_url: str) -> Celery:
    """An app whose tasks are the bells of `shared.queue.messages`."""
    app = Celery("batchmill")
    app.conf.update(celery_settings(broker_url))
    app.conf.update(
        worker_prefetch_multiplier=1,
        task_acks_late=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_max_tasks_per_child=TASKS_PER_CHILD,
        broker_connection_max_retries=None,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )

    @app.task(name=Advance.task)  # type: ignore[untyped-decorator]
    def advance(version: int, batch_id: str) -> None:
        if _is_known(version):
            process.run(orchestrate.advance, UUID(batch_id))

    @app.task(name=Dispatch.task)  # type: ignore[untyped-decorator]
    def dispatch(version: int, project_id: str, job_type: str) -> None:
        if _is_known(version):
            process.run(orchestrate.dispatch, UUID(project_id), job_type)

    @app.task(name=Work.task)  # type: ignore[untyped-decorator]
    def work(version: int, work_queue: str) -> None:
        if _is_known(version):
            process.run(working.work, work_queue, slice_s=process.settings.worker.slice_s)

    return app


def run(queues: list[str], concurrency: int | None = None) -> None:
    """Serve `queues` until SIGTERM; blocks. Ends in seconds: what runs is given back, not lost.

    Raises `OtherStorage` before anything is taken.
    """
    # Before anything is forked: what reads documents runs as the same user.
    hide_process()
    settings = Settings()
    set_up(json=settings.log_json)
    mark = _hold_to_storage(settings)
    # Kept for every process that is forked: it is the code that is loaded now which they run.
    engine_version()
    process = WorkerProcess(settings, queues, mark=mark)
    app = build_app(process, settings.broker_url())
    slots = concurrency or settings.worker.concurrency
    _connect_signals(process, Hearing(app, queues, slots=slots))
    # Celery warns of root because of pickle, which is not accepted here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker = app.Worker(
        hostname=f"{'-'.join(queues)}-{os.getpid()}@{socket.gethostname()}",
        quiet=True,
        queues=queues,
        concurrency=slots,
        pool_cls="prefork",
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        optimization="fair",
    )
    worker.start()
    sys.exit(worker.exitcode or 0)


def _hold_to_storage(settings: Settings) -> str:
    """The key of the storage's mark, once it is known to be ours. Asked in a process of its own: the library
    behind the storage starts threads, and with those in the parent every process forked from it would wait
    for them for ever."""
    context = multiprocessing.get_context("fork")
    answer, say = context.Pipe(duplex=False)
    asking = context.Process(target=_ask_for_storage, args=(settings, say), name="doorstep")
    asking.start()
    say.close()
    try:
        mark, refusal = answer.recv()
    except EOFError:
        raise RuntimeError("the check of the storage ended without an answer") from None
    finally:
        asking.join()
        answer.close()
    if refusal is not None:
        raise OtherStorage(refusal)
    return str(mark)


def _ask_for_storage(settings: Settings, say: Connection) -> None:
    _die_with_parent()
    try:
        mark = asyncio.run(wait_for_storage(open_resources(settings, name="start", pool_size=1)))
    except OtherStorage as refusal:
        say.send((None, refusal.message))
    else:
        say.send((mark, None))


def _connect_signals(process: WorkerProcess, hearing: Hearing) -> None:
    def opened(**_: Any) -> None:
        process.open()

    def closed(**_: Any) -> None:
        process.close()

    def stopping(**_: Any) -> None:
        process.stop.say()
        leaving = threading.Timer(LEAVES_WITHIN_S, _leave)
        leaving.daemon = True
        leaving.start()

    def ready(sender: Any, **_: Any) -> None:
        hearing.watch(sender)
        log.info("worker ready", queues=process.queues)
        if process.settings.ready_file is not None:
            process.settings.ready_file.touch()

    def own_logging(**_: Any) -> None:
        """Connected, so that Celery leaves the logging as it is."""

    for hook, what in (
        (setup_logging, own_logging),
        (worker_process_init, opened),
        (worker_process_shutdown, closed),
        (worker_shutting_down, stopping),
        (worker_ready, ready),
    ):
        hook.connect(what, weak=False)


def _leave() -> None:
    """The pool waits without an end for a process of its own that does not answer, and sometimes for one that
    did (seen with Celery 5.7 when the stop came just after a bell). Its processes die with this one."""
    log.warning("the pool does not end: leaving it")
    os._exit(0)


def _is_known(version: int) -> bool:
    if version == VERSION:
        return True
    # From another version of the program; the rows it speaks of are swept in any case.
    log.warning("bell of an unknown version dropped", version=version)
    return False


def _die_with_parent() -> None:
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
