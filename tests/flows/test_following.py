"""Following a batch on a real stack whose API and database die meanwhile."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.bench.listeners import Listening, differences
from tests.flows.person import ENV
from tests.flows.test_limits import Operator, texts


def test_listeners_miss_nothing_when_the_api_and_the_database_die(start_stack: Any, tmp_path: Path) -> None:
    stack = start_stack()
    operator = Operator(stack)
    said, aside = tmp_path / "said", tmp_path / "aside"
    with (
        operator.http,
        operator.limited(jobs_per_minute=300),
        said.open("w") as out,
        aside.open("w") as err,
    ):
        batch_id = stack.open_batch(texts(100))
        watch = subprocess.Popen(
            [
                *(sys.executable, "-m", "services.cli", "batches", "watch", batch_id),
                *("--data-dir", str(stack.data_dir)),
            ],
            env=ENV,
            stdout=out,
            stderr=err,
        )
        listeners = [Listening(stack.base_url, stack.key("project"), batch_id) for _ in range(5)]
        threads = [threading.Thread(target=one.run, daemon=True) for one in listeners]
        for thread in threads:
            thread.start()
        stack.wait_for(lambda: said.stat().st_size > 0)
        stack.kill("api")
        done = stack.done_of(batch_id)
        stack.wait_for(lambda: stack.done_of(batch_id) > done + 10)
        stack.kill("postgres")
        time.sleep(1)
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive(), "a listener did not hear the end"
        watch.wait(60)
    assert stack.wait_final(batch_id) == "COMPLETED"
    assert watch.returncode == 0, aside.read_text()
    assert said.read_text().splitlines()[-1] == "COMPLETED: 100 of 100 files"
    assert "again in" in aside.read_text()
    for one in listeners:
        assert differences(stack, batch_id, one) == (0, 0, 0)
        assert one.connections > 1
