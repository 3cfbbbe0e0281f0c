"""Directories and the files in them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born, new_id


class Directory(Base):
    """Deleting or expiring hides it; rows and bytes stay while a batch needs them (protocol rule 7), then its
    files go (`emptied_at`). Its own row stays as long as a batch names it.

    `source_url`: its files lie there and are read in place; it is hidden until `source_read_at`, the end of
    the last reading of that place.
    """

    __tablename__ = "directories"
    __table_args__ = (
        CheckConstraint("type IN ('user', 'ephemeral', 'index')", name="type"),
        Index("ix_directories_project", "project_id", "id"),
        Index("ix_directories_name", "project_id", "name", "id"),
        Index(
            "ix_directories_expiring",
            "expires_at",
            postgresql_where=text("expires_at IS NOT NULL AND deleted_at IS NULL"),
        ),
        Index(
            "ix_directories_leaving",
            "deleted_at",
            postgresql_where=text("deleted_at IS NOT NULL AND emptied_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    description: Mapped[str | None]
    type: Mapped[str] = mapped_column(server_default="user")
    connector_subscription_id: Mapped[str | None]
    system_metadata: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = born()
    updated_at: Mapped[datetime] = born()
    expires_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    source_url: Mapped[str | None]
    source_read_at: Mapped[datetime | None]
    emptied_at: Mapped[datetime | None]


class DirectoryFile(Base):
    """A file's place in a directory.

    `pos` comes from one sequence for all directories, so 'everything acknowledged before this batch'
    is a comparison of positions and never of two hosts' clocks (protocol rule 7).
    """

    __tablename__ = "directory_files"
    __table_args__ = (
        Index("uq_directory_files_pos", "directory_id", "pos", unique=True),
        Index(
            "uq_directory_files_unique_id",
            "directory_id",
            "unique_id",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        CheckConstraint("size_bytes >= 0", name="size"),
        {"postgresql_with": {"fillfactor": 90}},
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    directory_id: Mapped[UUID] = mapped_column(ForeignKey("directories.id"))
    pos: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    file_id: Mapped[UUID] = mapped_column(ForeignKey("files.id"), index=True)
    display_name: Mapped[str]
    unique_id: Mapped[str]
    external_file_id: Mapped[str | None]
    file_metadata: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[bytes | None]
    created_at: Mapped[datetime] = born()
    updated_at: Mapped[datetime] = born()
    deleted_at: Mapped[datetime | None]
