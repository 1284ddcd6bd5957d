"""A fake event loop and a fake transport for tests of the hub and the connection.

``FakeLoop`` runs callbacks only when told to. ``RecordingTransport`` behaves as an asyncio
transport with a write buffer limit of zero: it takes as many bytes at once as the test gives
it ``room`` for, holds the rest and says so to its protocol. With a socket it stands for the
same socket that the hub sends on directly, as in the server.
"""

import socket
from collections.abc import Callable
from typing import Any


class FakeLoop:
    """What the hub needs of a loop. ``turn`` is one turn, ``run`` is all of them."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], Any]] = []
        self.later: list[tuple[float, Callable[[], Any]]] = []
        self.faults: list[dict[str, Any]] = []

    def call_soon(self, callback: Callable[[], Any]) -> None:
        self.soon.append(callback)

    def call_later(self, delay: float, callback: Callable[[], Any]) -> None:
        self.later.append((delay, callback))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.faults.append(context)

    def turn(self) -> None:
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()

    def run(self) -> int:
        """Turn until nothing is scheduled; how many turns it took."""
        turns = 0
        while self.soon:
            self.turn()
            turns += 1
            assert turns < 10_000, "the loop never comes to rest"
        return turns

    def pass_time(self) -> None:
        """Run what ``call_later`` was given, whatever the delay."""
        later, self.later = self.later, []
        for _, callback in later:
            callback()


class RecordingTransport:
    """``room`` is how many more bytes it takes; None is no end to it.

    ``calls`` names in order what was done to it. ``sent`` is what has left (without a socket).
    To make a method fail, put an exception into ``failing`` under its name.
    """

    def __init__(
        self,
        loop: FakeLoop,
        sock: socket.socket | None = None,
        *,
        room: int | None = None,
        can_half_close: bool = True,
    ) -> None:
        self.loop = loop
        self.sock = sock
        self.room = room
        self.can_half_close = can_half_close
        self.protocol: Any = None
        self.calls: list[str] = []
        self.writes: list[bytes] = []
        self.sent = bytearray()
        self.held = bytearray()
        self.failing: dict[str, Exception] = {}
        self.limits: tuple[int | None, int | None] = (None, None)
        self.paused = False
        self.reading = True
        self.ended = False
        self.closing = False
        self.lost = False

    # -- what the core calls

    def write(self, data: Any) -> None:
        self._note("write")
        assert not self.ended, "write after write_eof"
        assert not self.closing, "write after close"
        self.writes.append(bytes(data))
        self.held += data
        self._push()
        if self.held and not self.paused:
            self.paused = True
            self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self.held)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits = (high, low)

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return self.can_half_close

    def write_eof(self) -> None:
        self._note("write_eof")
        self.ended = True
        if self.sock is not None and not self.held:
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._note("close")
        if not self.closing:
            self.closing = True
            if not self.held:
                self._lose()

    def abort(self) -> None:
        self._note("abort")
        self.closing = True
        self.held.clear()
        self._lose()

    def pause_reading(self) -> None:
        self._note("pause_reading")
        self.reading = False

    def resume_reading(self) -> None:
        self._note("resume_reading")
        self.reading = True

    # -- what a test does

    def give_room(self, room: int | None = None) -> None:
        """The kernel takes ``room`` more bytes (None: all there ever will be)."""
        self.room = None if room is None or self.room is None else self.room + room
        self._push()
        if self.held:
            return
        if self.paused:
            self.paused = False
            self.protocol.resume_writing()
        if self.closing:
            self._lose()

    def lose(self, fault: Exception | None = None) -> None:
        """The socket is gone: what a transport does on a reset by the peer."""
        self.closing = True
        self.held.clear()
        self._lose(fault)

    # -- inside

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.failing:
            raise self.failing[call]

    def _push(self) -> None:
        if self.sock is not None:
            try:
                taken = self.sock.send(self.held) if self.held else 0
            except BlockingIOError:
                taken = 0
            except OSError as fault:
                self.closing = True
                self.held.clear()
                self._lose(fault)
                return
        else:
            taken = len(self.held) if self.room is None else min(self.room, len(self.held))
            self.sent += self.held[:taken]
            if self.room is not None:
                self.room -= taken
        del self.held[:taken]

    def _lose(self, fault: Exception | None = None) -> None:
        if not self.lost:
            self.lost = True
            self.loop.call_soon(lambda: self._tell_lost(fault))

    def _tell_lost(self, fault: Exception | None) -> None:
        # Like uvloop and asyncio: the protocol is told first, then the descriptor is closed.
        if self.protocol is not None:
            self.protocol.connection_lost(fault)
        if self.sock is not None:
            self.sock.close()


class HubSide:
    """The part of a protocol that the hub needs, for tests without a connection."""

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.handle = 0
        self.lost = 0

    def pause_writing(self) -> None:
        self.hub.block(self.handle)

    def resume_writing(self) -> None:
        self.hub.unblock(self.handle)

    def connection_lost(self, fault: Exception | None) -> None:
        self.lost += 1
        self.hub.release(self.handle)
