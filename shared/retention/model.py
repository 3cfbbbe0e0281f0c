"""How long a project keeps what, and the rows that let a removal survive its remover."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born

MOST_DAYS = 10_000


class Retention(Base):
    """Days for which a project keeps results, jobs that came alone, batches and files; null: for ever."""

    __tablename__ = "retention"
    __table_args__ = tuple(
        CheckConstraint(f"{kind}_days BETWEEN 1 AND {MOST_DAYS}", name=kind)
        for kind in ("results", "jobs", "batches", "files")
    )

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    results_days: Mapped[int | None]
    jobs_days: Mapped[int | None]
    batches_days: Mapped[int | None]
    files_days: Mapped[int | None]
    updated_at: Mapped[datetime] = born()


class DoomedBlob(Base):
    """A blob whose last row is gone: written in the commit that removed the row, removed after the blob. Who
    takes it moves `due_at`, so a remover that dies is followed by another."""

    __tablename__ = "doomed_blobs"
    __table_args__ = (Index("ix_doomed_blobs_due", "due_at"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    due_at: Mapped[datetime]


class Purge(Base):
    """The removal of a whole project: how far it is. It outlives the project, so it names it.

    ROWS: an operator's request enters it. BLOBS: the removal of the project's own row enters it.
    DONE: nothing is left in the storage; final.
    """

    __tablename__ = "purges"
    __table_args__ = (CheckConstraint("state IN ('ROWS','BLOBS','DONE')", name="state"),)

    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="ROWS")
    rows_gone: Mapped[int] = mapped_column(BigInteger, server_default="0")
    blobs_gone: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bytes_gone: Mapped[int] = mapped_column(BigInteger, server_default="0")
    asked_at: Mapped[datetime] = born()
    due_at: Mapped[datetime] = born()
    finished_at: Mapped[datetime | None]


class Chore(Base):
    """Work of upkeep that is done now and then: the next time, moved before the work begins."""

    __tablename__ = "chores"

    name: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = born()
