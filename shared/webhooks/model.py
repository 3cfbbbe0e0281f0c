"""Saved webhooks, the endpoints that batches and jobs tell of themselves, and what is to be told to whom."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
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
