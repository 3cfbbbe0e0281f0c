"""Which process of a test run takes which file next.

Files that start whole stacks are few, long and work on both cores; the others are many and short. One process
takes the long ones, the rest of them take the short ones, and whoever runs out of its own takes the other
kind: no two stacks work side by side before the end, and what is left for the end is short.
"""

from typing import TYPE_CHECKING, Final

from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

LONG: Final = (
    "tests/fuzz/test_fuzz.py",
    "tests/chaos/",
    "tests/corpus/",
    "tests/sdk/test_generated.py",
    "tests/sdk/test_every_method.py",
    "tests/sdk/test_typescript.py",
    "tests/flows/",
)
"""Files and folders in the order in which they run. The flows share a stack that lives on to the end."""


def place_of(file: str) -> int | None:
    """Where a file stands among the long ones; None when it is a short one."""
    return next((number for number, long in enumerate(LONG) if file.startswith(long)), None)


class LongOnesAside(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """As `--dist loadfile`, in that order."""

    def _assign_work_unit(self, node: "WorkerController") -> None:
        self.workqueue.move_to_end(self._next_for(node), last=False)
        super()._assign_work_unit(node)

    def _next_for(self, node: "WorkerController") -> str:
        files: list[str] = list(self.workqueue)
        places = {file: place for file in files if (place := place_of(file)) is not None}
        takes_long_ones = node is next(iter(self.nodes))
        if places and (takes_long_ones or len(places) == len(files)):
            return min(places, key=lambda file: (places[file], file))
        return next(file for file in files if file not in places)
