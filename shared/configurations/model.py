"""A saved set of parameters of one product, found by name inside its project."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born, new_id


class Configuration(Base):
    """Saving again under the same name and product replaces the parameters and moves the version. With
    `superseded_at` it is an older version that came from another server: it is found by its id, and its name
    is another's now."""

    __tablename__ = "configurations"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 255", name="name_length"),
        Index(
            "uq_configurations_name",
            "project_id",
            "product_type",
            "name",
            unique=True,
            postgresql_where=text("deleted_at IS NULL AND superseded_at IS NULL"),
        ),
        Index("ix_configurations_project", "project_id", "id"),
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    product_type: Mapped[str]
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = born()
    updated_at: Mapped[datetime] = born()
    deleted_at: Mapped[datetime | None]
    superseded_at: Mapped[datetime | None]
