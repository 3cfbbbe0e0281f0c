"""An empty database for tests that make their schema themselves."""

import os
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import open_engine


@pytest.fixture
async def empty_engine() -> AsyncIterator[AsyncEngine]:
    url = os.environ["BATCHMILL_TEST_DATABASE_URL"]
    name = f"t_{uuid4().hex}"
    admin = open_engine(url, name="tests", pooled=False).execution_options(isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    engine = open_engine(
        make_url(url).set(database=name).render_as_string(hide_password=False), name="tests", pooled=False
    )
    yield engine
    await engine.dispose()
    async with admin.connect() as connection:
        await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await admin.dispose()
