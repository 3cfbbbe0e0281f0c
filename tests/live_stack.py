"""A whole stack, started the way a user starts it, with its real processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from llama_cloud import LlamaCloud

from tests.patience import GIVES_UP_S

FINAL = {"COMPLETED", "FAILED", "CANCELLED"}


@dataclass
class LiveStack:
    """`batchmill up` in a data folder of its own."""

    data_dir: Path
    process: subprocess.Popen[bytes]
    base_url: str
    has_own_disk: bool = False
    _client: LlamaCloud | None = None

    @property
    def client(self) -> LlamaCloud:
        """The official client with the project's key; one for all, until somebody closes it."""
        if self._client is None or self._client.is_closed():
            self._client = LlamaCloud(base_url=self.base_url, api_key=self.key("project"))
        return self._client

    def close(self) -> None:
        """Ask the stack to end, and wait until it has."""
        if self._client is not None:
            self._client.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=GIVES_UP_S)

    def key(self, role: str) -> str:
        return (self.data_dir / f"{role}-key").read_text().strip()

    @property
    def storage_dir(self) -> Path:
        """Where its blobs lie, as this process reaches it."""
        inside = self.data_dir / "storage"
        return Path(f"/proc/{self.process.pid}/root{inside}") if self.has_own_disk else inside

    @property
    def broker_url(self) -> str:
        return (self.data_dir / "broker-url").read_text().strip()

    def pids(self, part: str) -> list[int]:
        """The part's process and everything below it, as it is now."""
        record = json.loads((self.data_dir / "stack.json").read_text())
        found = [entry["pid"] for entry in record["parts"] if entry["name"] == part]
        children = [child.pid for pid in found for child in psutil.Process(pid).children(recursive=True)]
        return [*found, *children]

    def kill(self, part: str, *, children_only: bool = False) -> None:
        """kill -9 of a part: of its first process, or of what works below it."""
        pids = self.pids(part)
        for pid in pids[1:2] if children_only else pids[:1]:
            os.kill(pid, signal.SIGKILL)

    @contextmanager
    def suspended(self, part: str) -> Iterator[None]:
        """Every process of the part stands still for the length of the block."""
        pids = self.pids(part)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def sql(self, statement: str, *values: Any) -> Sequence[Any]:
        """Rows of the stack's database."""
        url = (self.data_dir / "database-url").read_text().strip().replace("+asyncpg", "")

        async def ask() -> Sequence[Any]:
            connection = await asyncpg.connect(url)
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(ask())

    def wait_for(self, what: Callable[[], bool], *, within_s: float = GIVES_UP_S) -> float:
        """Seconds until `what` holds; fails after `within_s`."""
        started = time.monotonic()
        while not what():
            if time.monotonic() - started > within_s:
                raise AssertionError(f"not within {within_s} s")
            time.sleep(0.1)
        return time.monotonic() - started

    def wait_final(self, batch_id: str, *, within_s: float = GIVES_UP_S) -> str:
        """The batch's end state."""
        self.wait_for(lambda: self.client.batches.get(batch_id).status in FINAL, within_s=within_s)
        return str(self.client.batches.get(batch_id).status)

    def anew(self, preset: str) -> str:
        """A configuration like the preset by which every file is parsed, whatever was parsed before: the
        stories share their files, and what is reused meets no worker."""
        tier = preset.removeprefix("cfg-PARSE_").lower()
        parameters: Any = {
            "product_type": "parse_v2",
            "tier": tier,
            "version": "latest",
            "disable_cache": True,
        }
        return self.client.configurations.create(name=f"{tier} anew", parameters=parameters).id

    def open_batch(
        self,
        files: Sequence[tuple[str, bytes]],
        config: str = "cfg-PARSE_FAST",
        *,
        reuse: bool = False,
        **more: Any,
    ) -> str:
        """A directory with these files, and a batch over it; `more` is sent beside what the client knows."""
        client = self.client
        config = config if reuse else self.anew(config)
        directory = client.beta.directories.create(name="story", type="ephemeral")
        for name, content in files:
            client.beta.directories.files.upload(directory.id, upload_file=(name, content))
        return client.batches.create(
            source_directory_id=directory.id,
            config={"job": {"type": "parse_v2", "configuration_id": config}},
            extra_body=more,
        ).id

    def done_of(self, batch_id: str) -> int:
        """Files of the batch with an end."""
        bare = batch_id.removeprefix("bat-")
        return int(
            self.sql("SELECT count(*) FROM jobs WHERE batch_id = $1::uuid AND status <> 'PENDING'", bare)[0][
                0
            ]
        )

    def assert_exact(self, batch_id: str, files: int) -> None:
        """One job a file, one accepted result a job, the sums equal to the rows, nothing left over."""
        bare = batch_id.removeprefix("bat-")
        row = self.sql("SELECT * FROM batches WHERE id = $1::uuid", bare)[0]
        jobs = self.sql("SELECT * FROM jobs WHERE batch_id = $1::uuid ORDER BY seq", bare)
        assert [job["seq"] for job in jobs] == list(range(1, files + 1))
        assert len({job["directory_file_id"] for job in jobs}) == files
        assert row["total"] == files == row["ok"] + row["failed"] + row["cancelled"] + row["unmapped"]
        for job in jobs:
            if job["status"] == "COMPLETED" and job["reused_from"] is None:
                assert job["result_key"].endswith(f"{job['id']}/{job['token']}.json.zst")
        assert self.sql("SELECT count(*) FROM chunks WHERE batch_id = $1::uuid", bare)[0][0] == 0


def start_live_stack(
    data_dir: Path, *, port: int = 0, env: Mapping[str, str] | None = None, disk_mb: int | None = None
) -> LiveStack:
    """A stack over the data folder; it serves when this answers. `env` is set for all its parts. With
    `disk_mb` its storage is a disk of its own of that size, in memory, which only its processes see."""
    said = data_dir.parent / "said.txt"
    inside = [] if disk_mb is None else _on_a_small_disk(data_dir / "storage", disk_mb)
    stack = LiveStack(data_dir, _up(data_dir, port, said, env or {}, inside), "", disk_mb is not None)
    deadline = time.monotonic() + GIVES_UP_S
    while "is up" not in said.read_text():
        assert stack.process.poll() is None, "the stack ended while starting"
        assert time.monotonic() < deadline, "the stack did not come up"
        time.sleep(0.1)
    stack.base_url = json.loads((data_dir / "stack.json").read_text())["base_url"]
    return stack


def _on_a_small_disk(folder: Path, size_mb: int) -> list[str]:
    """What to put before a command for it to find a small disk at `folder`; it needs no rights."""
    folder.mkdir(mode=0o700, parents=True)
    folder.parent.chmod(0o700)
    mount = f'mount -t tmpfs -o size={size_mb}m,mode=0700 tmpfs "$0" && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(folder)]


def _up(
    data_dir: Path, port: int, said: Path, env: Mapping[str, str], inside: Sequence[str]
) -> subprocess.Popen[bytes]:
    outside = {k: v for k, v in os.environ.items() if not k.startswith("BATCHMILL_")}
    command = [sys.executable, "-m", "services.cli", "up", "--port", str(port), "--data-dir", str(data_dir)]
    with said.open("wb") as out:
        return subprocess.Popen(
            [*inside, *command], env={**outside, **env}, stdout=out, start_new_session=True
        )
