"""The zip archive that an Office document is: which kind it holds, and its parts, read with care.

Nothing is unpacked to disk, and nothing is read that the reader of a kind does not ask for. A part
with a document type declaration is refused: no Office program writes one, and XML bombs are made
of its entities.
"""

import lzma
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from services.worker.engines.port import Refused
from shared.jobs.codes import FailureCode

_MOST_MEMBERS: Final = 20_000
_MOST_PART: Final = 96 * 2**20
"""Bytes of one part that is held as a tree, which takes several times as much memory."""
_MOST_PARTS: Final = 1024 * 2**20
"""Bytes of all parts of XML together."""
_FLAG_ENCRYPTED: Final = 1
_BITE: Final = 65536
_BY_MIMETYPE: Final = {
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp",
}
_BY_PART: Final = (("word/document", "docx"), ("xl/workbook", "xlsx"), ("ppt/presentation", "pptx"))
_CONTENTS: Final = "[Content_Types].xml"
_OVERRIDE: Final = "{http://schemas.openxmlformats.org/package/2006/content-types}Override"
_RELATION: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


class Package:
    """An Office document, opened. Raises `Refused` for an archive that is damaged, encrypted, too large, or
    no Office document that is read here."""

    def __init__(self, path: Path) -> None:
        with _unpacking("its archive cannot be opened"):
            self._zip = zipfile.ZipFile(path)
        self._names = {info.filename: info for info in self._zip.infolist()}
        self.path = path
        self.kind = self._kind()
        self._check()

    def _kind(self) -> str:
        if "mimetype" in self._names:
            told = self._read("mimetype", 256).decode("ascii", "replace").strip()
            if (kind := _BY_MIMETYPE.get(told)) is not None:
                return kind
        if _CONTENTS in self._names:
            for start, kind in _BY_PART:
                if any(name.startswith(start) and name.endswith(".xml") for name in self._names):
                    return kind
        raise Refused(
            FailureCode.UNSUPPORTED_FILE_TYPE,
            "The file is a ZIP archive that holds no document of Word, Excel, PowerPoint or OpenDocument.",
        )

    def _check(self) -> None:
        infos = list(self._names.values())
        if any(info.flag_bits & _FLAG_ENCRYPTED for info in infos):
            raise protected()
        parts = [info for info in infos if info.filename.endswith((".xml", ".rels"))]
        if len(infos) > _MOST_MEMBERS or sum(info.file_size for info in parts) > _MOST_PARTS:
            raise Refused(
                FailureCode.DOCUMENT_TOO_LARGE,
                f"The document has more than {_MOST_MEMBERS} parts, or more than {_MOST_PARTS // 2**20} MB of"
                " text once unpacked.",
            )
        for info in parts:
            self._without_declarations(info.filename)

    def _without_declarations(self, name: str) -> None:
        """Read on to the first element: a declaration stands before it."""
        seen: list[str] = []
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = lambda *_: seen.append("declaration")
        parser.StartElementHandler = lambda *_: seen.append("element")
        for bite in self.bites(name, _BITE):
            try:
                parser.Parse(bite)
            except expat.ExpatError as error:
                if not seen:
                    raise damaged(f"{_shown(name)} is no XML") from error
            if seen:
                break
        if seen and seen[0] == "declaration":
            raise damaged(f"{_shown(name)} declares a document type, which no Office program writes")

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def bites(self, name: str, size: int) -> Iterator[bytes]:
        """The bytes of one part, so many at a time; no more than the archive's directory promises."""
        if name not in self:
            raise damaged(f"{_shown(name)} is missing")
        with _unpacking(f"{_shown(name)} cannot be unpacked"):
            part = self._zip.open(self._names[name])
        with part:
            while True:
                with _unpacking(f"{_shown(name)} cannot be unpacked"):
                    bite = part.read(size)
                if not bite:
                    return
                yield bite

    def _read(self, name: str, most: int) -> bytes:
        data = next(self.bites(name, most + 1), b"")
        if len(data) > most:
            raise Refused(
                FailureCode.DOCUMENT_TOO_LARGE,
                f"{_shown(name)} in the document has more than {most // 2**20} MB once unpacked.",
            )
        return data

    def tree(self, name: str) -> Any:
        """One part as a tree of lxml: no entity is resolved, nothing is fetched, 256 levels at most."""
        from lxml import etree  # noqa: PLC0415  (only now: most documents are of other kinds)

        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            return etree.fromstring(self._read(name, _MOST_PART), parser)
        except etree.XMLSyntaxError as error:
            raise damaged(f"{_shown(name)} is no XML that can be read") from error

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: id to (last word of its type, part or address)."""
        folder, base = posixpath.split(name)
        where = posixpath.join(folder, "_rels", base + ".rels")
        found: dict[str, tuple[str, str]] = {}
        if where not in self:
            return found
        for relation in self.tree(where).iter(_RELATION):
            kind, target = relation.get("Type", ""), relation.get("Target", "")
            if relation.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/" + folder, target)).lstrip("/")
            found[relation.get("Id", "")] = (kind.rpartition("/")[2], target)
        return found

    def parts_of_type(self, content_type: str) -> set[str]:
        """The parts that the list of contents says are of a type."""
        listed = self.tree(_CONTENTS).iter(_OVERRIDE)
        names = {one.get("PartName", "")[1:] for one in listed if one.get("ContentType") == content_type}
        return {name for name in names if name in self}

    def main_part(self, usual: str) -> str:
        """The part that the package calls its document."""
        for kind, target in self.relations("").values():
            if kind == "officeDocument" and target in self:
                return target
        return usual


def protected() -> Refused:
    """The refusal of a document that needs a password; the code that PDF has for it would be wrong here."""
    return Refused(
        FailureCode.UNSUPPORTED_FILE_TYPE,
        "The document is protected by a password. It is read once it is saved without one.",
    )


def damaged(why: str) -> Refused:
    """The refusal of a document that is broken."""
    return Refused(FailureCode.ENGINE_ERROR, f"The document is damaged: {why}.")


@contextmanager
def _unpacking(why: str) -> Iterator[None]:
    """Whatever zipfile and its decompressors raise for a broken archive, as one refusal."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError) as error:
        raise damaged(why) from error
    except OSError as error:
        # That of bz2 for bad data has no number; those of the system do.
        if error.errno is not None:
            raise
        raise damaged(why) from error


def _shown(name: str) -> str:
    return "".join(letter for letter in name[-80:] if letter.isprintable())
