"""What systemd is told about this process: that it serves, reloads, ends, and is not stuck (sd_notify(3))."""

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

logger = logging.getLogger("wsserver.server")

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"

BEATS: Final = 3
"""Times within systemd's patience that it is told the loop still turns."""


class ServiceManager:
    """The manager that started this process; where none did, telling it something does nothing."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract address.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.beat = _beat(environ) if self._address else None
        """Seconds after which it wants to hear ``ALIVE`` again; None if it does not ask for that."""

    def tell(self, *facts: str) -> None:
        """Send facts such as ``READY``; never waits and never raises."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(facts).encode(), self._address)
        except OSError as fault:
            logger.debug("the service manager cannot be told: %s", os.strerror(fault.errno or 0))

    def tell_reloading(self) -> None:
        """Say that the settings are being read again; ``READY`` ends it."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def _beat(environ: Mapping[str, str]) -> float | None:
    patience, process = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not patience.isdecimal() or len(patience) > 18 or int(patience) == 0:
        return None
    if process and process != str(os.getpid()):
        return None
    return int(patience) / 1_000_000 / BEATS
