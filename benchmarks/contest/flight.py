"""Bytes in flight: what has been sent and not yet been read, which the kernel holds.

All of it counts against the kernel's memory for TCP (``tcp_mem``), and beyond the first of its three marks
the kernel takes memory back from sockets: it shrinks windows and refuses sends. 64 kB to each of 18,000
sockets are 1.15 GB, about the first mark of a machine with 24 GB. What a round measured then would be the
kernel's distress.

So a round is sent in portions, each of which must have been received before the next one is sent. A portion
has no more than half of the first mark, and no more for one socket than what its receiver takes without
reading, a window of 64 KiB. A single message to everybody that is more than half of the mark is sent piece
by piece, and whoever sends it waits while the kernel holds that much.
"""

import time
from pathlib import Path

from benchmarks.machine import kernel_socket_bytes

PER_SOCKET = 64 * 1024
"""Bytes that a socket's receiver takes without reading: half of its buffer, ``tcp_rmem``, at the start."""

PORTION = 32 * 1024 * 1024
"""Bytes sent between two looks at the kernel's memory."""

LOOK = 0.005
"""Seconds between two looks where somebody else sends."""

PATIENCE = 30.0
"""Seconds after which it is not the load client's slowness any more."""

FRAMING = 132
"""Bytes of a frame on the wire besides its message, at the most."""

UNKNOWN_MARK = 512 * 1024 * 1024
"""Bytes taken for the first mark where the kernel does not tell it."""


def cap() -> int:
    """Bytes that may be in flight on this machine: half of the kernel's first mark."""
    try:
        pages = int(Path("/proc/sys/net/ipv4/tcp_mem").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return UNKNOWN_MARK // 2
    return pages * 4096 // 2


def sends_at_a_time(sends: int, subscribers: int, size: int, most: int) -> int:
    """How many of these sends to everybody may be on their way together, one at least.

    ``size`` are the bytes that one of them has for each subscriber, ``most`` those that may be in flight.
    """
    return max(1, min(sends, PER_SOCKET // size, most // (size * subscribers)))


class Flight:
    """Holds whoever sends back while the kernel has too much, of all sockets of this machine."""

    def __init__(self, most: int) -> None:
        """``most`` bytes may be in flight besides what is now."""
        self._most = kernel_socket_bytes() + most
        self.waited = 0.0
        """Seconds, in all."""

    def wait(self) -> None:
        """Block until less than the most is in flight. Raises TimeoutError when nobody reads any more."""
        began = time.monotonic()
        while kernel_socket_bytes() > self._most:
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError(f"the kernel has held over {self._most:,} bytes for {PATIENCE:g} s")
            time.sleep(0.0005)
        self.waited += time.monotonic() - began
