"""An empty database for tests that make their schema themselves."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import open_engine


@pytest.fixture
async def empty_engine(database_server: str) -> AsyncIterator[AsyncEngine]:
    name = f"test_{uuid4().hex}"
    server = open_engine(database_server, name="tests", pooled=False)
    outside = server.execution_options(isolation_level="AUTOCOMMIT")  # no transaction may stand around these
    async with outside.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(database_server).set(database=name).render_as_string(hide_password=False)
    engine = open_engine(url, name="tests", pooled=False)
    yield engine
    await engine.dispose()
    async with outside.connect() as connection:
        await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await server.dispose()
