"""Threat M6: connect, subscribe, publish and close over and over, and nothing stays behind.

Half the connections send on real socket pairs, half through a transport; some end with
frames in their queue, in the transport or in the middle of a message. After a warm-up the
process may grow by 1 MiB at most, whatever the number of cycles.
"""

import gc
import socket
import sys
import tracemalloc
from collections.abc import Callable

import psutil
import pytest
from recording_sink import RecordingSink
from recording_transport import FakeLoop, RecordingTransport
from reference_frames import BINARY, PING, TEXT, client_frame, reference_encode

from wsserver_core.connection import Connection
from wsserver_core.filters import FilterInterner, FilterLimits
from wsserver_core.frames import ReadLimits, UnfinishedBudget
from wsserver_core.hub import Hub
from wsserver_core.inlet import Inlet
from wsserver_core.outgoing import Frame
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import ScopeTable
from wsserver_core.topics import TopicIndex

BATCH = 50
RSS_TOLERANCE = 1 << 20
MASKED_CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"


class Ward:
    """The core as a server uses it, without a server."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.hub = Hub(self.loop, max_queue_messages=200)
        self.hub.on_overflow = lambda connection: connection.close(4108, "slow consumer", discard=0)
        self.sink = RecordingSink()
        self.budget = UnfinishedBudget(1 << 20)
        self.inlet = Inlet(self.hub, self.sink, self.budget)
        self.limits = ReadLimits(1000, 10_000, 8)
        self.index = TopicIndex()
        self.scopes = ScopeTable()
        self.filters = FilterInterner(FilterLimits())
        self.recipients = Recipients()
        self.cycles = 0

    def cycle(self) -> None:
        """``BATCH`` connections from first byte to last."""
        peers, connections, subscriptions, programs = [], [], [], []
        for place in range(BATCH):
            connection = Connection(self.inlet, self.limits, {"place": place})
            if place % 2:
                ours, peer = socket.socketpair()
                ours.setblocking(False)
                peers.append(peer)
                if place % 10 == 1:
                    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                connection.attach(
                    RecordingTransport(self.loop, ours), ours.fileno(), b"HTTP/1.1 101 \r\n\r\n"
                )
            else:
                room = 100 if place % 10 == 0 else None
                connection.attach(RecordingTransport(self.loop, room=room), -1, b"HTTP/1.1 101 \r\n\r\n")
            connections.append(connection)
            # Names that were never seen before: a table that forgets nothing would grow.
            patient = f"p{self.cycles}-{place}"
            scope = self.scopes.intern(None if place % 3 == 0 else [patient, "shared"])
            program = self.filters.intern({"severity": ["high", patient]} if place % 4 == 0 else {})
            programs.append(program)
            self.index.admit(connection.handle, scope, connection)
            addresses = [("patient", patient), ("patient", "shared"), ("patient", "*"), ("ecg", patient)]
            subscriptions += [
                self.index.add(connection.handle, *address, program, 0.0) for address in addresses
            ]
            if place % 5 == 0:
                ended = self.index.rescope(connection.handle, self.scopes.intern([patient]))
                assert [record.target_id for record in ended] == ["shared"]
        for number in range(40):
            message = {"severity": "high", "value": number}
            self.index.select("patient", "shared", "shared", message, {}, self.recipients)
            frame = Frame(reference_encode(BINARY, b"%d" % number + bytes(500 * (number % 5))))
            self.hub.enqueue_many(self.recipients, frame)
            if number % 8 == 0:
                self.loop.run()
        for place, connection in enumerate(connections):
            connection.feed(client_frame(TEXT, b"hello") + client_frame(PING, b"beat"))
            connection.feed(client_frame(TEXT, b"x" * 300, final=place % 5 != 0))
        for number in subscriptions[::2]:
            if self.index.record(number) is not None:
                fresh = self.filters.intern({"heart_rate": {"$gt": number & 0xFFFF}})
                programs.append(fresh)
                self.index.replace(number, fresh, 1.0)
        for number in subscriptions:
            self.index.remove(number)
        for connection in connections:
            assert self.index.dismiss(connection.handle)
        for program in programs:
            self.filters.release(program)
        self.end(connections)
        for peer in peers:
            peer.close()
        self.sink.events.clear()
        self.sink.closed.clear()
        self.cycles += 1

    def end(self, connections: list[Connection]) -> None:
        for place, connection in enumerate(connections):
            match place % 7:
                case 0:
                    connection.abort()
                case 1:
                    connection.close(4000, "bye")
                    connection.feed(MASKED_CLOSE)
                case 2:
                    connection.feed(MASKED_CLOSE)
                case 3:
                    connection.feed(b"\xff\xff")
                case 4:
                    connection.transport.lose(ConnectionResetError())
                case 5:
                    connection.eof_received()
                    connection.transport.close()
                case 6:
                    connection.send_text(b"never sent")
        self.loop.run()
        self.inlet.abort_all()
        self.loop.run()

    def check(self) -> None:
        """Every table is empty."""
        assert self.loop.faults == []
        assert (self.hub.open_count, self.hub.frames_queued, self.hub.dirty_connections) == (0, 0, 0)
        assert self.hub.stalled_connections == self.hub.slow_count == self.hub.pinned_bytes == 0
        assert self.hub.top == BATCH
        assert set(self.index.sizes().values()) == {0}
        assert (len(self.filters), len(self.scopes)) == (0, 0)
        assert (self.inlet.unfinished_connections, self.inlet.closing_connections) == (0, 0)
        assert self.budget.used == 0

    def run(self, connections: int) -> None:
        for _ in range(connections // BATCH):
            self.cycle()
        self.recipients.clear()
        self.check()
        gc.collect()


def drift(measure: Callable[[], int], connections: int) -> int:
    """How much ``measure`` grows over so many connections, after a warm-up."""
    ward = Ward()
    ward.run(2_000)
    before = measure()
    ward.run(connections)
    return measure() - before


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_no_memory_is_lost_over_5000_connections() -> None:
    assert drift(resident, 5_000) < RSS_TOLERANCE


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_no_memory_is_lost_over_100000_connections() -> None:
    assert drift(resident, 100_000) < RSS_TOLERANCE


def test_no_python_object_is_left_behind() -> None:
    """A leak of one object per connection would be 1,000; a cache that fills up late is a few."""
    assert drift(sys.getallocatedblocks, 1_000) < 100


def test_no_block_of_the_core_is_left_behind() -> None:
    """The queues and tables are allocated where tracemalloc sees them; one block each would be 16 kB."""
    tracemalloc.start()
    try:
        ward = Ward()
        ward.run(300)
        before = tracemalloc.get_traced_memory()[0]
        ward.run(1_000)
        assert tracemalloc.get_traced_memory()[0] - before < 8_000
    finally:
        tracemalloc.stop()
