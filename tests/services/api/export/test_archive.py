"""Archives that are larger than the first ZIP foresaw."""

import zipfile
import zlib
from datetime import UTC, datetime
from pathlib import Path

from services.api.export.archive import STORED, Entry, end

AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def entry(name: str, data: bytes, *, streamed: bool = False) -> Entry:
    return Entry(name.encode(), zlib.crc32(data), len(data), len(data), STORED, AT, streamed)


def test_more_entries_than_16_bits_count(tmp_path: Path) -> None:
    target = tmp_path / "many.zip"
    names = [f"d/{number}" for number in range(70_000)]
    with target.open("wb") as file:
        lines: list[bytes] = []
        for name in names:
            one = entry(name, name.encode())
            lines.append(one.central(file.tell()))
            file.write(one.local() + name.encode())
        begins = file.tell()
        listed = b"".join(lines)
        file.write(listed + end(len(names), list_at=begins, list_size=len(listed)))
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == names
        assert archive.read("d/69999") == b"d/69999"
        assert archive.getinfo("d/7").date_time == (2026, 2, 3, 4, 5, 6)


def test_files_that_lie_beyond_4_gib(tmp_path: Path) -> None:
    target = tmp_path / "far.zip"
    far = 5 << 30
    near, beyond = entry("größe", b"near"), entry("beyond", b"far away", streamed=True)
    with target.open("wb") as file:
        file.write(near.local() + b"near")
        file.seek(far)
        file.write(beyond.local() + b"far away" + beyond.descriptor())
        begins = file.tell()
        listed = near.central(0) + beyond.central(far)
        file.write(listed + end(2, list_at=begins, list_size=len(listed)))
    with zipfile.ZipFile(target) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "größe": b"near",
            "beyond": b"far away",
        }


def test_an_entry_of_more_than_4_gib_says_so() -> None:
    large = Entry(b"n", 1, (4 << 30) + 5, (5 << 30) + 7, STORED, AT, streamed=True)
    listed = large.central(9)
    extra = listed[46 + 1 :]
    assert extra == b"\x01\x00\x10\x00" + ((5 << 30) + 7).to_bytes(8, "little") + ((4 << 30) + 5).to_bytes(
        8, "little"
    )
