"""`python -m services.api.write_openapi FILE` writes the OpenAPI document; `make openapi` does so for the
committed one."""

import json
import sys
from pathlib import Path

from services.api.app import create_app


def text() -> str:
    """The document as it is committed: one key or item a line, so that a difference can be read."""
    return json.dumps(create_app().openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
