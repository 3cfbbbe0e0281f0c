"""A server that speaks the S3 API over real HTTP, in a process of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import obstore
from obstore.store import S3Store

from tests.patience import GIVES_UP_S

KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where it listens, and how a bucket of it is reached."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """The usual variables of the provider."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.endpoint, "AWS_ALLOW_HTTP": "true"}

    def bucket(self, name: str) -> S3Store:
        """A new bucket."""
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")  # noqa: S310 - our own server
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            assert answer.status == 200
        return S3Store(
            name,
            endpoint=self.endpoint,
            access_key_id="tests",
            secret_access_key="tests",
            region="us-east-1",
            client_options={"allow_http": True},
        )


def put(bucket: S3Store, key: str, content: bytes) -> None:
    """Write an object."""
    obstore.put(bucket, key, content)


@contextmanager
def serve_s3() -> Iterator[S3Server]:
    """A server without buckets, for the length of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        command, env={**os.environ, **KEYS}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _wait(process, endpoint)
        yield S3Server(endpoint)
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], endpoint: str) -> None:
    ends = time.monotonic() + GIVES_UP_S
    while time.monotonic() < ends:
        assert process.poll() is None, "the server ended before it served"
        try:
            with urllib.request.urlopen(endpoint):  # noqa: S310
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not serve in time")
