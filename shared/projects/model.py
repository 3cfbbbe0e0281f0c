"""Organisations own projects, projects own everything else. A key opens one project, or all as operator."""

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born, new_id

MOST_REQUESTS: Final = 1_000_000


class Role(StrEnum):
    """What a key may do: work inside its project, or operate the server."""

    PROJECT = "project"
    OPERATOR = "operator"


class Organization(Base):
    """The owner of projects."""

    __tablename__ = "organizations"

    id: Mapped[UUID] = new_id()
    name: Mapped[str]
    created_at: Mapped[datetime] = born()


class Project(Base):
    """A tenant: every row below carries its id, and no query leaves it out. Since `purge_asked_at` it is
    hidden, has no keys, and all that it has is being removed."""

    __tablename__ = "projects"

    id: Mapped[UUID] = new_id()
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), index=True)
    name: Mapped[str]
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = born()
    updated_at: Mapped[datetime] = born()
    purge_asked_at: Mapped[datetime | None]


class ApiKey(Base):
    """A key is stored as its SHA-256 only; `prefix` is its first characters, to tell keys apart by eye. What
    it may send in a minute is that of the server's settings when it is null, and has no end when it is 0."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("role IN ('project', 'operator')", name="role"),
        CheckConstraint("(role = 'project') = (project_id IS NOT NULL)", name="project_of_role"),
        CheckConstraint(f"requests_per_minute BETWEEN 0 AND {MOST_REQUESTS}", name="requests"),
        CheckConstraint(f"request_burst BETWEEN 1 AND {MOST_REQUESTS}", name="burst"),
        Index("ix_api_keys_hash", "hash", unique=True),
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id"), index=True)
    role: Mapped[str]
    name: Mapped[str]
    prefix: Mapped[str]
    hash: Mapped[bytes]
    created_at: Mapped[datetime] = born()
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    requests_per_minute: Mapped[int | None]
    request_burst: Mapped[int | None]


class ConsoleSession(Base):
    """Somebody who signed in to the console with a key. The token in their cookie is stored as its SHA-256
    only. The session opens what its key opens, and is over with the key, or at `expires_at`."""

    __tablename__ = "console_sessions"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = born()
    expires_at: Mapped[datetime] = mapped_column(index=True)
