"""Single keys from a terminal, as they are struck."""

import contextlib
import os
import sys
import termios
import tty
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator

_MOST = 64
"""Bytes read at a time: somebody leans on the keyboard, or pastes."""


@contextlib.contextmanager
def keys_of(descriptor: int, loop: AbstractEventLoop, struck: Callable[[str], object]) -> Iterator[bool]:
    """Call ``struck`` with each key until the block ends, and leave the terminal as it was.

    Gives False, and does nothing, where the descriptor is no terminal. Ctrl-C interrupts as always.
    """
    if not os.isatty(descriptor):
        yield False
        return
    before = termios.tcgetattr(descriptor)

    def read() -> None:
        try:
            data = os.read(descriptor, _MOST)
        except OSError:
            data = b""
        if not data:
            # The terminal is gone.
            loop.remove_reader(descriptor)
        for key in data.decode("ascii", "ignore"):
            struck(key)

    # Not raw: Ctrl-C and Ctrl-Z keep their meaning.
    tty.setcbreak(descriptor, termios.TCSANOW)
    loop.add_reader(descriptor, read)
    try:
        yield True
    finally:
        loop.remove_reader(descriptor)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


def standard_input() -> int:
    """Its descriptor; -1 where there is none."""
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError, AttributeError):
        return -1
