"""The statements on lanes of all projects, for operators and metrics."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class HeldLane:
    """A lane that lets nothing in now."""

    project_id: UUID
    job_type: str
    reason: str | None


async def held(session: AsyncSession) -> list[HeldLane]:
    """Lanes whose hold is not over."""
    rows = await session.execute(
        text(
            "SELECT project_id, job_type, hold_reason FROM lanes WHERE hold_until > now()"
            " ORDER BY project_id, job_type"
        )
    )
    return [HeldLane(*row) for row in rows]


async def waits(session: AsyncSession) -> dict[str, int]:
    """How many lanes wait, by the code of what refused them last."""
    rows = await session.execute(
        text("SELECT wait ->> 'code', count(*) FROM lanes WHERE wait IS NOT NULL GROUP BY 1 ORDER BY 1")
    )
    return {code or "UNKNOWN": int(lanes) for code, lanes in rows}
