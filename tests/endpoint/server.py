"""A real OpenAI-compatible server on loopback: llama.cpp with a small model, in a process of its own."""

import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from services.local.ports import claim_port
from tests.endpoint.weights import model_file
from tests.patience import GIVES_UP_S

SERVE = Path(__file__).with_name("serve.py")


@dataclass
class ModelServer:
    """`context` tokens in all, shared evenly by `parallel` requests; `key` opens it, if there is one."""

    context: int = 2_048
    parallel: int = 1
    key: str | None = None
    port: int = field(default_factory=lambda: claim_port("127.0.0.1", 0))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> Self:
        """Begin to start; it refuses connections, then says that it is loading, then answers."""
        keys = [] if self.key is None else [self.key]
        model, port = str(model_file()), str(self.port)
        self._process = subprocess.Popen(
            [sys.executable, str(SERVE), model, port, str(self.context), str(self.parallel), *keys],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self

    def until_up(self) -> Self:
        """Wait until it answers."""
        assert self._process is not None
        ends_at = time.monotonic() + GIVES_UP_S
        while time.monotonic() < ends_at:
            assert self._process.poll() is None, "the model's server ended before it answered"
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=1).status_code == httpx.codes.OK:
                    return self
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError("the model's server did not come up")

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
