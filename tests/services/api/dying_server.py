"""An API that ends, as by kill -9, at a named point as soon as a file says so; the next one lives.

python -m tests.services.api.dying_server PORT POINT FILE
"""

import os
import signal
import sys
from pathlib import Path

import uvicorn

from services.api.app import create_app
from shared.pausing import Point, listening


def main() -> None:
    port, point, armed = int(sys.argv[1]), Point[sys.argv[2]], Path(sys.argv[3])

    async def listener(reached: Point) -> None:
        if reached is point and armed.exists():
            armed.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    with listening(listener):
        uvicorn.run(create_app(), host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main()
