"""Someone who runs the command in a folder of their own."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.patience import GIVES_UP_S

ENV = {
    name: value for name, value in os.environ.items() if not name.startswith(("BATCHMILL_", "LLAMA_CLOUD_"))
}


@dataclass
class Person:
    """Runs the command in a folder of their own, over the papers in it."""

    folder: Path
    data_dir: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def papers(self) -> Path:
        return self.folder / "papers"

    @property
    def out(self) -> Path:
        return self.folder / "out" / "papers"

    def write(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            (self.papers / name).parent.mkdir(parents=True, exist_ok=True)
            (self.papers / name).write_bytes(content)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "services.cli", "run", *arguments, "--data-dir", str(self.data_dir)]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=ENV,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        process = self.start(*arguments)
        said, complained = process.communicate(timeout=GIVES_UP_S)
        assert process.returncode == code, complained
        assert "Traceback" not in complained
        return said, complained

    def lines(self) -> list[dict[str, Any]]:
        path = self.out / "results.jsonl"
        if not path.exists():
            return []
        text = path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def assert_complete(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """One line for each file, and a whole output for each that completed; nothing half written."""
        lines = self.lines()
        assert Counter(line["path"] for line in lines) == Counter(names)
        for line in lines:
            assert (line["status"] == "COMPLETED") == (line["output"] is not None)
            assert line["output"] is None or (self.out / line["output"]).is_file()
        assert not (self.out / ".partial").exists()
        return {line["path"]: line for line in lines}


def texts(count: int) -> dict[str, bytes]:
    """Texts that nobody wrote before: the stack would know them again, and have nothing to do."""
    salt = uuid4().hex.encode()
    return {f"sub/{i:03}.txt": b"the text of number %d, %s\n" % (i, salt) for i in range(count)}


def wait_for(what: Callable[[], bool], within_s: float = GIVES_UP_S) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)
