"""Operations done under callgrind: ``python -m benchmarks.micro.counted LIBRARY TIMES GROUP ...``.

LIBRARY is ``callgrind_marks.c``, compiled. Each operation of the groups is done ``calls`` times and then
twice as often, TIMES times over; what callgrind has counted in between is in files marked ``NAME|CALLS``.
"""

import ctypes
import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.micro.operations import OPERATIONS, Operation

COMMANDS_GROUP: Final = "command"
"""These need the whole service, which takes as long to import as the rest together."""


class Marks:
    """The compiled marks. Without callgrind they do nothing."""

    def __init__(self, library: Path) -> None:
        loaded = ctypes.CDLL(str(library))
        self.start: Callable[[], object] = loaded.marks_start
        self.stop: Callable[[], object] = loaded.marks_stop
        self.begin: Callable[[], object] = loaded.marks_begin
        self._end: Callable[[bytes], object] = loaded.marks_end

    def end(self, name: str, calls: int) -> None:
        """Write down what was counted since ``begin``."""
        self._end(f"{name}|{calls}".encode())


def count(operation: Operation, marks: Marks, times: int) -> None:
    """Do one operation as often as is asked for."""
    ready = operation.build()
    call, reset = ready.call, ready.reset
    _repeat(call, operation.calls)
    reset()
    # When garbage is looked for depends on all that was made before.
    gc.collect()
    gc.disable()
    marks.start()
    _repeat(call, operation.calls)
    reset()
    for _ in range(times):
        for calls in (operation.calls, 2 * operation.calls):
            marks.begin()
            _repeat(call, calls)
            marks.end(operation.full_name, calls)
            reset()
    marks.stop()
    gc.enable()


def _repeat(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


def operations(groups: Sequence[str]) -> list[Operation]:
    """Those of some groups."""
    found = list(OPERATIONS)
    if COMMANDS_GROUP in groups:
        from benchmarks.micro.commands import COMMANDS

        found += COMMANDS
    return [operation for operation in found if operation.group in groups]


def main(library: str, times: str, *groups: str) -> None:
    """Count them."""
    marks = Marks(Path(library))
    for operation in operations(groups):
        count(operation, marks, int(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
