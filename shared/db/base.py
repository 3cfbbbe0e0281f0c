"""The base of all tables: naming of constraints, and the column types every room uses."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, MetaData, Text, Uuid, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Text columns are `text`, times are `timestamptz`: a naive time cannot be stored."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text, datetime: DateTime(timezone=True), UUID: Uuid}


def new_id() -> Mapped[UUID]:
    """A primary key that the database makes: time-ordered, so the newest row is the last of its index."""
    return mapped_column(primary_key=True, server_default=text("uuidv7()"))


def born() -> Mapped[datetime]:
    """When the row was made, by the database's clock."""
    return mapped_column(server_default=text("now()"))
