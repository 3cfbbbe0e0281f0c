"""Jobs, one row a file, written twice in life; and chunks, the small ledger of what may run now."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Double, Identity, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born, new_id


class Job(Base):
    """A file of a batch, or a job asked for alone. No index names `status`: that keeps its updates HOT.

    `batch_id` has triggers that promise what a foreign key would (decision 40). `config`, `configuration_id`
    and `file_input` (the input as its caller named it) are of jobs that came alone; those of a batch share
    the batch's. `parse_job_id`: the parse job whose result is the input.
    `reused_from`: the job that made the result which this one shares; it never changes, and no worker met
    this one. The blob of a result lives as long as the job that made it, or one that shares it. `purged_at`:
    when retention took the result away; `result_key` goes on saying where it was.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ('PENDING','COMPLETED','FAILED','CANCELLED','UNMAPPED')", name="status"),
        CheckConstraint("num_nonnulls(batch_id, seq) IN (0, 2)", name="place"),
        CheckConstraint("(status = 'PENDING') = (finished_at IS NULL)", name="finished"),
        CheckConstraint("status <> 'COMPLETED' OR result_key IS NOT NULL", name="result"),
        CheckConstraint("status <> 'FAILED' OR error_code IS NOT NULL", name="why"),
        Index("uq_jobs_batch_seq", "batch_id", "seq", unique=True),
        Index("ix_jobs_project", "project_id", "job_type", "id"),
        Index("ix_jobs_reused", "reused_from", postgresql_where=text("reused_from IS NOT NULL")),
        # What retention looks for. None of their columns is written when a job ends: that stays HOT too.
        Index("ix_jobs_alone", "project_id", "id", postgresql_where=text("batch_id IS NULL")),
        Index(
            "ix_jobs_alone_kept",
            "project_id",
            "id",
            postgresql_where=text("batch_id IS NULL AND purged_at IS NULL"),
        ),
        # Of a job that ends well no column of it is written: that stays HOT.
        Index(
            "ix_jobs_failed",
            "project_id",
            "job_type",
            "id",
            postgresql_where=text("error_code IS NOT NULL"),
        ),
        # The failures of one batch, by code; it too says nothing of a job that ends well.
        Index(
            "ix_jobs_batch_failed",
            "batch_id",
            "seq",
            postgresql_include=["error_code"],
            postgresql_where=text("error_code IS NOT NULL"),
        ),
        Index("ix_jobs_parse_job", "parse_job_id", postgresql_where=text("parse_job_id IS NOT NULL")),
        {
            "postgresql_with": {
                # The row that ends a job is larger than the one that lists it, and both stay in one page.
                "fillfactor": 30,
                "autovacuum_vacuum_scale_factor": 0.02,
                "autovacuum_analyze_scale_factor": 0.02,
            }
        },
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID]
    job_type: Mapped[str]
    batch_id: Mapped[UUID | None]
    seq: Mapped[int | None]
    directory_file_id: Mapped[UUID | None]
    file_id: Mapped[UUID]
    name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[bytes | None]
    status: Mapped[str] = mapped_column(server_default="PENDING")
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    retryable: Mapped[bool | None]
    result_key: Mapped[str | None]
    token: Mapped[UUID | None]
    remote_id: Mapped[str | None]
    config: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    configuration_id: Mapped[str | None]
    file_input: Mapped[str | None]
    parse_job_id: Mapped[UUID | None]
    reused_from: Mapped[UUID | None]
    pages: Mapped[int | None]
    seconds: Mapped[float | None] = mapped_column(Double)
    engine: Mapped[str | None]
    created_at: Mapped[datetime] = born()
    finished_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]


class ReusableResult(Base):
    """Which job made the result that a document of these bytes and this kind of name has by this recipe.

    It names the job and nothing else, without a foreign key (whose check would write to the job): whoever
    reads it reads the job too, and one that is gone or deleted counts for nothing.
    """

    __tablename__ = "reusable_results"

    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    recipe: Mapped[bytes] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[UUID]


def kind_of_name(name: str) -> str:
    """SQL: what the name in the column or expression `name` says of its document, for that decides how text
    is read: the extension of an ordinary name. Any other name is a kind of its own."""
    return (
        f"coalesce(lower(substring({name} FROM '[^/.][.]([A-Za-z0-9_]{{1,16}})$')),"
        f" '/' || encode(sha256(convert_to({name}, 'UTF8')), 'hex'))"
    )


class Chunk(Base):
    """A range of one batch's files, or one job alone, that may run now (WAITING: that wants to).

    One row is outbox entry, lease (`due_at`), fence (`token`), unit of the window and exact delta of the
    batch's sums. `token` is random for each take and never used again; `losses` is a count and no fence.
    """

    __tablename__ = "chunks"
    __table_args__ = (
        CheckConstraint("state IN ('WAITING','READY','TAKEN','DONE')", name="state"),
        CheckConstraint("(state = 'TAKEN') = (token IS NOT NULL)", name="fence"),
        CheckConstraint(
            "(job_id IS NULL) = (batch_id IS NOT NULL AND lo IS NOT NULL AND hi IS NOT NULL AND lo <= hi)",
            name="range",
        ),
        Index(
            "uq_chunks_live_range", "batch_id", "lo", unique=True, postgresql_where=text("state <> 'DONE'")
        ),
        Index("uq_chunks_job", "job_id", unique=True, postgresql_where=text("job_id IS NOT NULL")),
        Index("ix_chunks_ready", "queue", "rank", "id", postgresql_where=text("state = 'READY'")),
        Index(
            "ix_chunks_waiting",
            "project_id",
            "job_type",
            "rank",
            "id",
            postgresql_where=text("state = 'WAITING'"),
        ),
        Index("ix_chunks_taken", "due_at", postgresql_where=text("state = 'TAKEN'")),
        Index("ix_chunks_batch", "batch_id"),
        Index(
            "ix_chunks_lane", "project_id", "job_type", postgresql_where=text("state IN ('READY','TAKEN')")
        ),
        {
            "postgresql_with": {
                "fillfactor": 50,
                "autovacuum_vacuum_scale_factor": 0,
                "autovacuum_vacuum_threshold": 500,
            }
        },
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    project_id: Mapped[UUID]
    job_type: Mapped[str]
    queue: Mapped[str]
    batch_id: Mapped[UUID | None]
    lo: Mapped[int | None]
    hi: Mapped[int | None]
    job_id: Mapped[UUID | None]
    size: Mapped[int]
    rank: Mapped[float] = mapped_column(Double)
    state: Mapped[str] = mapped_column(server_default="READY")
    due_at: Mapped[datetime] = born()
    token: Mapped[UUID | None]
    worker_id: Mapped[UUID | None]
    losses: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    stop: Mapped[bool] = mapped_column(server_default="false")
    paused: Mapped[bool] = mapped_column(server_default="false")
    reason: Mapped[str | None]
    ok: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    cancelled: Mapped[int] = mapped_column(server_default="0")
    seconds: Mapped[float] = mapped_column(Double, server_default="0")
