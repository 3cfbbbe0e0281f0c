"""A file: its bytes lie in blob storage under `storage_key`, or with their owner; this row says whose
they are."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born, new_id

PURPOSES: Final = ("user_data", "parse", "extract", "split", "classify", "sheet", "agent_app")


class File(Base):
    """Bytes are immutable; deleting hides the row (a batch may still need the bytes).

    With `source_version` they are not ours: `storage_key` is the URL where they are read in place, as long as
    size and version are these. `sha256` is null until they were read once.
    """

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 3000", name="name_length"),
        CheckConstraint("size_bytes >= 0", name="size"),
        Index("ix_files_project", "project_id", "id"),
        Index("ix_files_name", "project_id", "name", "id"),
        Index(
            "ix_files_external",
            "project_id",
            "external_file_id",
            "id",
            postgresql_where=text("external_file_id IS NOT NULL"),
        ),
        Index(
            "ix_files_source",
            "storage_key",
            postgresql_using="hash",
            postgresql_where=text("source_version IS NOT NULL"),
        ),
        Index("ix_files_hidden", "id", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    external_file_id: Mapped[str | None]
    purpose: Mapped[str | None]
    file_type: Mapped[str | None]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[bytes | None]
    storage_key: Mapped[str]
    created_at: Mapped[datetime] = born()
    last_modified_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    source_version: Mapped[str | None]
