"""Who works here, and what the sweepers last managed to do."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Double
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born, new_id


class Worker(Base):
    """One process that takes chunks. It counts as alive while `seen_at` is fresh.

    `slots` is how many chunks it runs at once; of the queue `extract`, whose work may be waiting for a model
    elsewhere, it runs `side_by_side` for each slot. `engine` is the version of what it reads documents with;
    null when it does not say.
    """

    __tablename__ = "workers"
    __table_args__ = (
        CheckConstraint("slots > 0", name="slots"),
        CheckConstraint("side_by_side > 0", name="side_by_side"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    id: Mapped[UUID] = new_id()
    queues: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    slots: Mapped[int]
    side_by_side: Mapped[int] = mapped_column(server_default="1")
    version: Mapped[str]
    engine: Mapped[str | None]
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime] = born()
    seen_at: Mapped[datetime] = born()
    drain: Mapped[bool] = mapped_column(server_default="false")


class Sweep(Base):
    """When each sweep last ran to its end: a gap tells an outage from a dead worker (protocol rule 9)."""

    __tablename__ = "sweeps"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    name: Mapped[str] = mapped_column(primary_key=True)
    last_ok_at: Mapped[datetime] = born()


class Tally(Base):
    """How many jobs workers brought to an end, and the engine seconds of them. Only grows.

    Workers add to it with their heartbeat, so it outlives them, and lags by one heartbeat.
    """

    __tablename__ = "tallies"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    job_type: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    jobs: Mapped[int] = mapped_column(BigInteger, server_default="0")
    seconds: Mapped[float] = mapped_column(Double, server_default="0")
