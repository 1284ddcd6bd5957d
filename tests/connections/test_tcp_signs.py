"""Signs of life of a peer's kernel, on real sockets."""

import socket
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from wsserver.connections.tcp_signs import acknowledged_ago


def transport_of(sock: Any) -> Any:
    return SimpleNamespace(get_extra_info=lambda name: sock if name == "socket" else None)


def test_a_peer_that_reads_nothing_is_told_from_one_that_has_never_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.create_connection(server.getsockname()) as ours, server.accept()[0]:
            ours.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    ours.send(b"x" * 65536)
            ago = acknowledged_ago(transport_of(ours))
            assert ago is not None
            before = time.monotonic()
            # The kernel's probes of the closed window, the first after a fifth of a second.
            while (later := acknowledged_ago(transport_of(ours))) is not None and later >= ago:
                assert time.monotonic() - before < 10
                ago = later
                time.sleep(0.01)


def test_what_is_no_tcp_or_closed_tells_nothing() -> None:
    ours, peer = socket.socketpair()
    assert acknowledged_ago(transport_of(ours)) is None
    ours.close()
    peer.close()
    assert acknowledged_ago(transport_of(ours)) is None
    assert acknowledged_ago(transport_of(None)) is None
    assert acknowledged_ago(object()) is None


def test_an_answer_that_is_too_short_tells_nothing() -> None:
    old_kernel = SimpleNamespace(getsockopt=lambda *how: b"\0" * 32)
    assert acknowledged_ago(transport_of(old_kernel)) is None


def test_the_figure_is_in_milliseconds_at_its_place() -> None:
    info = bytearray(64)
    info[56:60] = (1500).to_bytes(4, "little")
    assert acknowledged_ago(transport_of(SimpleNamespace(getsockopt=lambda *how: bytes(info)))) == 1.5
