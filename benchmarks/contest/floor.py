"""The floor: a bare C loop of ``send`` over the server's own sockets."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

from benchmarks.build import build

_SOURCE = Path(__file__).with_name("bare_loop.c")


class BareLoop:
    """``send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)`` for one descriptor after the other.

    The descriptors must stay open while it is used: it knows nothing of who owns them.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        self._fan_out = ctypes.CDLL(str(build(_SOURCE, shared=True))).bare_fan_out
        self._fan_out.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
        self._fan_out.restype = ctypes.c_size_t
        self._descriptors = (ctypes.c_int * len(descriptors))(*descriptors)

    def send(self, data: bytes, first: int = 0, count: int | None = None) -> None:
        """Send the same bytes to all, or to ``count`` of them from the ``first`` one on.

        Raises BlockingIOError when a socket did not take them whole.
        """
        left = len(self._descriptors) - first
        count = left if count is None else min(count, left)
        place = ctypes.byref(self._descriptors, first * ctypes.sizeof(ctypes.c_int))
        failed = self._fan_out(place, count, data, len(data))
        if failed:
            raise BlockingIOError(f"{failed} sockets did not take {len(data)} bytes")
