"""One connection: the closing handshake from both sides, as literal bytes."""

import socket

import pytest
from house import CLOSE_1000, HELLO, MASKED_CLOSE_1000, House
from recording_transport import RecordingTransport
from reference_frames import CLOSE, PING, PONG, client_frame

from wsserver_core.connection import PAUSED_FOR_MEMORY, PAUSED_FOR_TURN, Connection
from wsserver_core.outgoing import DROP_REASONS, Frame


class TestTheClientCloses:
    @pytest.mark.parametrize(
        ("frame", "answer", "code", "reason"),
        [
            (MASKED_CLOSE_1000, CLOSE_1000, 1000, ""),
            (b"\x88\x80\0\0\0\0", b"\x88\x00", 1005, ""),
            (client_frame(CLOSE, b"\x0f\xa0bye"), b"\x88\x02\x0f\xa0", 4000, "bye"),
        ],
        ids=["code", "empty", "code and reason"],
    )
    def test_the_code_is_echoed_and_the_server_closes_tcp_first(
        self, house: House, frame: bytes, answer: bytes, code: int, reason: str
    ) -> None:
        connection, transport = house.connect()
        house.feed(connection, frame)
        assert transport.sent == answer
        assert transport.calls == ["write", "close"]
        assert house.sink.closed == [(connection, code, reason)]
        assert connection.is_closed
        assert (connection.close_code, connection.close_reason) == (code, reason)
        assert house.inlet.closing_connections == 0

    def test_what_still_waits_is_counted_as_closed_and_nothing_follows_the_close_frame(
        self, house: House
    ) -> None:
        connection, transport = house.connect(room=1)
        first, second = Frame(b"\x81\x01a"), Frame(b"\x81\x01b")
        connection.send_frame(first)
        house.loop.run()
        connection.send_frame(second)
        house.feed(connection, MASKED_CLOSE_1000 + HELLO + client_frame(PING, b"x"))
        assert connection.send_text(b"c") == 2
        assert connection.close(1001) is False
        transport.give_room()
        house.loop.run()
        assert transport.sent == b"\x81\x01a" + CLOSE_1000
        assert (first.written, second.dropped["closed"]) == (1, 1)
        assert house.sink.events == []

    def test_one_who_never_reads_our_answer_is_dropped_after_the_close_timeout(self, house: House) -> None:
        connection, transport = house.connect(room=0)
        house.feed(connection, MASKED_CLOSE_1000)
        house.inlet.sweep(4.9)
        house.loop.run()
        assert not connection.is_closed
        house.inlet.sweep(5.0)
        house.loop.run()
        assert transport.calls == ["write", "abort"]
        assert house.sink.closed == [(connection, 1000, "")]

    def test_one_who_ends_right_behind_his_close_frame_still_gets_ours(self, house: House) -> None:
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        connection = Connection(house.inlet, house.limits)
        transport = RecordingTransport(house.loop, ours)
        connection.attach(transport, ours.fileno())
        connection.feed(MASKED_CLOSE_1000)
        assert connection.eof_received() is True
        house.loop.run()
        assert peer.recv(10) == CLOSE_1000
        assert transport.calls == ["close"]
        assert house.sink.closed == [(connection, 1000, "")]
        peer.close()

    def test_over_tls_our_answer_is_handed_over_before_the_transport_closes_itself(
        self, house: House
    ) -> None:
        connection, transport = house.connect()
        connection.feed(MASKED_CLOSE_1000)
        assert connection.eof_received() is False
        assert transport.sent == CLOSE_1000


class TestTheServerCloses:
    def test_what_was_queued_leaves_first_and_tcp_is_closed_on_the_answer(self, house: House) -> None:
        connection, transport = house.connect()
        connection.send_text(b"last")
        assert connection.close(4001, "slow down") is True
        house.loop.run()
        assert transport.sent == b"\x81\x04last\x88\x0b\x0f\xa1slow down"
        assert transport.calls == ["write"]
        assert not connection.is_open
        assert house.inlet.closing_connections == 1
        house.feed(connection, client_frame(CLOSE, b"\x0f\xa1"))
        assert transport.calls[1:] == ["close"]
        assert house.sink.closed == [(connection, 4001, "slow down")]
        assert house.inlet.closing_connections == 0

    def test_it_closes_once(self, house: House) -> None:
        connection, transport = house.connect()
        assert connection.close(1000) is True
        assert connection.close(1011) is False
        house.loop.run()
        assert transport.sent == CLOSE_1000
        assert connection.close_code == 1000

    def test_messages_that_cross_the_close_frame_are_ignored_but_the_answer_is_heard(
        self, house: House
    ) -> None:
        connection, transport = house.connect()
        connection.close(1000)
        house.feed(connection, HELLO + client_frame(PING, b"x") + client_frame(PONG) + MASKED_CLOSE_1000)
        assert house.sink.events == []
        assert transport.sent == CLOSE_1000
        assert connection.is_closed

    def test_the_queue_may_be_dropped_under_a_reason(self, house: House) -> None:
        connection, transport = house.connect()
        frame = Frame(b"\x81\x01a")
        connection.send_frame(frame)
        connection.close(4108, "slow consumer", discard=DROP_REASONS.index("slow"))
        house.loop.run()
        assert frame.dropped["slow"] == 1
        assert transport.sent == b"\x88\x0f\x10\x0cslow consumer"

    @pytest.mark.parametrize(
        ("code", "discard"), [(1005, None), (1006, None), (999, None), (1000, -1), (1000, len(DROP_REASONS))]
    )
    def test_what_cannot_be_leaves_the_connection_open(
        self, house: House, code: int, discard: int | None
    ) -> None:
        connection, transport = house.connect()
        with pytest.raises(ValueError, match=r"code|reason"):
            connection.close(code, discard=discard)
        assert connection.is_open
        connection.close(1000)
        house.loop.run()
        assert transport.sent == CLOSE_1000

    def test_one_who_does_not_answer_is_dropped_after_the_close_timeout(self, house: House) -> None:
        house.inlet.close_timeout = 3.0
        house.inlet.sweep(100.0)
        connection, transport = house.connect()
        connection.close(1001)
        house.loop.run()
        house.inlet.sweep(102.9)
        house.loop.run()
        assert "abort" not in transport.calls
        house.inlet.sweep(103.0)
        house.inlet.sweep(104.0)
        house.loop.run()
        assert house.sink.closed == [(connection, 1001, "")]
        assert house.inlet.closing_connections == 0

    def test_deadlines_end_in_the_order_in_which_they_began(self, house: House) -> None:
        first, _ = house.connect()
        second, _ = house.connect()
        first.close(1000)
        house.inlet.sweep(1.0)
        second.close(1000)
        house.inlet.sweep(5.5)
        house.loop.run()
        assert (first.is_closed, second.is_closed) == (True, False)

    def test_one_who_had_been_paused_is_read_again_for_his_answer(self, house: House) -> None:
        connection, transport = house.connect()
        connection.pause_reading(PAUSED_FOR_TURN)
        connection.pause_reading(PAUSED_FOR_MEMORY)
        assert transport.reading is False
        connection.close(1000)
        assert transport.reading is True
        connection.pause_reading(PAUSED_FOR_TURN)
        assert transport.reading is True

    def test_one_who_ends_without_an_answer_gets_what_was_queued(self, house: House) -> None:
        connection, transport = house.connect()
        connection.close(1001)
        connection.eof_received()
        assert transport.sent == b"\x88\x02\x03\xe9"
