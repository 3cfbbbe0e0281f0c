"""What tests of the worker and of its readers share."""

from typing import Any

import pytest

from services.worker.engines.answers import Answer
from services.worker.engines.process import Child, Ended


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
