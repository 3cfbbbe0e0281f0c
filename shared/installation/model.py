"""What is true of the whole installation, whichever host asks."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base, born


class Fact(Base):
    """A fact by its name. `storage` is the mark of the place where originals and results lie."""

    __tablename__ = "installation"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    since: Mapped[datetime] = born()
