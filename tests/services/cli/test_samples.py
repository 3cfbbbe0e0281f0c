"""The bundled samples are small, and made by the script beside them."""

import subprocess
import sys
from pathlib import Path

from services.cli.run.command import SAMPLES
from services.cli.run.folder import list_folder
from tests.patience import GIVES_UP_S

TEXT = {".html", ".md", ".csv", ".txt"}


def test_they_are_small_and_of_many_kinds() -> None:
    listing = list_folder(SAMPLES)
    assert sum(file.size for file in listing.files) <= 300_000
    assert {Path(file.path).suffix for file in listing.files} == TEXT | {".pdf", ".png", ".docx", ".xlsx"}
    assert any("/" in file.path for file in listing.files)
    assert listing.left_out == {}


def test_the_script_makes_the_same_ones_twice(tmp_path: Path) -> None:
    script = SAMPLES.parent / "make_samples.py"
    for name in ("first", "second"):
        subprocess.run([sys.executable, str(script), str(tmp_path / name)], check=True, timeout=GIVES_UP_S)
    first, second = list_folder(tmp_path / "first").files, list_folder(tmp_path / "second").files
    assert [file.path for file in first] == [file.path for file in list_folder(SAMPLES).files]
    for one, other in zip(first, second, strict=True):
        assert one.place.read_bytes() == other.place.read_bytes()
        # Another version of zlib packs the same picture into other bytes; text is text.
        if one.place.suffix in TEXT:
            assert one.place.read_bytes() == (SAMPLES / one.path).read_bytes()
