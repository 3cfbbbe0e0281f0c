"""kill -9 of the writer at any moment: no half line, no line twice, no line without its output."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from services.cli.run.planned import Planned
from services.cli.run.results import FILE, ResultLog
from tests.patience import GIVES_UP_S

FILES: Final = 3_000
WRITER: Final = """
import sys
from pathlib import Path
from services.cli.run.output import clear_partial, write_result
from services.cli.run.planned import Planned
from services.cli.run.results import ResultLog, Row
out, count = Path(sys.argv[1]), int(sys.argv[2])
clear_partial(out)
log, planned = ResultLog(out), Planned(out)
paths = [f"{i % 7}/{i}.txt" for i in range(count)]
log.keep_only(paths)
planned.add(dict.fromkeys(paths, "1-1"))
print("ready", flush=True)
group = []
for path in paths:
    if path in log:
        continue
    write_result(out, path + ".md", path.encode() * 100)
    group.append(Row(path, "dfl-1", "pjb-1", "COMPLETED", output=path + ".md"))
    if len(group) == 20:
        log.append(group)
        group = []
log.append(group)
"""


def lives(out: Path, for_s: float | None) -> bool:
    """Whether a writer came to its end within this time; else it was killed."""
    command = [sys.executable, "-c", WRITER, str(out), str(FILES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        if for_s is None:
            return writer.wait(timeout=GIVES_UP_S) == 0
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(for_s)
        os.kill(writer.pid, signal.SIGKILL)
        return writer.wait() == 0


def test_a_writer_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path: Path) -> None:
    moments = random.Random(7)
    finished: dict[str, int] = {}
    for _ in range(8):
        lives(tmp_path, moments.uniform(0.0, 0.2))
        for path in ResultLog(tmp_path).rows():
            written = (tmp_path / f"{path.path}.md").stat().st_mtime_ns
            assert finished.setdefault(path.path, written) == written, "what has its line is not done again"
    assert lives(tmp_path, None)
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\n") for line in lines)
    paths = Counter(json.loads(line)["path"] for line in lines)
    assert (len(paths), set(paths.values())) == (FILES, {1})
    planned = Planned(tmp_path)
    for path in paths:
        assert (tmp_path / f"{path}.md").read_bytes() == path.encode() * 100
        assert planned.mark_of(path) == "1-1"
