"""What the kernel knows of the other side when no frame comes: whether its kernel still answers."""

import socket
import struct
from typing import Any, Final

_INFO_SIZE: Final = 64
_LAST_ACK: Final = struct.Struct("=I")
_LAST_ACK_OFFSET: Final = 56
"""Of ``tcpi_last_ack_recv`` in Linux's ``struct tcp_info``: milliseconds."""


def acknowledged_ago(transport: Any) -> float | None:
    """Seconds since the peer's kernel last acknowledged anything; None where that cannot be told.

    A peer that reads nothing closes its window, and its kernel answers the probes of ours, at
    most two minutes apart. One that has vanished answers nothing.
    """
    sock = transport.get_extra_info("socket") if hasattr(transport, "get_extra_info") else None
    if sock is None:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    except OSError:
        return None  # not TCP, or closed
    if len(info) < _LAST_ACK_OFFSET + _LAST_ACK.size:
        return None
    milliseconds: int = _LAST_ACK.unpack_from(info, _LAST_ACK_OFFSET)[0]
    return milliseconds / 1000
