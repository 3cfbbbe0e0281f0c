"""Batches, and the numbered events of each."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Double, ForeignKey, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born, new_id

_FINAL = "('COMPLETED','FAILED','CANCELLED')"


class Batch(Base):
    """One job over every file of a directory.

    `last_pos` freezes the file list, `cursor_pos` is how far it was spread, `total` the files spread so
    far, `fed_seq` how many of them were granted, `reused` how many of those that are `ok` never ran.
    `wake_at` is never null before the end: nothing can be stuck without a due time. `seconds_per_file` is
    the running average that sizes its chunks. `redrive_of` is the final batch it runs files of again: those
    that ended badly, or what changed since. `fail_limit`, or `fail_percent` of `fail_after` files and more,
    is what makes it hopeless.

    Retention: up to `purged_seq` its results are taken away, at `purged_at` all of them were; since
    `deleted_at` the batch is hidden, and its rows go.
    """

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint(
            "status IN ('PENDING','THROTTLED','RUNNING','COMPLETED','FAILED','CANCELLED')", name="status"
        ),
        CheckConstraint(f"(status IN {_FINAL}) = (wake_at IS NULL)", name="due"),
        CheckConstraint(f"(status IN {_FINAL}) = (finished_at IS NOT NULL)", name="finished"),
        CheckConstraint("(stop_as IS NULL) = (stop_at IS NULL)", name="stop"),
        CheckConstraint("stop_as IN ('CANCELLED','FAILED')", name="stop_as"),
        CheckConstraint(
            "ok + failed + cancelled + unmapped <= total AND (status <> 'COMPLETED' OR "
            "(spread_done AND stop_as IS NULL AND ok + failed + cancelled + unmapped = total))",
            name="exact",
        ),
        CheckConstraint("reused <= ok", name="reused"),
        CheckConstraint("status <> 'FAILED' OR failure_code IS NOT NULL", name="why"),
        CheckConstraint("redrive_of IS NULL OR redrive_kind IS NOT NULL", name="redrive"),
        CheckConstraint("redrive_kind IN ('FAILED', 'CHANGED')", name="redrive_kind"),
        CheckConstraint("(fail_percent IS NULL) = (fail_after IS NULL)", name="threshold"),
        Index("ix_batches_redrives", "redrive_of", "id", postgresql_where=text("redrive_of IS NOT NULL")),
        Index("ix_batches_wake", "wake_at", postgresql_where=text("wake_at IS NOT NULL")),
        Index(
            "ix_batches_lane",
            "project_id",
            "job_type",
            "vtime",
            postgresql_where=text("wake_at IS NOT NULL"),
        ),
        Index("ix_batches_project", "project_id", "id"),
        Index("ix_batches_directory", "source_directory_id", "id"),
        Index("ix_batches_finished", "project_id", "finished_at"),
        # Written once, by the final move: those that are not final are found by their due time.
        Index("ix_batches_ended", "project_id", "status", "id", postgresql_where=text("wake_at IS NULL")),
        Index("ix_batches_deleted", "id", postgresql_where=text("deleted_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 70}},
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    job_type: Mapped[str]
    source_directory_id: Mapped[UUID] = mapped_column(ForeignKey("directories.id"))
    backend: Mapped[str] = mapped_column(server_default="local")
    configuration_id: Mapped[str]
    config: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(server_default="PENDING")
    redrive_of: Mapped[UUID | None] = mapped_column(ForeignKey("batches.id"))
    redrive_kind: Mapped[str | None]
    last_pos: Mapped[int] = mapped_column(BigInteger)
    cursor_pos: Mapped[int] = mapped_column(BigInteger, server_default="0")
    spread_done: Mapped[bool] = mapped_column(server_default="false")
    total: Mapped[int] = mapped_column(server_default="0")
    fed_seq: Mapped[int] = mapped_column(server_default="0")
    ok: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    cancelled: Mapped[int] = mapped_column(server_default="0")
    unmapped: Mapped[int] = mapped_column(server_default="0")
    reused: Mapped[int] = mapped_column(server_default="0")
    stop_as: Mapped[str | None]
    stop_at: Mapped[datetime | None]
    failure_code: Mapped[str | None]
    failure_message: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None]
    fail_limit: Mapped[int | None]
    fail_percent: Mapped[float | None] = mapped_column(Double)
    fail_after: Mapped[int | None]
    weight: Mapped[float] = mapped_column(Double, server_default="1")
    vtime: Mapped[float] = mapped_column(Double, server_default="0")
    seconds_per_file: Mapped[float | None] = mapped_column(Double)
    wait: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    strikes: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    rung_at: Mapped[datetime] = mapped_column(server_default=text("'-infinity'"))
    event_no: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = born()
    started_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = born()
    finished_at: Mapped[datetime | None]
    wake_at: Mapped[datetime | None] = mapped_column(server_default=text("now() + interval '5 s'"))
    purged_seq: Mapped[int] = mapped_column(server_default="0")
    purged_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class BatchEvent(Base):
    """What happened to a batch, numbered under its lock: a reader at `n` has missed nothing before it."""

    __tablename__ = "batch_events"

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = born()
    kind: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
