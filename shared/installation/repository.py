"""The statements on facts of the installation."""

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.installation.model import Fact


async def find(session: AsyncSession, name: str) -> str | None:
    """The value of a fact; None while nobody recorded it."""
    return (await session.execute(select(Fact.value).where(Fact.name == name))).scalar_one_or_none()


async def record(session: AsyncSession, name: str, value: str) -> None:
    """Record a fact, unless somebody did already. Who records at the same time waits here, and loses."""
    await session.execute(insert(Fact).values(name=name, value=value).on_conflict_do_nothing())


async def replace(session: AsyncSession, name: str, value: str) -> None:
    """Record a fact, whatever was recorded before."""
    await session.execute(
        insert(Fact)
        .values(name=name, value=value)
        .on_conflict_do_update(index_elements=["name"], set_={"value": value, "since": text("now()")})
    )


async def newest_blob(session: AsyncSession) -> str | None:
    """The key of the blob that was stored last, as far as the database knows; None without any."""
    found = await session.execute(text("SELECT storage_key FROM files ORDER BY id DESC LIMIT 1"))
    return found.scalar_one_or_none()
