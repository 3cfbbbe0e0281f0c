"""What tests of the worker and of its readers share."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.worker.engines.answers import Answer
from services.worker.engines.process import Child, Ended
from services.worker.engines.sandbox import Sandbox
from services.worker.runtime import Runtime
from shared.wiring import Resources


@pytest.fixture
async def runtime(resources: Resources, tmp_path: Path) -> AsyncIterator[Runtime]:
    """A worker process's means, without the process."""
    runtime = Runtime(resources, resources, ["parse"], Sandbox(), tmp_path)
    yield runtime
    await runtime.sandbox.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of each document that was not sent ahead of its turn, the process that was asked."""
    pids: list[int] = []
    ask = Child.ask

    async def counted(child: Child, *about: Any, **more: Any) -> Answer | Ended:
        pids.append(child._process.pid)
        return await ask(child, *about, **more)

    monkeypatch.setattr(Child, "ask", counted)
    return pids
