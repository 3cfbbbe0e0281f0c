"""The client's source distribution, which holds the tests that were generated with it; the wheel does not."""

import hashlib
import importlib.metadata
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.cache_folder import cache_folder

VERSION = importlib.metadata.version("llama-cloud")
SHA256 = "17cd945511c3f6bc2f64d73ec5ea24b31ed7d2401b49026a94d7d02b92c5fbf5"
RESOURCES = (
    "test_batches.py",
    "beta/test_directories.py",
    "beta/directories/test_files.py",
    "test_files.py",
    "test_configurations.py",
    "test_parsing.py",
    "test_extract.py",
    "test_webhook_configs.py",
    "test_projects.py",
    "test_v2_projects.py",
)


def unpacked() -> Path:
    """The folder of the distribution, fetched by pip once; fails when it cannot be had."""
    kept = cache_folder() / f"llama_cloud-{VERSION}-{SHA256[:12]}"
    if not kept.is_dir():
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            inside = _fetch(Path(folder))
            if not kept.is_dir():
                inside.rename(kept)
    return kept


def _fetch(folder: Path) -> Path:
    wanted = f"llama-cloud=={VERSION}"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    done = subprocess.run(
        [*command, "--no-deps", "--no-binary=llama-cloud", "--dest", str(folder), wanted],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, f"pip cannot fetch the source distribution of {wanted}:\n{done.stderr}"
    (packed,) = folder.glob("*.tar.gz")
    found = hashlib.sha256(packed.read_bytes()).hexdigest()
    assert found == SHA256, f"{wanted} is another distribution than expected.txt was written for: {found}"
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"llama_cloud-{VERSION}"
