"""One connection from the bytes of its client to the bytes it answers, over fake time."""

import gc
import socket
import weakref
from collections.abc import Callable, Iterator

import pytest
from recording_sink import RecordingSink
from recording_transport import FakeLoop, RecordingTransport
from reference_frames import BINARY, CLOSE, PING, PONG, TEXT, client_frame

from wsserver_core.connection import Connection, Inlet
from wsserver_core.frames import ReadLimits, UnfinishedBudget
from wsserver_core.hub import DROP_REASONS, Frame, Hub

HELLO = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
"""The masked "Hello" of RFC 6455 section 5.7."""

CLOSE_1000 = b"\x88\x02\x03\xe8"
MASKED_CLOSE_1000 = b"\x88\x82\0\0\0\0\x03\xe8"


class House:
    """An inlet with its connections; ``limits`` are 1,000 and 10,000 bytes and 8 fragments."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.hub = Hub(self.loop)
        self.sink = RecordingSink()
        self.budget = UnfinishedBudget(100_000)
        self.inlet = Inlet(self.hub, self.sink, self.budget)
        self.limits = ReadLimits(1000, 10_000, 8)

    def connect(self, *, room: int | None = None, half: bool = True) -> tuple[Connection, RecordingTransport]:
        connection = Connection(self.inlet, self.limits)
        transport = RecordingTransport(self.loop, room=room, can_half_close=half)
        connection.attach(transport, -1)
        return connection, transport

    def feed(self, connection: Connection, data: bytes) -> None:
        """Bytes as a transport reads them: into the connection's own buffer."""
        buffer = connection.get_buffer(-1)
        buffer[: len(data)] = data
        connection.buffer_updated(len(data))
        self.loop.run()


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    assert house.loop.faults == []


class TestAttaching:
    def test_the_transport_is_taken_over_and_the_head_leaves_before_anything_else(self, house: House) -> None:
        connection = Connection(house.inlet, house.limits, "owner")
        transport = RecordingTransport(house.loop)
        handle = connection.attach(transport, -1, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        connection.send_text(b"first")
        assert transport.sent == b""
        house.loop.run()
        assert transport.sent == b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05first"
        assert transport.protocol is connection
        assert (connection.handle, connection.owner, connection.transport) == (handle, "owner", transport)
        assert connection.is_open

    def test_the_write_limit_of_a_plain_socket_is_0_so_that_resuming_means_empty(self, house: House) -> None:
        ours, peer = socket.socketpair()
        transport = RecordingTransport(house.loop, ours)
        Connection(house.inlet, house.limits).attach(transport, ours.fileno())
        assert transport.limits == (0, 0)
        ours.close()
        peer.close()

    def test_the_write_limit_of_a_tls_transport_is_1_for_it_pauses_at_the_limit(self, house: House) -> None:
        assert house.connect()[1].limits == (1, 0)

    def test_bytes_that_the_transport_still_holds_go_first(self, house: House) -> None:
        connection = Connection(house.inlet, house.limits)
        transport = RecordingTransport(house.loop, room=0)
        transport.held += b"from before "
        transport.paused = True
        connection.attach(transport, -1)
        connection.send_text(b"x")
        house.loop.run()
        assert transport.calls == []
        transport.give_room(12)
        transport.give_room()
        house.loop.run()
        assert transport.sent == b"from before \x81\x01x"

    def test_it_attaches_once(self, house: House) -> None:
        connection, transport = house.connect()
        with pytest.raises(RuntimeError, match="attached already"):
            connection.attach(transport, -1)

    def test_before_it_is_attached_nothing_can_be_sent_or_ended(self, house: House) -> None:
        connection = Connection(house.inlet, house.limits)
        assert connection.send_text(b"x") == 3
        assert connection.close(1000) is False
        connection.abort()
        connection.pause_reading()
        connection.resume_reading()
        assert connection.figures is None
        assert not connection.is_open
        assert not connection.is_closed


class TestMessages:
    def test_a_text_message_reaches_the_sink(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, HELLO)
        assert house.sink.events == [("message", TEXT, b"Hello")]
        assert (connection.messages_received, connection.bytes_received) == (1, 11)
        assert transport.calls == []

    def test_bytes_that_another_layer_had_read_are_read_first(self, house: House) -> None:
        connection, _ = house.connect()
        connection.feed(HELLO[:4])
        house.feed(connection, HELLO[4:] + client_frame(BINARY, b"\xff"))
        assert house.sink.events == [("message", TEXT, b"Hello"), ("message", BINARY, b"\xff")]

    def test_asyncios_own_loop_delivers_bytes(self, house: House) -> None:
        connection, _ = house.connect()
        connection.data_received(HELLO)
        assert house.sink.events == [("message", TEXT, b"Hello")]

    def test_one_buffer_serves_every_connection(self, house: House) -> None:
        first, _ = house.connect()
        second, _ = house.connect()
        assert first.get_buffer(-1) is second.get_buffer(-1)
        house.feed(first, HELLO[:7])
        house.feed(second, client_frame(TEXT, b"other"))
        house.feed(first, HELLO[7:])
        assert house.sink.events == [("message", TEXT, b"other"), ("message", TEXT, b"Hello")]

    def test_a_message_over_the_limit_is_swallowed_and_reported(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, client_frame(TEXT, b"a" * 1000) + client_frame(TEXT, b"a" * 1001) + HELLO)
        assert [event[0] for event in house.sink.events] == ["message", "oversize", "message"]
        assert house.sink.events[1] == ("oversize", 1001)
        assert transport.calls == []
        assert house.budget.used == 0

    def test_limits_may_be_exchanged_on_an_open_connection(self, house: House) -> None:
        connection, _ = house.connect()
        connection.reader.limits = ReadLimits(5000, 10_000, 8)
        house.feed(connection, client_frame(TEXT, b"a" * 4000))
        assert house.sink.events == [("message", TEXT, b"a" * 4000)]

    def test_received_totals_keep_what_closed_connections_received(self, house: House) -> None:
        first, transport = house.connect()
        second, _ = house.connect()
        house.feed(first, HELLO * 2)
        house.feed(second, HELLO)
        transport.lose()
        house.loop.run()
        assert house.inlet.received_totals() == (3, 33)

    def test_hearing_from_a_client_is_noted_by_the_coarse_clock(self, house: House) -> None:
        connection, _ = house.connect()
        house.inlet.sweep(7.5)
        house.feed(connection, client_frame(PONG))
        assert house.hub.last_received(connection.handle) == 7.5


class TestSending:
    @pytest.mark.parametrize(
        ("send", "wire"),
        [
            (lambda c: c.send_text(b"Hello"), b"\x81\x05Hello"),
            (lambda c: c.send_binary(bytearray(b"\0\xff")), b"\x82\x02\0\xff"),
            (lambda c: c.send_frame(Frame(b"\x81\x00")), b"\x81\x00"),
            (lambda c: c.ping(b"Hello"), b"\x89\x05Hello"),
            (lambda c: c.ping(), b"\x89\x00"),
        ],
        ids=["text", "binary", "frame", "ping", "empty ping"],
    )
    def test_literal_bytes(self, house: House, send: Callable[[Connection], int], wire: bytes) -> None:
        connection, transport = house.connect()
        assert send(connection) == 0
        house.loop.run()
        assert transport.sent == wire
        assert connection.figures == (1, len(wire), 0, 0)


class TestPings:
    def test_a_ping_is_answered_with_its_payload(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
        assert transport.sent == b"\x8a\x05Hello"

    def test_a_ping_between_the_fragments_of_a_message_is_answered_at_once(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, client_frame(TEXT, b"Hel", final=False) + client_frame(PING, b"!"))
        assert transport.sent == b"\x8a\x01!"
        house.feed(connection, client_frame(0, b"lo"))
        assert house.sink.events == [("message", TEXT, b"Hello")]

    def test_pings_that_arrive_together_get_one_pong_for_the_latest(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, b"".join(client_frame(PING, b"x" * size) for size in (1, 3, 2, 5)))
        assert transport.sent == b"\x8a\x05xxxxx"
        assert house.hub.bytes_written == 7

    def test_pings_that_arrive_apart_are_each_answered(self, house: House) -> None:
        connection, transport = house.connect()
        for payload in (b"1", b"2"):
            house.feed(connection, client_frame(PING, payload))
        assert transport.sent == b"\x8a\x011\x8a\x012"

    def test_a_client_that_pings_and_never_reads_holds_one_leaving_and_one_waiting_pong(
        self, house: House
    ) -> None:
        connection, transport = house.connect(room=0)
        for number in range(50):
            house.feed(connection, client_frame(PING, b"p" * (number + 70)))
        figures = connection.figures
        assert figures is not None
        assert figures[2:] == (2, 2 + 70 + 2 + 119)
        transport.give_room()
        house.loop.run()
        assert transport.sent == b"\x8a\x46" + b"p" * 70 + b"\x8a\x77" + b"p" * 119
        assert house.hub.bytes_written == len(transport.sent)

    def test_a_pong_keeps_its_place_among_messages(self, house: House) -> None:
        connection, transport = house.connect(room=0)
        connection.send_text(b"a")
        house.loop.run()
        house.feed(connection, client_frame(PING, b"1"))
        connection.send_text(b"b")
        house.feed(connection, client_frame(PING, b"22"))
        transport.give_room()
        house.loop.run()
        assert transport.sent == b"\x81\x01a\x8a\x0222\x81\x01b"

    def test_a_pong_that_was_dropped_is_not_rewritten(self, house: House) -> None:
        connection, transport = house.connect(room=0)
        connection.send_text(b"a")
        house.loop.run()
        house.feed(connection, client_frame(PING, b"1"))
        house.hub.discard(connection.handle, 0)
        house.feed(connection, client_frame(PING, b"2"))
        transport.give_room()
        house.loop.run()
        assert transport.sent == b"\x81\x01a\x8a\x012"

    def test_a_pong_reaches_the_sink(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, client_frame(PONG, b"beat"))
        assert house.sink.events == [("pong", b"beat")]
        assert transport.calls == []


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
        assert transport.calls == ["resume_reading", "write"]
        assert not connection.is_open
        assert house.inlet.closing_connections == 1
        house.feed(connection, client_frame(CLOSE, b"\x0f\xa1"))
        assert transport.calls[2:] == ["close"]
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
        connection.pause_reading()
        assert transport.reading is False
        connection.close(1000)
        assert transport.reading is True

    def test_one_who_ends_without_an_answer_gets_what_was_queued(self, house: House) -> None:
        connection, transport = house.connect()
        connection.close(1001)
        connection.eof_received()
        assert transport.sent == b"\x88\x02\x03\xe9"


INVALID = [
    (b"\x81\x05Hello", 1002, "frame not masked"),
    (b"\xc1\x80\0\0\0\0", 1002, "reserved bit set"),
    (b"\x83\x80\0\0\0\0", 1002, "unknown opcode"),
    (client_frame(TEXT, b"\xff"), 1007, "text is not UTF-8"),
    (client_frame(CLOSE, b"\x03\xed"), 1002, "close code not allowed"),
    (client_frame(CLOSE, b"\x03\xe8\xff"), 1007, "close reason is not UTF-8"),
    (client_frame(TEXT, declared=10_001), 1009, "message too big"),
    (client_frame(TEXT, b"", final=False) + client_frame(0, final=False) * 8, 1009, "too many fragments"),
]


class TestBrokenProtocol:
    @pytest.mark.parametrize(("data", "code", "reason"), INVALID, ids=[row[2] for row in INVALID])
    def test_the_client_gets_a_close_frame_with_the_code_then_fin(
        self, house: House, data: bytes, code: int, reason: str
    ) -> None:
        connection, transport = house.connect()
        house.feed(connection, data)
        text = reason.encode()
        assert transport.sent == bytes([0x88, 2 + len(text)]) + code.to_bytes(2, "big") + text
        assert transport.calls[-1] == "write_eof"
        assert "close" not in transport.calls
        assert (connection.close_code, connection.close_reason) == (code, reason)

    def test_messages_before_the_fault_are_delivered_and_nothing_after_it_is_heard(
        self, house: House
    ) -> None:
        connection, transport = house.connect()
        house.feed(connection, HELLO + b"\x83\x80\0\0\0\0" + HELLO)
        house.feed(connection, HELLO + client_frame(PING, b"x") + MASKED_CLOSE_1000)
        assert house.sink.events == [("message", TEXT, b"Hello")]
        assert transport.calls.count("write") == 1
        connection.eof_received()
        transport.lose()
        house.loop.run()
        assert house.sink.closed == [(connection, 1002, "unknown opcode")]

    def test_one_who_does_not_leave_is_dropped_after_the_close_timeout(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, b"\x83\x80\0\0\0\0")
        house.inlet.sweep(5.0)
        house.loop.run()
        assert transport.calls[-1] == "abort"
        assert connection.is_closed

    def test_a_transport_without_half_close_is_closed(self, house: House) -> None:
        connection, transport = house.connect(half=False)
        house.feed(connection, b"\x83\x80\0\0\0\0")
        assert transport.calls[-1] == "close"
        assert connection.is_closed

    def test_a_fault_during_our_own_closing_handshake_ends_it_by_fin(self, house: House) -> None:
        connection, transport = house.connect()
        connection.close(4000)
        house.feed(connection, b"\x83\x80\0\0\0\0")
        assert transport.sent == b"\x88\x02\x0f\xa0"
        assert transport.calls[-1] == "write_eof"
        transport.lose()
        house.loop.run()
        assert house.sink.closed == [(connection, 4000, "")]

    def test_one_who_ends_right_behind_his_fault_still_gets_the_close_frame(self, house: House) -> None:
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        connection = Connection(house.inlet, house.limits)
        transport = RecordingTransport(house.loop, ours)
        connection.attach(transport, ours.fileno())
        connection.feed(b"\x81\x00")
        assert connection.eof_received() is True
        house.loop.run()
        assert peer.recv(100) == b"\x88\x12\x03\xeaframe not masked"
        assert transport.calls[-1] == "close"
        assert connection.is_closed
        peer.close()

    def test_the_budget_is_given_back(self, house: House) -> None:
        connection, _ = house.connect()
        house.feed(connection, client_frame(TEXT, b"a" * 500, final=False))
        assert house.budget.used >= 500
        house.feed(connection, b"\xff")
        assert house.budget.used == 0
        assert house.inlet.unfinished_connections == 0

    def test_one_who_would_exceed_the_budget_of_all_is_failed_with_1009(self, house: House) -> None:
        house.budget.limit = 1000
        first, _ = house.connect()
        second, transport = house.connect()
        house.feed(first, client_frame(TEXT, b"a" * 800, final=False))
        house.feed(second, client_frame(TEXT, b"a" * 800, final=False))
        assert transport.sent[2:4] == b"\x03\xf1"
        assert first.is_open
        assert house.budget.used <= 1000


class TestUnfinishedMessages:
    def start_message(self, house: House) -> tuple[Connection, RecordingTransport]:
        connection, transport = house.connect()
        house.feed(connection, client_frame(TEXT, b"a", final=False))
        return connection, transport

    def test_one_not_finished_in_time_fails_with_1009(self, house: House) -> None:
        connection, transport = self.start_message(house)
        house.inlet.sweep(9.9)
        assert connection.is_open
        assert house.inlet.unfinished_connections == 1
        house.inlet.sweep(10.0)
        house.loop.run()
        assert transport.sent == b"\x88\x1e\x03\xf1message not finished in time"
        assert transport.calls[-1] == "write_eof"
        assert house.inlet.unfinished_connections == 0
        assert house.budget.used == 0

    def test_more_fragments_and_pings_do_not_move_the_deadline(self, house: House) -> None:
        connection, _ = self.start_message(house)
        house.inlet.sweep(9.0)
        house.feed(connection, client_frame(0, b"b", final=False) + client_frame(PING))
        house.inlet.sweep(10.0)
        assert connection.close_code == 1009

    def test_half_a_header_has_a_deadline_too(self, house: House) -> None:
        connection, _ = house.connect()
        house.feed(connection, b"\x81")
        house.inlet.sweep(10.0)
        assert connection.close_code == 1009

    def test_a_finished_message_ends_the_deadline(self, house: House) -> None:
        connection, _ = self.start_message(house)
        house.inlet.sweep(9.0)
        house.feed(connection, client_frame(0, b"b"))
        assert house.inlet.unfinished_connections == 0
        house.inlet.sweep(100.0)
        assert connection.is_open

    def test_the_next_message_has_its_own_deadline(self, house: House) -> None:
        connection, _ = self.start_message(house)
        house.inlet.sweep(9.0)
        house.feed(connection, client_frame(0, b"b") + client_frame(TEXT, b"c", final=False))
        house.inlet.sweep(18.0)
        assert connection.is_open
        house.inlet.sweep(19.0)
        assert connection.close_code == 1009

    def test_pings_cut_anywhere_by_the_network_are_no_unfinished_message(self, house: House) -> None:
        connection, _ = house.connect()
        ping = client_frame(PING, b"beat")
        house.feed(connection, ping[:5])
        for second in range(1, 30):
            house.feed(connection, ping[5:] + ping[:5])
            house.inlet.sweep(float(second))
        assert connection.is_open

    def test_only_the_late_are_failed(self, house: House) -> None:
        late, _ = self.start_message(house)
        house.inlet.sweep(5.0)
        early, _ = self.start_message(house)
        house.inlet.sweep(12.0)
        assert (late.close_code, early.close_code) == (1009, 0)

    def test_the_deadline_holds_while_we_wait_for_the_answer_to_our_close(self, house: House) -> None:
        house.inlet.close_timeout = 60.0
        connection, transport = self.start_message(house)
        connection.close(4000)
        house.inlet.sweep(10.0)
        house.loop.run()
        assert transport.calls[-1] == "write_eof"
        assert house.budget.used == 0


class TestRates:
    def test_a_burst_then_the_rate(self, house: House) -> None:
        house.inlet.message_rate, house.inlet.message_burst = 2.0, 3.0
        connection, _ = house.connect()
        house.feed(connection, HELLO * 5)
        assert [event[0] for event in house.sink.events] == ["message"] * 3 + ["message_flood"] * 2
        house.sink.events.clear()
        house.inlet.sweep(1.0)
        house.feed(connection, HELLO * 3)
        assert [event[0] for event in house.sink.events] == ["message"] * 2 + ["message_flood"]
        house.sink.events.clear()
        house.inlet.sweep(1000.0)
        house.feed(connection, HELLO * 4)
        assert [event[0] for event in house.sink.events] == ["message"] * 3 + ["message_flood"]

    def test_pings_and_pongs_share_the_control_rate_and_cost_no_messages(self, house: House) -> None:
        house.inlet.control_burst, house.inlet.message_burst = 2.0, 1.0
        connection, transport = house.connect()
        house.feed(connection, client_frame(PING, b"1") + client_frame(PONG) + client_frame(PING, b"2") + HELLO)
        assert [event[0] for event in house.sink.events] == ["pong", "control_flood", "message"]
        assert transport.sent == b"\x8a\x011"
        house.inlet.sweep(0.1)
        house.feed(connection, client_frame(PING, b"3"))
        assert transport.sent.endswith(b"\x8a\x013")

    def test_a_close_frame_is_heard_whatever_the_rate(self, house: House) -> None:
        house.inlet.control_burst = 0.0
        connection, _ = house.connect()
        house.feed(connection, MASKED_CLOSE_1000)
        assert connection.is_closed

    def test_oversize_messages_cost_like_all_others(self, house: House) -> None:
        house.inlet.message_burst = 1.0
        connection, _ = house.connect()
        house.feed(connection, client_frame(TEXT, b"a" * 1001) * 2)
        assert [event[0] for event in house.sink.events] == ["oversize", "message_flood"]

    def test_a_rate_of_0_is_no_limit(self, house: House) -> None:
        house.inlet.message_rate = house.inlet.control_rate = 0.0
        house.inlet.message_burst = house.inlet.control_burst = 0.0
        connection, _ = house.connect()
        house.feed(connection, HELLO * 300 + client_frame(PONG) * 300)
        assert {event[0] for event in house.sink.events} == {"message", "pong"}

    def test_a_clock_that_goes_back_gives_no_tokens(self, house: House) -> None:
        house.inlet.sweep(100.0)
        house.inlet.message_burst = 1.0
        connection, _ = house.connect()
        house.inlet.sweep(50.0)
        house.feed(connection, HELLO * 2)
        assert [event[0] for event in house.sink.events] == ["message", "message_flood"]


class TestFaultsOfTheSink:
    @pytest.mark.parametrize(
        ("call", "data"),
        [
            ("message", HELLO),
            ("oversize", client_frame(TEXT, b"a" * 1001)),
            ("pong", client_frame(PONG)),
            ("message_flood", HELLO),
            ("control_flood", client_frame(PING)),
        ],
    )
    def test_only_this_client_is_closed_with_1011_and_the_fault_is_reported(
        self, house: House, call: str, data: bytes
    ) -> None:
        def fail(connection: Connection) -> None:
            raise KeyError("patient")

        if call.endswith("flood"):
            house.inlet.message_burst = house.inlet.control_burst = 0.0
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


class TestFlow:
    def test_reading_can_be_paused_and_resumed(self, house: House) -> None:
        connection, transport = house.connect()
        connection.pause_reading()
        connection.resume_reading()
        assert transport.calls == ["pause_reading", "resume_reading"]

    def test_a_closing_transport_is_left_alone(self, house: House) -> None:
        connection, transport = house.connect()
        transport.closing = True
        connection.pause_reading()
        connection.resume_reading()
        assert transport.calls == []

    def test_a_closed_connection_is_freed(self, house: House) -> None:
        class Owner:
            pass

        def connections() -> int:
            gc.collect()
            return sum(isinstance(thing, Connection) for thing in gc.get_objects())

        before = connections()
        connection, transport = house.connect()
        connection.owner = Owner()
        owner = weakref.ref(connection.owner)
        house.feed(connection, HELLO + client_frame(PING, b"x"))
        transport.lose()
        house.loop.run()
        assert owner() is None
        house.sink.closed.clear()
        transport.protocol = None
        del connection
        assert connections() == before
