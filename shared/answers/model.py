"""What a creating request was answered, so that the same request again gets the same answer."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born, new_id

LONGEST_KEY: Final = 255


class Answer(Base):
    """Written in the transaction that made what it speaks of: both are there, or neither is.

    With `idempotency_key` it answers whoever sends that key in this project; without, it answers the client
    that sends the request again because it never heard of it. `taken` is the number of the sending that was
    answered with it: 0 for the first.
    """

    __tablename__ = "answers"
    __table_args__ = (
        CheckConstraint(f"char_length(idempotency_key) BETWEEN 1 AND {LONGEST_KEY}", name="key_length"),
        Index(
            "uq_answers_idempotency_key",
            "project_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index("ix_answers_fingerprint", "project_id", "fingerprint"),
        Index("ix_answers_expires", "expires_at"),
    )

    id: Mapped[UUID] = new_id()
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    key_id: Mapped[UUID]
    idempotency_key: Mapped[str | None]
    fingerprint: Mapped[bytes]
    taken: Mapped[int] = mapped_column(SmallInteger)
    status: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[str]
    created_at: Mapped[datetime] = born()
    expires_at: Mapped[datetime]
