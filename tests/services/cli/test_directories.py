"""`batchmill directories` against a running API."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.config import Settings
from tests.patience import GIVES_UP_S


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "root" / "papers"
    made.mkdir(parents=True)
    (made / "a.txt").write_text("words")
    return made


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    settings.storage.roots = [str(folder.parent)]
    return settings


def test_add_sync_and_list(api_url: str, operator_key: str, folder: Path, tmp_path: Path) -> None:
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("BATCHMILL_", "LLAMA_CLOUD_"))}
    env = {**outside, "LLAMA_CLOUD_BASE_URL": api_url, "BATCHMILL_OPERATOR_KEY": operator_key}

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.cli", "directories", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=GIVES_UP_S, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    added = json.loads(run("add", "--path", "root/papers", "--json").stdout)
    assert (added["name"], added["files"], added["source_url"]) == ("papers", 1, folder.as_uri())
    (folder / "b.txt").write_text("more")
    assert json.loads(run("sync", added["id"], "--json").stdout)["new"] == 1
    assert [one["id"] for one in json.loads(run("list", "--json").stdout)] == [added["id"]]
    assert "BATCHMILL_STORAGE__ROOTS" in run("add", "--path", "/etc", code=1).stderr
    run("sync", "dir-none", code=1)
    run("add", code=2)
