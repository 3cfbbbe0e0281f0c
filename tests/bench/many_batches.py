"""A database with very many batches, put there by SQL: as if they had been opened over the last year."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.projects import service as project_service
from shared.wiring import Resources

PROJECTS: Final = 8
SHARE_OF_LARGEST: Final = 0.6
"""Of all batches: so many are in one project, and its list is the one that is paged through."""
OPEN_AT_ONCE: Final = 200

_BATCHES: Final = """
INSERT INTO batches (id, project_id, source_directory_id, job_type, configuration_id, config, last_pos,
  spread_done, total, fed_seq, ok, failed, cancelled, status, failure_code, failure_message, created_at,
  started_at, updated_at, finished_at, wake_at, vtime)
SELECT uuidv7(at - clock_timestamp()), owner, place, 'parse_v2', 'cfg-PARSE_FAST',
  '{"parameters": {"tier": "fast", "version": "latest"}}', 0, status <> 'PENDING',
  CASE status WHEN 'PENDING' THEN 0 ELSE size END, CASE status WHEN 'PENDING' THEN 0 ELSE size END,
  CASE status WHEN 'COMPLETED' THEN size - size / 50 ELSE 0 END,
  CASE status WHEN 'COMPLETED' THEN size / 50 WHEN 'FAILED' THEN size ELSE 0 END,
  CASE status WHEN 'CANCELLED' THEN size ELSE 0 END, status,
  CASE status WHEN 'FAILED' THEN 'FAILURE_THRESHOLD' END,
  CASE status WHEN 'FAILED' THEN 'Too many files failed.' END,
  at, CASE status WHEN 'PENDING' THEN NULL ELSE at + interval '1 s' END, at + interval '1 min',
  CASE WHEN status IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN at + interval '1 min' END,
  CASE WHEN status IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN NULL
   ELSE CAST('infinity' AS timestamptz) END, n
FROM (SELECT n, 1 + (n * 37) % 900 AS size,
  clock_timestamp() - make_interval(secs => 31536000.0 * (:n - n) / :n) AS at,
  CASE WHEN (n * 7919) % 1000 < 1000 * CAST(:share AS float8) THEN 1 ELSE 2 + n % :others END AS owner_no,
  CASE WHEN n > :n - :open THEN (ARRAY['PENDING', 'THROTTLED', 'RUNNING'])[CAST(1 + n % 3 AS int)]
   WHEN n % 100 = 7 THEN 'FAILED' WHEN n % 50 = 3 THEN 'CANCELLED' ELSE 'COMPLETED' END AS status
  FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n) drawn,
 LATERAL (SELECT (CAST(:owners AS uuid[]))[CAST(owner_no AS int)] AS owner,
  (CAST(:places AS uuid[]))[CAST((owner_no - 1) * 50 + 1 + n % 50 AS int)] AS place) chosen
ORDER BY n
"""


@dataclass(frozen=True, slots=True)
class Tenants:
    """The projects, the largest first, and a key of the largest."""

    projects: list[UUID]
    directories: list[UUID]
    key: str


async def fill(resources: Resources, batches: int) -> Tenants:
    """`PROJECTS` projects of 50 directories each, and so many batches in them; then a VACUUM ANALYZE, as a
    database that lives has had it."""
    tenants = await _tenants(resources)
    step = 100_000
    for first in range(1, batches + 1, step):
        last = min(first + step - 1, batches)
        async with resources.engine.begin() as connection:
            await _insert(connection, tenants, batches, first, last)
    await settle(resources.engine, "batches")
    return tenants


async def settle(engine: AsyncEngine, *tables: str) -> None:
    """What autovacuum does after a while."""
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("SET statement_timeout = 0"))
        for table in tables:
            await connection.execute(text(f"VACUUM ANALYZE {table}"))
        await connection.invalidate()


async def _insert(connection: AsyncConnection, tenants: Tenants, batches: int, first: int, last: int) -> None:
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
    await connection.execute(
        text(_BATCHES),
        {
            "n": batches,
            "first": first,
            "last": last,
            "share": SHARE_OF_LARGEST,
            "others": PROJECTS - 1,
            "open": OPEN_AT_ONCE,
            "owners": tenants.projects,
            "places": tenants.directories,
        },
    )


async def _tenants(resources: Resources) -> Tenants:
    async with resources.unit_of_work() as uow:
        organization = await project_service.create_organization(uow, "bench")
        projects = [
            (await project_service.create_project(uow, organization.id, f"project {n}")).id
            for n in range(PROJECTS)
        ]
        key, _ = await project_service.create_key(uow, project_id=projects[0], name="bench")
        made = await uow.session.execute(
            text(
                "INSERT INTO directories (project_id, name)"
                " SELECT p, 'directory ' || n FROM unnest(CAST(:p AS uuid[])) WITH ORDINALITY u(p, o),"
                " generate_series(1, 50) n ORDER BY o, n RETURNING id"
            ),
            {"p": projects},
        )
        directories = list(made.scalars())
        await uow.commit()
    return Tenants(projects, directories, key)
