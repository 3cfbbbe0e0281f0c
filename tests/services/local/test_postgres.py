import asyncio
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.local.accounts import may_run, system_account
from services.local.errors import PostgresRefused, StackAlreadyRunning
from services.local.postgres import EmbeddedPostgres
from services.local.postgres_files import program
from services.local.supervisor import Supervisor
from tests.patience import GIVES_UP_S
from tests.services.local.fakes import ROOT, lives, traces_of, until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes users")


async def ask(postgres: EmbeddedPostgres, *statements: str, database: str = "batchmill") -> object:
    connection = await asyncpg.connect(host=postgres.host, user="postgres", database=database)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def until_it_answers(postgres: EmbeddedPostgres) -> None:
    async with asyncio.timeout(20):
        while not await postgres.answers():
            await asyncio.sleep(0.05)


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """In a folder whose path is too long for a socket and whose parent nobody else may enter."""
    parent = tmp_path / ("private" * 20)
    parent.mkdir(mode=0o700)
    made = EmbeddedPostgres(parent / "pg", durable=False)
    await made.start()
    yield made
    await made.stop()


async def test_data_is_there_after_stop_and_start(postgres: EmbeddedPostgres) -> None:
    assert len(bytes(postgres.folder)) > 107
    await ask(postgres, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
    sockets = postgres.host
    await postgres.stop()
    assert not os.access(sockets, os.F_OK)
    assert traces_of(postgres.folder) == []
    await postgres.start()
    assert await ask(postgres, "SELECT n FROM kept") == 7


async def test_folders_stay_private_and_ours(postgres: EmbeddedPostgres) -> None:
    for path in (postgres.folder.parent, postgres.folder, postgres.folder / "data", Path(postgres.host)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
        assert path.stat().st_uid == os.geteuid()


async def test_the_settings_and_the_url_are_as_promised(postgres: EmbeddedPostgres) -> None:
    engine = create_async_engine(postgres.url())
    async with engine.connect() as connection:
        for name, value in {
            "listen_addresses": "",
            "max_connections": "200",
            "random_page_cost": "1.1",
            "max_wal_size": "1GB",
            "idle_in_transaction_session_timeout": "1min",
            "server_encoding": "UTF8",
        }.items():
            assert (await connection.execute(text(f"SHOW {name}"))).scalar_one() == value
        assert (await connection.execute(text("SELECT upper('ä') || uuidv7()"))).scalar_one().startswith("Ä")
    await engine.dispose()


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounts a /dev/shm for a process of its own"
)
async def test_it_runs_where_dev_shm_has_no_room(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=64k shm /dev/shm && exec "$@"'
    # A container may refuse mounts of its own: then there is nothing to see.
    command = ["unshare", "--mount", "sh", "-c", script, "sh"]
    mounted = await asyncio.to_thread(subprocess.run, [*command, "true"], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("this system refuses mounts")
    ended = await asyncio.to_thread(
        subprocess.run,
        [*command, sys.executable, "-c", JOIN, str(tmp_path / "pg")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=GIVES_UP_S,
        check=False,
    )
    assert ended.stdout == "100000\n", ended.stderr


JOIN = """
import asyncio, sys, asyncpg
from pathlib import Path
from services.local.postgres import EmbeddedPostgres

async def main():
    postgres = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
    await postgres.start()
    connection = await asyncpg.connect(host=postgres.host, user="postgres", database="batchmill")
    rows = "SELECT g AS a, md5(g::text) AS b FROM generate_series(1, 100000) g"
    await connection.execute("CREATE TABLE big AS " + rows)
    for name, value in {"debug_parallel_query": "on", "parallel_setup_cost": 0, "parallel_tuple_cost": 0,
                        "min_parallel_table_scan_size": 0, "enable_mergejoin": "off"}.items():
        await connection.execute(f"SET {name} = {value}")
    await connection.execute("ANALYZE big")
    print(await connection.fetchval("SELECT count(*) FROM big x JOIN big y USING (a) WHERE x.b <> 'a'"))
    await connection.close()
    await postgres.stop()

asyncio.run(main())
"""


async def test_databases_are_made_copied_and_dropped(postgres: EmbeddedPostgres) -> None:
    await postgres.create_database("model")
    await ask(postgres, "CREATE TABLE t ()", "SELECT 1", database="model")
    await postgres.create_database("copy", template="model")
    assert await ask(postgres, "SELECT count(*) FROM t", database="copy") == 0
    await postgres.drop_database("copy")
    await postgres.drop_database("copy")
    assert await ask(postgres, "SELECT count(*) FROM pg_database WHERE datname = 'copy'") == 0


async def test_two_on_one_folder_are_refused(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(StackAlreadyRunning):
        await EmbeddedPostgres(postgres.folder).start()
    assert await ask(postgres, "SELECT 1") == 1


async def test_another_major_version_is_refused(postgres: EmbeddedPostgres) -> None:
    await postgres.stop()
    (postgres.folder / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(PostgresRefused, match="written by PostgreSQL 12"):
        await postgres.start()
    (postgres.folder / "data" / "PG_VERSION").unlink()
    with pytest.raises(PostgresRefused, match="neither empty nor"):
        await postgres.start()


async def test_a_pid_file_that_names_a_stranger_does_not_block(postgres: EmbeddedPostgres) -> None:
    await postgres.stop()
    stranger = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
    try:
        data = postgres.folder / "data"
        lines = [str(stranger.pid), str(data), "1700000000", "5432", "/gone", "", "  1 1", "ready"]
        (data / "postmaster.pid").write_text("\n".join(lines) + "\n")
        await postgres.start()
        assert await ask(postgres, "SELECT 1") == 1
        assert lives(stranger.pid)
    finally:
        await stranger.communicate(b"\n")


async def test_a_server_whose_owner_was_killed_makes_way(postgres: EmbeddedPostgres) -> None:
    await ask(postgres, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
    orphan = postgres._process
    assert orphan is not None
    postgres._lock.release()  # what the kernel does for an owner that is killed; the server has not heard yet
    heir = EmbeddedPostgres(postgres.folder, durable=False)
    await heir.start()
    try:
        assert orphan.exit_code() == 0
        assert await ask(heir, "SELECT n FROM kept") == 7
    finally:
        await heir.stop()


async def test_kill_9_under_a_supervisor_brings_it_back_with_the_data(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path)
    await postgres.prepare()
    supervisor = Supervisor()
    try:
        await supervisor.start(postgres.part())
        await ask(postgres, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
        (first,) = supervisor.living()
        backends = psutil.Process(first.pid).children()
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: first.pid not in [process.pid for process in supervisor.living()])
        await until_it_answers(postgres)
        assert await ask(postgres, "SELECT n FROM kept") == 7
        assert not any(lives(backend.pid) for backend in backends)
    finally:
        await supervisor.stop()
        postgres.forget()
    assert traces_of(tmp_path) == []


async def test_an_initdb_that_was_killed_half_way_is_done_again(tmp_path: Path) -> None:
    (tmp_path / "data.new" / "base").mkdir(parents=True)
    (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")
    postgres = EmbeddedPostgres(tmp_path, durable=False)
    await postgres.start()
    assert await ask(postgres, "SELECT 1") == 1
    await postgres.stop()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that every user may enter, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@as_root
async def test_a_system_user_runs_it_where_namespaces_are_refused(tmp_path: Path, open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    if not may_run(f"{nobody.pw_uid}:{nobody.pw_gid}", program("postgres")):
        # A virtual environment in a private folder: then the refusal is what is promised.
        with pytest.raises(PostgresRefused, match="may not execute"):
            system_account(open_folder / "pg", "nobody", program("postgres"))
        return
    account = system_account(open_folder / "pg", "nobody", program("postgres"))
    postgres = EmbeddedPostgres(tmp_path, durable=False, account=account)
    await postgres.start()
    assert await ask(postgres, "SELECT 1") == 1
    assert (open_folder / "pg" / "data").stat().st_uid == account.uid
    await postgres.stop()


@as_root
def test_a_user_that_may_not_run_the_server_is_refused_with_advice(tmp_path: Path) -> None:
    server = tmp_path / "postgres"
    server.symlink_to(program("postgres"))
    tmp_path.chmod(0o700)
    with pytest.raises(PostgresRefused, match="BATCHMILL_DATABASE__URL"):
        system_account(tmp_path / "pg", "nobody", server)
    with pytest.raises(PostgresRefused, match="no system user"):
        system_account(tmp_path / "pg", "no-such-user-here", server)
