"""The statements by which a batch is handed over as a whole: each is one short read of some of its files, so
that nothing is held open between two of them, however slowly the answer is taken."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


class MappedFile(NamedTuple):
    """A source file and its job, or why it has none."""

    seq: int
    directory_file_id: UUID
    job_id: UUID | None
    error_message: str | None


class ExportedFile(NamedTuple):
    """A source file as it is exported: the same fields as a result of the batch, and what tells its path.
    `unique_id` is None where the file's place in its directory was removed."""

    seq: int
    directory_file_id: UUID
    external_file_id: str | None
    name: str
    job_id: UUID | None
    status: str
    error_code: str | None
    error_message: str | None
    pages: int | None
    seconds: float | None
    reused: bool
    result_key: str | None
    unique_id: str | None


class Overview(NamedTuple):
    """What decides about every byte of an export but those of the results themselves. `fingerprint` is
    another one as soon as a row is; `files` is how many rows there are."""

    directory: str
    files: int
    fingerprint: int


_COLUMNS = (
    "j.seq, j.directory_file_id, d.external_file_id, j.name,"
    " CASE WHEN j.status <> 'UNMAPPED' THEN j.id END, j.status, j.error_code, j.error_message, j.pages,"
    " j.seconds, j.reused_from IS NOT NULL,"
    " CASE WHEN j.status = 'COMPLETED' AND j.deleted_at IS NULL AND j.purged_at IS NULL"
    "  THEN j.result_key END, d.unique_id"
)
_DIRECTORY = "SELECT v.name FROM directories v JOIN batches b ON b.source_directory_id = v.id WHERE b.id = :b"
_FILES = "FROM jobs j LEFT JOIN directory_files d ON d.id = j.directory_file_id WHERE j.batch_id = :b"


async def mapped(session: AsyncSession, batch_id: UUID, *, after: int, size: int) -> Sequence[MappedFile]:
    """The files with a place after `after`, in the order of the directory, at most `size`."""
    rows = await session.execute(
        text(
            "SELECT seq, directory_file_id, CASE WHEN status <> 'UNMAPPED' THEN id END, error_message"
            " FROM jobs WHERE batch_id = :b AND seq > :after ORDER BY seq LIMIT :n"
        ),
        {"b": batch_id, "after": after, "n": size},
    )
    return [MappedFile._make(row) for row in rows]


async def files(session: AsyncSession, batch_id: UUID, *, first: int, last: int) -> Sequence[ExportedFile]:
    """The files from the place `first` to the place `last`, both included. A PENDING one may be running."""
    rows = await session.execute(
        text(f"SELECT {_COLUMNS} {_FILES} AND j.seq BETWEEN :first AND :last ORDER BY j.seq"),
        {"b": batch_id, "first": first, "last": last},
    )
    return [ExportedFile._make(row) for row in rows]


async def overview(session: AsyncSession, batch_id: UUID) -> Overview:
    """All rows are read by the server, one number comes back: about three seconds for a million files."""
    row = await session.execute(
        text(
            f"SELECT ({_DIRECTORY}), count(*),"
            f" coalesce(bit_xor(hashtextextended(CAST(ROW({_COLUMNS}) AS text), 0)), 0) {_FILES}"
        ),
        {"b": batch_id},
    )
    return Overview._make(row.one())
