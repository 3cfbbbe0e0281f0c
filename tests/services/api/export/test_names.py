"""No name leads out of the folder that an archive is unpacked in, and no two are one."""

import io
import json
import random
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

import httpx
import pytest

from services.api.export.names import Taken, safe_path, source_path, variant
from shared.wiring import Resources
from tests.bench.whole_batches import Made, make
from tests.conftest import Tenant
from tests.services.api.export.conftest import document

HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "//server/share/x",
    "..\\..\\windows\\x",
    "C:\\windows\\x",
    "c:/windows/x",
    "C:x",
    "a/../../b",
    "./a",
    "a/./b",
    "a//b",
    "..",
    ".",
    "/",
    " .. /x",
    "a/ .. /b",
    "...",
    "con",
    "NUL.txt",
    "dir/aux/com1.pdf",
    "lpt9",
    "name.",
    "name ",
    "trailing./x",
    'a<b>c:d"e|f?g*h',
    "tab\tline\nnul",
    "\u202egnp.exe",
    "日本/größe.pdf",
    "e\u0301",
    "\U0001f600.pdf",
    "x" * 3_000,
    "/".join(["deep"] * 600) + "/end",
    "é" * 200 + ".pdf",
    "results.jsonl",
    "results.jsonl/inside",
    "~7",
]


DEVICES = {"CON", "NUL", "AUX", "PRN", *(f"{kind}{n}" for kind in ("COM", "LPT") for n in range(10))}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_safe_path_stays_inside(name: str) -> None:
    safe = safe_path(name)
    assert safe
    assert safe == safe_path(safe), "it is safe once and for all"
    posix, windows = PurePosixPath(safe), PureWindowsPath(safe)
    assert not posix.is_absolute()
    assert not windows.is_absolute()
    assert windows.drive == ""
    assert "\\" not in safe
    for part in safe.split("/"):
        assert part not in ("", ".", "..")
        assert part == part.rstrip(". ")
        assert part.partition(".")[0].upper() not in DEVICES
        assert len(part.encode()) <= 180
        assert all(letter.isprintable() or letter in "\u200c\u200d" for letter in part)


def test_ordinary_names_are_left_alone() -> None:
    for name in ("a.pdf", "2026/März/Rechnung 7 (Kopie).pdf", ".hidden/x", "日本語/書類.docx", "a~1"):
        assert safe_path(name) == name


def test_a_path_is_what_leads_to_the_name() -> None:
    assert source_path("a.pdf", "x/a.pdf", None) == "x/a.pdf"
    assert source_path("a.pdf", "x\\a.pdf", None) == "x\\a.pdf"
    assert source_path("a.pdf", "other", "y/a.pdf") == "y/a.pdf"
    assert source_path("a.pdf", "a.pdf", "ticket-7") == "a.pdf"
    assert source_path("renamed.pdf", "x/a.pdf", None) == "renamed.pdf"
    assert source_path("a.pdf", None, None) == "a.pdf"


class TestTaken:
    def test_a_name_is_taken_once_whatever_its_letters(self) -> None:
        taken = Taken(10)
        assert taken.take("a/B.md")
        for name in ("a/B.md", "A/b.MD", "a", "A", "a/B.md/c", "a/b.md/c/d"):
            assert not taken.take(name), name
        assert taken.take("a/c.md")
        assert taken.take("stra\u00dfe")
        assert not taken.take("STRASSE")

    def test_what_was_undone_is_free(self) -> None:
        taken = Taken(10)
        assert taken.take("kept/x")
        taken.settle()
        assert taken.take("gone/y")
        taken.undo()
        assert taken.take("gone")
        assert not taken.take("kept/x")

    def test_a_free_name_is_seldom_taken_for_a_taken_one(self) -> None:
        taken = Taken(20_000)
        refused = sum(not taken.take(f"folder {n // 10}/paper {n}.md") for n in range(20_000))
        assert refused < 40
        assert all(not taken.take(f"folder {n // 10}/paper {n}.md") for n in range(20_000))


def test_variants_of_a_name_are_different() -> None:
    found = [variant("a/b.pdf", ".md", 7, number) for number in range(5)]
    assert found[:3] == ["a/b.pdf.md", "a/b.pdf~7.md", "~7.md"]
    assert len(set(found)) == 5


async def test_an_archive_of_hostile_names_unpacks_beside_nothing(
    http: httpx.AsyncClient, resources: Resources, tenant: Tenant, tmp_path: Path
) -> None:
    names = [*HOSTILE, *HOSTILE[:8], "same", "same", "SAME", "same.md", "same.md/x", "a", "a/b"]
    random.Random(3).shuffle(names)
    # A row keeps no control characters; the ids do.
    shown = ["".join(c for c in name if c.isprintable() or c == "\u202e") for name in names]
    made = [
        Made(one.replace("\\", "/").rpartition("/")[2] or "n", f"{one}" if one else "n", document=document(n))
        for n, one in enumerate(shown, 1)
    ]
    batch = await make(resources, tenant.project_id, _with_own_ids(made))
    answer = await http.get(f"/api/v2/batches/{batch.shown}/export", params={"format": "zip"})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    listed = [json.loads(line) for line in archive.read("results.jsonl").splitlines()]
    outputs = [line["output"] for line in listed]
    assert len({one.casefold() for one in outputs}) == len(names), "no two are one"
    target = tmp_path / "unpacked" / "here"
    archive.extractall(target)
    files = {str(one.relative_to(target)) for one in target.rglob("*") if one.is_file()}
    assert files == {*outputs, "results.jsonl"}
    assert list((tmp_path / "unpacked").iterdir()) == [target]
    for n, output in enumerate(outputs, 1):
        assert f"Paper {n}" in (target / output).read_text(), output


def _with_own_ids(made: list[Made]) -> list[Made]:
    """A directory has each unique_id once: the second file of a path has its path as the client's own id."""
    seen: set[str | None] = set()
    found = []
    for number, one in enumerate(made):
        if one.unique_id in seen:
            found.append(Made(one.name, f"id {number}", external=one.unique_id, document=one.document))
        else:
            found.append(one)
        seen.add(one.unique_id)
    return found
