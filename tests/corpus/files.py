"""All hostile files, and the good ones that they are mixed with."""

from tests.corpus.archives import ARCHIVES, CELL, sheet_with, word
from tests.corpus.hostile import Corpus
from tests.corpus.pdfs import PDFS, sane
from tests.corpus.pictures import PICTURES
from tests.corpus.texts import TEXTS

HOSTILE: Corpus = {**PDFS, **PICTURES, **ARCHIVES, **TEXTS}
SHORT: Corpus = {name: file for name, file in HOSTILE.items() if not file.heavy}
"""Those that are over soon."""


def good_files() -> dict[str, bytes]:
    """Files of several kinds that must be read as if they were alone."""
    made: dict[str, bytes] = {}
    for number in range(4):
        made[f"good-{number}.pdf"] = sane(number + 1)
        made[f"good-{number}.txt"] = b"line %d\n" % number * 50
        made[f"good-{number}.html"] = b"<h1>Head %d</h1><p>words</p><ul><li>one</ul>" % number
        made[f"good-{number}.csv"] = b"a,b\n%d,2\n" % number
    made["good.docx"] = word()
    made["good.xlsx"] = sheet_with(b"<row>" + CELL * 3 + b"</row>")
    return made
