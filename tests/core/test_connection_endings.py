"""One connection: every way in which it can end, faults of the sink included."""

import socket
from collections.abc import Callable

import pytest
from house import HELLO, MASKED_CLOSE_1000, House
from recording_transport import RecordingTransport
from reference_frames import PING, PONG, TEXT, client_frame

from wsserver_core.buckets import CONTROL, MESSAGES
from wsserver_core.connection import Connection
from wsserver_core.inlet import Inlet
from wsserver_core.outgoing import Frame


class TestFaultsOfTheSink:
    @pytest.mark.parametrize(
        ("call", "data"),
        [
            ("message", HELLO),
            ("oversize", client_frame(TEXT, b"a" * 1001)),
            ("pong", client_frame(PONG)),
            ("message_flood", HELLO),
            ("control_flood", client_frame(PONG)),
        ],
    )
    def test_only_this_client_is_closed_with_1011_and_the_fault_is_reported(
        self, house: House, call: str, data: bytes
    ) -> None:
        def fail(connection: Connection) -> None:
            raise KeyError("patient")

        if call.endswith("flood"):
            for kind in (MESSAGES, CONTROL):
                house.inlet.limits.set(kind, 1.0, 1.0)
        house.sink.on[call] = fail
        connection, transport = house.connect()
        other, other_transport = house.connect()
        house.feed(connection, data * 2)
        assert transport.sent == b"\x88\x02\x03\xf3"
        faults, house.loop.faults = house.loop.faults, []
        assert [str(context["exception"]) for context in faults] == ["'patient'"]
        assert other.is_open
        assert other_transport.calls == []
        house.feed(connection, MASKED_CLOSE_1000)
        assert house.sink.closed == [(connection, 1011, "")]

    def test_a_fault_at_the_end_leaves_nothing_behind(self, house: House) -> None:
        def fail(connection: Connection) -> None:
            raise KeyError

        house.sink.on["closed"] = fail
        connection, transport = house.connect()
        house.feed(connection, client_frame(TEXT, b"a", final=False))
        transport.lose()
        with pytest.raises(KeyError):
            house.loop.run()
        assert (house.hub.open_count, house.budget.used, house.inlet.unfinished_connections) == (0, 0, 0)
        assert connection.is_closed
        connection.connection_lost(None)
        assert len(house.sink.closed) == 1


def lose(house: House, connection: Connection, transport: RecordingTransport) -> None:
    transport.lose(ConnectionResetError())


def end_without_close(house: House, connection: Connection, transport: RecordingTransport) -> None:
    assert connection.eof_received() is False
    transport.close()


def close_by_client(house: House, connection: Connection, transport: RecordingTransport) -> None:
    house.feed(connection, MASKED_CLOSE_1000)


def close_by_server(house: House, connection: Connection, transport: RecordingTransport) -> None:
    connection.close(4000)
    house.feed(connection, MASKED_CLOSE_1000)


def close_unanswered(house: House, connection: Connection, transport: RecordingTransport) -> None:
    connection.close(4000)
    house.inlet.sweep(house.hub.now + 60)


def break_protocol(house: House, connection: Connection, transport: RecordingTransport) -> None:
    house.feed(connection, b"\xff\xff")
    house.inlet.sweep(house.hub.now + 60)


def abort(house: House, connection: Connection, transport: RecordingTransport) -> None:
    connection.abort()


def abort_all(house: House, connection: Connection, transport: RecordingTransport) -> None:
    house.inlet.abort_all()


def abort_while_closing(house: House, connection: Connection, transport: RecordingTransport) -> None:
    connection.close(4000)
    connection.abort()
    connection.abort()


def abort_in_the_sink(house: House, connection: Connection, transport: RecordingTransport) -> None:
    house.sink.on["message"] = lambda connection: connection.abort()
    house.feed(connection, HELLO + HELLO + MASKED_CLOSE_1000)


def fail_in_the_sink(house: House, connection: Connection, transport: RecordingTransport) -> None:
    house.sink.on["message"] = lambda connection: connection.fail(1008)
    house.feed(connection, HELLO + HELLO + MASKED_CLOSE_1000)
    transport.lose()


ENDINGS = [
    (lose, 1006),
    (end_without_close, 1006),
    (close_by_client, 1000),
    (close_by_server, 4000),
    (close_unanswered, 4000),
    (break_protocol, 1002),
    (abort, 1006),
    (abort_all, 1006),
    (abort_while_closing, 4000),
    (abort_in_the_sink, 1006),
    (fail_in_the_sink, 1008),
]


class TestEndings:
    @pytest.mark.parametrize(("end", "code"), ENDINGS, ids=[row[0].__name__ for row in ENDINGS])
    @pytest.mark.parametrize("room", [None, 0, 3], ids=["reading", "full", "nearly full"])
    def test_the_sink_is_told_exactly_once_and_nothing_is_left(
        self, house: House, end: Callable[[House, Connection, RecordingTransport], None], code: int, room: int
    ) -> None:
        connection, transport = house.connect(room=room)
        frame = Frame(b"\x81\x05Hello")
        for _ in range(3):
            connection.send_frame(frame)
            house.loop.run()
        if end is not abort_in_the_sink and end is not fail_in_the_sink:
            connection.ping()
            house.feed(connection, client_frame(PING, b"x"))
        end(house, connection, transport)
        house.loop.run()
        house.inlet.sweep(house.hub.now + 100)
        house.loop.run()
        transport.lose()
        connection.connection_lost(None)
        house.loop.run()
        assert [(closed, ended) for closed, ended, _ in house.sink.closed] == [(connection, code)]
        assert connection.is_closed
        assert not connection.is_open
        assert connection.transport is None
        assert connection.owner is None
        assert connection.figures is None
        assert connection.send_text(b"x") == 3
        assert connection.close(1000) is False
        connection.fail(1002)
        connection.abort()
        connection.feed(HELLO)
        assert frame.queued == 0
        assert frame.written + sum(frame.dropped.values()) == 3
        assert house.hub.frames_queued == house.hub.open_count == 0
        assert house.inlet.closing_connections == house.inlet.unfinished_connections == 0
        assert house.budget.used == 0

    def test_an_abort_forgets_the_descriptor_at_once(self, house: House) -> None:
        ours, peer = socket.socketpair()
        connection = Connection(house.inlet, house.limits)
        connection.attach(RecordingTransport(house.loop, ours), ours.fileno())
        connection.send_text(b"x")
        connection.abort()
        assert house.hub.fileno(connection.handle) == -1
        house.hub.flush_all()
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(1)
        ours.close()
        peer.close()

    def test_the_end_of_the_peers_half_forgets_the_descriptor(self, house: House) -> None:
        ours, peer = socket.socketpair()
        connection = Connection(house.inlet, house.limits)
        connection.attach(RecordingTransport(house.loop, ours), ours.fileno())
        connection.send_text(b"x")
        assert connection.eof_received() is False
        assert house.hub.fileno(connection.handle) == -1
        assert connection.send_text(b"y") == 2
        ours.close()
        peer.close()

    def test_abort_all_ends_the_connections_of_this_inlet_and_no_others(self, house: House) -> None:
        mine = [house.connect()[0] for _ in range(3)]
        other_inlet = Inlet(house.hub, house.sink, house.budget)
        other = Connection(other_inlet, house.limits)
        other.attach(RecordingTransport(house.loop), -1)
        house.inlet.abort_all()
        house.loop.run()
        assert [connection.is_closed for connection in (*mine, other)] == [True, True, True, False]
