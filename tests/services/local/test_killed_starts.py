"""kill -9 of a first start at its worst moments: the next start works, and makes what is missing."""

import asyncio
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from services.cli.stack import make_stack
from services.local.parts import Site, StackParts, product_parts
from services.local.stack import Stack
from shared.config import Settings
from shared.db import migrations
from tests.patience import GIVES_UP_S
from tests.services.local.fakes import ROOT, traces_of, until

# What stands in the source below is run in the manager before it starts: each ends it at another moment.
MOMENTS = {
    "in initdb": """
threading.Thread(target=when, args=[data / 'postgres' / 'data.new' / 'base'], daemon=True).start()
""",
    "between initdb and the server": """
EmbeddedPostgres.part = die
""",
    "between the server and the migration": """
Supervisor.run_once = die
""",
    # The second index of the schema takes for ever, once: a sequence goes back with no transaction.
    "in the migration": """
run = Supervisor.run_once
async def slow(self, part):
    url = (data / 'database-url').read_text().replace('+asyncpg', '')
    connection = await asyncpg.connect(url)
    await connection.execute(SLOW)
    running = asyncio.ensure_future(run(self, part))
    while not await connection.fetchval(ASLEEP):
        assert not running.done()
        await asyncio.sleep(0.02)
    die()
Supervisor.run_once = slow
""",
    "between the two files of keys": """
write = DataDir.write
DataDir.write = lambda self, name, text: die() if name == 'operator-key' else write(self, name, text)
""",
}

MANAGER = """
import asyncio, os, signal, sys, threading, time
from pathlib import Path
import asyncpg
from services.local.data_dir import DataDir
from services.local.postgres import EmbeddedPostgres
from services.local.supervisor import Supervisor
from tests.services.local.test_killed_starts import stack_without_services

data = Path(sys.argv[1])
ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
SLOW = '''
CREATE SCHEMA trap;
CREATE SEQUENCE trap.passed;
CREATE FUNCTION trap.wait() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN IF nextval('trap.passed') = 2 THEN PERFORM pg_sleep(600); END IF; END $$;
CREATE EVENT TRIGGER wait ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION trap.wait();
'''

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)

def when(path):
    while not path.exists():
        time.sleep(0.001)
    die()

async def main():
    async with stack_without_services(data):
        print('it lives', flush=True)
"""


def stack_without_services(folder: Path) -> Stack:
    """The real servers, migrations and first keys; no API and no worker."""

    def parts(site: Site) -> StackParts:
        return StackParts(product_parts(site).migrate, ())

    stack = make_stack(Settings(data_dir=folder), host="127.0.0.1", port=0, concurrency=1, log=lambda _: None)
    stack._make_parts = parts
    return stack


def start_and_die(folder: Path, moment: str) -> None:
    code = MANAGER + MOMENTS[moment] + "\nasyncio.run(main())\n"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=GIVES_UP_S,
        check=False,
    )
    assert ended.returncode == -9, ended.stderr
    assert "it lives" not in ended.stdout


@pytest.mark.parametrize("moment", MOMENTS)
async def test_the_next_start_works(tmp_path: Path, moment: str) -> None:
    folder = tmp_path / "data"
    await asyncio.to_thread(start_and_die, folder, moment)
    if sys.platform == "linux":
        await until(lambda: not traces_of(folder), seconds=30)
    async with stack_without_services(folder) as stack:
        connection = await asyncpg.connect(stack.database_url.replace("+asyncpg", ""))
        try:
            assert await connection.fetchval("SELECT version_num FROM alembic_version") == migrations.head()
            keys = await connection.fetch(
                "SELECT project_id IS NULL AS operates FROM api_keys"
                " WHERE hash IN (sha256($1::bytea), sha256($2::bytea))",
                stack.project_key.encode(),
                stack.operator_key.encode(),
            )
            assert sorted(key["operates"] for key in keys) == [False, True], "both files hold keys that work"
            assert await connection.fetchval("SELECT count(*) FROM projects") == 1
        finally:
            await connection.close()
    assert not (folder / "postgres" / "data.new").exists()
    assert [path.name for path in folder.glob(".*-*")] == [], "no file half written"
    assert traces_of(folder) == []
