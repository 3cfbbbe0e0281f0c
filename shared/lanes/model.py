"""A lane: one project's jobs of one type. Limits, rate, holds and fairness belong to it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKey, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base

MAX_FILES = 1_000_000


class Lane(Base):
    """Its row lock is the first of the lock order lane > batch > chunk > job.

    `wake_at` is null when nothing waits to be fed; else the lane is looked at no later than then.
    `tat` is the theoretical arrival time of its rate limit (GCRA), `vtime` its virtual time among the lanes
    of its queue, `entry_vtime` the one with which a batch comes in among its own. `wait` says why its last
    dispatch refused something; null when nothing was refused.
    """

    __tablename__ = "lanes"
    __table_args__ = (
        CheckConstraint("jobs_per_minute > 0", name="jobs_per_minute"),
        CheckConstraint("burst > 0", name="burst"),
        CheckConstraint("max_jobs > 0", name="max_jobs"),
        CheckConstraint("max_batches > 0", name="max_batches"),
        CheckConstraint("max_files > 0", name="max_files"),
        CheckConstraint("weight > 0", name="weight"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    job_type: Mapped[str] = mapped_column(primary_key=True)
    jobs_per_minute: Mapped[int | None]
    burst: Mapped[int] = mapped_column(server_default="1")
    max_jobs: Mapped[int | None]
    max_batches: Mapped[int | None]
    max_files: Mapped[int] = mapped_column(server_default=str(MAX_FILES))
    weight: Mapped[float] = mapped_column(Double, server_default="1")
    vtime: Mapped[float] = mapped_column(Double, server_default="0")
    entry_vtime: Mapped[float] = mapped_column(Double, server_default="0")
    tat: Mapped[datetime] = mapped_column(server_default=text("'-infinity'"))
    hold_until: Mapped[datetime | None]
    hold_reason: Mapped[str | None]
    wake_at: Mapped[datetime | None]
    wait: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    rung_at: Mapped[datetime] = mapped_column(server_default=text("'-infinity'"))
