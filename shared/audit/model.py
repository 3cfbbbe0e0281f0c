"""Who changed what through the operator's door."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born, new_id


class AuditEvent(Base):
    """One write of an operator, in the transaction of the write itself. Never changed afterwards.

    `action` is a word such as `key.revoke`, `target` the public id it was done to, `detail` what was asked,
    without secrets.
    """

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_target", "target", "id"),)

    id: Mapped[UUID] = new_id()
    at: Mapped[datetime] = born()
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    action: Mapped[str]
    target: Mapped[str]
    project_id: Mapped[UUID | None]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[str | None]
    address: Mapped[str | None]
