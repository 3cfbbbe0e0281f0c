"""Saved webhooks, the endpoints that batches and jobs tell of themselves, and what is to be told to whom."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from shared.db.base import Base, born, new_id


class WebhookConfig(Base):
    """A webhook that a project saved under an id. `events` None: all. `secret` is sealed."""

    __tablename__ = "webhook_configs"
    __table_args__ = (
        CheckConstraint("output_format IN ('string', 'json')", name="output_format"),
        CheckConstraint("cardinality(events) > 0", name="events"),
        Index("ix_webhook_configs_project", "project_id", "id", postgresql_where=text("deleted_at IS NULL")),
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    url: Mapped[str]
    events: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    headers: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    output_format: Mapped[str] = mapped_column(server_default="string")
    secret: Mapped[bytes | None]
    created_at: Mapped[datetime] = born()
    updated_at: Mapped[datetime] = born()
    deleted_at: Mapped[datetime | None]


class WebhookEndpoint(Base):
    """Who is told of a batch or a job, as it was when that was opened. `about`: BATCH of the batch itself,
    JOBS of the job, or of every job of the batch. `webhook_id`: the saved one that it was taken from.

    No foreign key to its owner: the check would write to the largest table, and an owner may go first.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("about IN ('BATCH', 'JOBS')", name="about"),
        CheckConstraint("output_format IN ('string', 'json')", name="output_format"),
        Index("ix_webhook_endpoints_owner", "owner_id"),
        Index("ix_webhook_endpoints_project", "project_id"),
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    owner_id: Mapped[UUID]
    about: Mapped[str]
    webhook_id: Mapped[UUID | None]
    url: Mapped[str]
    destination: Mapped[UUID]
    events: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    headers: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    output_format: Mapped[str] = mapped_column(server_default="string")
    secret: Mapped[bytes | None]
    created_at: Mapped[datetime] = born()


class WebhookDelivery(Base):
    """One event for one endpoint, written in the transaction of the move that it reports.

    `event_id` follows from what happened to whom, so the same news twice is one row. While PENDING, `due_at`
    is when it may be tried, or, with a `token`, the end of the lease of whoever is trying. `destination` is
    the project and the server that it goes to.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('PENDING', 'SENT', 'DEAD')", name="status"),
        CheckConstraint("(status = 'PENDING') = (due_at IS NOT NULL)", name="due"),
        CheckConstraint("(status = 'PENDING') = (finished_at IS NULL)", name="finished"),
        CheckConstraint("token IS NULL OR status = 'PENDING'", name="fence"),
        CheckConstraint("status <> 'DEAD' OR last_error IS NOT NULL", name="why"),
        Index("uq_webhook_deliveries_event", "endpoint_id", "event_id", unique=True),
        Index(
            "ix_webhook_deliveries_due",
            "destination",
            "due_at",
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("ix_webhook_deliveries_project", "project_id", "id"),
        Index("ix_webhook_deliveries_subject", "subject_id"),
        Index(
            "ix_webhook_deliveries_finished",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        {
            "postgresql_with": {
                "fillfactor": 70,
                "autovacuum_vacuum_scale_factor": 0.02,
            }
        },
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID]
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id"))
    destination: Mapped[UUID]
    event_id: Mapped[UUID]
    event_type: Mapped[str]
    subject_id: Mapped[UUID]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(server_default="PENDING")
    attempts: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[datetime | None] = mapped_column(server_default=text("now()"))
    token: Mapped[UUID | None]
    last_code: Mapped[int | None]
    last_error: Mapped[str | None]
    last_answer: Mapped[str | None]
    last_seconds: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[datetime] = born()
    finished_at: Mapped[datetime | None]
