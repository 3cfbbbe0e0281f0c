"""`batchmill batches export` against running servers, some of which die in the middle."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.cli.download import Download
from services.cli.exits import Stop
from shared.config import Settings
from shared.wiring import Resources
from tests.bench.whole_batches import WholeBatch, make
from tests.conftest import NO_BROKER, Tenant
from tests.patience import GIVES_UP_S
from tests.services.api.export.conftest import papers

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]
MANY = 6_000


@pytest.fixture
async def batch(resources: Resources, tenant: Tenant) -> WholeBatch:
    return await make(resources, tenant.project_id, papers())


@pytest.fixture
def export(api_url: str, tenant: Tenant, tmp_path: Path) -> Run:
    """Runs the command in `tmp_path`."""
    env = {
        **{
            name: value for name, value in os.environ.items() if not name.startswith(("BATCHMILL_", "LLAMA_"))
        },
        "LLAMA_CLOUD_BASE_URL": api_url,
        "LLAMA_CLOUD_API_KEY": tenant.key,
        "PYTHONPATH": str(ROOT),
    }

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.cli", "batches", "export", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=GIVES_UP_S, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def http(api_url: str, tenant: Tenant) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {tenant.key}"}
    with httpx.Client(base_url=api_url, headers=headers, timeout=60) as made:
        yield made


def fetched(http: httpx.Client, batch: WholeBatch, form: str) -> httpx.Response:
    found = http.get(f"/api/v2/batches/{batch.shown}/export", params={"format": form})
    assert found.status_code == httpx.codes.OK
    return found


def partials(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.partial"))


def test_it_saves_both_forms(export: Run, batch: WholeBatch, tmp_path: Path) -> None:
    said = export(batch.shown).stdout
    lines = tmp_path / f"{batch.shown}.jsonl"
    names = [json.loads(line)["name"] for line in lines.read_bytes().splitlines()]
    assert names == [one.name for one in papers()]
    assert f"{lines.stat().st_size:,} bytes" in said
    export(batch.shown, "--format", "zip", "--out", "e.zip", "--expand", "text_full")
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        assert archive.testzip() is None
        assert "folder 1/paper 1.pdf.txt" in archive.namelist()
    assert partials(tmp_path) == []


def test_half_a_file_goes_on_where_it_was(
    export: Run, batch: WholeBatch, http: httpx.Client, tmp_path: Path
) -> None:
    whole = fetched(http, batch, "zip")
    tag = whole.headers["etag"].strip('"')
    half = tmp_path / f".e.zip.{tag}.partial"
    half.write_bytes(whole.content[:5000])
    export(batch.shown, "--format", "zip", "--out", "e.zip")
    assert (tmp_path / "e.zip").read_bytes() == whole.content
    half.write_bytes(whole.content)
    (tmp_path / "e.zip").unlink()
    export(batch.shown, "--format", "zip", "--out", "e.zip")
    assert (tmp_path / "e.zip").read_bytes() == whole.content, "all of it had come before"
    assert partials(tmp_path) == []


def test_half_of_something_else_is_thrown_away(
    export: Run, batch: WholeBatch, http: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / f".e.zip.{'0' * 32}.partial").write_bytes(b"x" * 5000)
    export(batch.shown, "--format", "zip", "--out", "e.zip")
    whole = fetched(http, batch, "zip")
    assert (tmp_path / "e.zip").read_bytes() == whole.content
    assert partials(tmp_path) == []


def test_a_joined_file_that_cannot_be_read_is_fetched_anew(
    export: Run, batch: WholeBatch, http: httpx.Client, tmp_path: Path
) -> None:
    whole = fetched(http, batch, "jsonl")
    tag = whole.headers["etag"].strip('"')
    (tmp_path / f".e.jsonl.{tag}.partial").write_bytes(b"x" * 5000)
    export(batch.shown, "--out", "e.jsonl")
    assert (tmp_path / "e.jsonl").read_bytes() == whole.content


def test_refusals_are_one_line(export: Run, batch: WholeBatch, tmp_path: Path) -> None:
    refused = export("bat-00000000-0000-7000-8000-000000000000", code=1)
    assert "404" in refused.stderr
    assert export("../../../etc", "--out", "x", code=1).stderr.count("\n") == 1
    two = ("--format", "zip", "--expand", "text_full,markdown_full")
    assert "400" in export(batch.shown, *two, code=1).stderr
    assert "folder" in export(batch.shown, "--out", "nowhere/e.zip", code=2).stderr
    assert partials(tmp_path) == []


class Mortal:
    """An API process on one port, which is killed and started again by hand."""

    def __init__(self, settings: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        assert settings.storage.url is not None
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BATCHMILL_")},
            "BATCHMILL_DATA_DIR": str(settings.data_dir),
            "BATCHMILL_DATABASE__URL": settings.database_url(),
            "BATCHMILL_BROKER__URL": NO_BROKER,
            "BATCHMILL_STORAGE__URL": settings.storage.url,
        }
        self.process = self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _start(self) -> subprocess.Popen[bytes]:
        command = ("-m", "uvicorn", "services.api.app:create_app", "--factory", "--log-level", "error")
        return subprocess.Popen([sys.executable, *command, "--port", str(self.port)], env=self._env, cwd=ROOT)

    def up(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/ready").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError("the API did not come up")

    def die(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def live_again(self) -> None:
        self.process = self._start()
        self.up()


@pytest.fixture
def mortal(settings: Settings) -> Iterator[Mortal]:
    made = Mortal(settings)
    made.up()
    yield made
    made.process.kill()
    made.process.wait()


@pytest.mark.parametrize("form", ["jsonl", "zip"])
async def test_a_download_survives_the_death_of_the_api(
    mortal: Mortal, resources: Resources, tenant: Tenant, tmp_path: Path, form: str
) -> None:
    batch = await make(resources, tenant.project_id, papers(MANY))
    headers = {"authorization": f"Bearer {tenant.key}"}
    path, params = f"/api/v2/batches/{batch.shown}/export", {"format": form}
    deaths = 0

    def told(there: int, _length: int | None) -> None:
        nonlocal deaths
        if deaths == 0 and there > 300_000:
            deaths += 1
            mortal.die()
            mortal.live_again()

    with httpx.Client(base_url=mortal.url, headers=headers, timeout=60) as client:
        target = tmp_path / f"e.{form}"
        download = Download(client, path, params, target, told, lambda _: True)
        size = await asyncio.to_thread(download.run)
        whole = await asyncio.to_thread(client.get, path, params=params)
    assert deaths == 1
    assert size == target.stat().st_size == len(whole.content)
    assert target.read_bytes() == whole.content
    assert partials(tmp_path) == []


class TestPatience:
    @staticmethod
    def download(tmp_path: Path, answers: list[Any]) -> Download:
        def answer(_request: httpx.Request) -> httpx.Response:
            found = answers.pop(0)
            if isinstance(found, Exception):
                raise found
            assert isinstance(found, httpx.Response)
            return found

        client = httpx.Client(base_url="http://x", transport=httpx.MockTransport(answer))
        return Download(client, "/e", {}, tmp_path / "e", lambda _there, _length: None, lambda _: True)

    def test_it_gives_up_a_server_that_never_answers(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.cli.download.PAUSES_S", (0.0, 0.0))
        answers: list[Any] = [httpx.ConnectError("no") for _ in range(3)]
        with pytest.raises(Stop, match="run the same command again"):
            self.download(tmp_path, answers).run()
        assert answers == []

    def test_it_comes_again_when_the_server_measures(self, tmp_path: Path) -> None:
        busy = httpx.Response(503, headers={"retry-after": "0"}, json={"detail": "later"})
        answers: list[Any] = [busy, busy, httpx.Response(200, stream=httpx.ByteStream(b"whole"))]
        assert self.download(tmp_path, answers).run() == len(b"whole")
        assert (tmp_path / "e").read_bytes() == b"whole"

    def test_a_500_is_a_refusal(self, tmp_path: Path) -> None:
        with pytest.raises(Stop, match="500"):
            self.download(tmp_path, [httpx.Response(500, json={"detail": "sorry"})]).run()
        assert list(tmp_path.iterdir()) == []
