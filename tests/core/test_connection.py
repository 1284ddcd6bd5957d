"""One connection: taking over, messages, pings and flow."""

import gc
import socket
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from house import HELLO, House
from recording_transport import RecordingTransport
from reference_frames import BINARY, PING, PONG, TEXT, client_frame

from wsserver_core.connection import (
    PAUSED_FOR_CREDENTIALS,
    PAUSED_FOR_MEMORY,
    PAUSED_FOR_RATE,
    PAUSED_FOR_TURN,
    Connection,
)
from wsserver_core.frames import ReadLimits
from wsserver_core.outgoing import Frame


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
        connection.pause_reading(PAUSED_FOR_TURN)
        connection.resume_reading(PAUSED_FOR_TURN)
        assert connection.figures is None
        assert not connection.is_paused
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

    def test_a_transport_that_keeps_what_it_calls_keeps_one_method_for_each_connection(
        self, house: House
    ) -> None:
        kept: list[tuple[Any, Any, Any]] = []

        class Keeping(RecordingTransport):
            def set_protocol(self, protocol: Any) -> None:
                super().set_protocol(protocol)
                kept.append((protocol.data_received, protocol.get_buffer, protocol.buffer_updated))

        for _ in range(2):
            Connection(house.inlet, house.limits).attach(Keeping(house.loop), -1)
        (received, lend, updated), (_, other_lend, other_updated) = kept
        assert received is None
        assert lend is other_lend
        assert updated != other_updated

    def test_a_transport_that_refuses_its_protocol_may_be_asked_what_is_called_afterwards(
        self, house: House
    ) -> None:
        transport = RecordingTransport(house.loop)
        connection = Connection(house.inlet, house.limits)
        transport.set_protocol = lambda protocol: 1 / 0
        with pytest.raises(ZeroDivisionError):
            connection.attach(transport, -1)
        assert connection.data_received is not None

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
            (lambda c: c.send_frame(Frame(b"\x81\x00")), b"\x81\x00"),
            (lambda c: c.ping(b"Hello"), b"\x89\x05Hello"),
            (lambda c: c.ping(), b"\x89\x00"),
        ],
        ids=["text", "frame", "ping", "empty ping"],
    )
    def test_literal_bytes(self, house: House, send: Callable[[Connection], int], wire: bytes) -> None:
        connection, transport = house.connect()
        assert send(connection) == 0
        house.loop.run()
        assert transport.sent == wire
        assert connection.figures == (1, len(wire), 0, 0)

    def test_a_binary_connection_gets_the_binary_form(self, house: House) -> None:
        connection, transport = house.connect(binary=True)
        assert connection.is_binary
        assert house.hub.is_binary(connection.handle)
        assert connection.send_binary(bytearray(b"\0\xff")) == 0
        assert connection.send_frame(Frame(b"\x81\x01t", binary=b"\x82\x01b")) == 0
        connection.ping(b"p")
        house.feed(connection, client_frame(PING, b"q"))
        connection.close(1000)
        house.loop.run()
        assert transport.sent == b"\x82\x02\0\xff\x82\x01b\x89\x01p\x8a\x01q\x88\x02\x03\xe8"

    def test_neither_kind_of_connection_is_given_what_is_said_in_the_other(self, house: House) -> None:
        connection, transport = house.connect()
        other, other_transport = house.connect(binary=True)
        with pytest.raises(ValueError, match="form"):
            connection.send_binary(b"x")
        with pytest.raises(ValueError, match="form"):
            other.send_text(b"x")
        house.loop.run()
        assert transport.sent == other_transport.sent == b""
        assert connection.figures == other.figures == (0, 0, 0, 0)

    def test_the_head_of_the_upgrade_is_the_same_for_both(self, house: House) -> None:
        connection = Connection(house.inlet, house.limits, None, True)
        transport = RecordingTransport(house.loop)
        connection.attach(transport, -1, b"HTTP/1.1 101\r\n\r\n")
        house.loop.run()
        assert transport.sent == b"HTTP/1.1 101\r\n\r\n"


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


class TestFlow:
    def test_reading_can_be_paused_and_resumed(self, house: House) -> None:
        connection, transport = house.connect()
        connection.pause_reading(PAUSED_FOR_TURN)
        assert connection.is_paused
        connection.resume_reading(PAUSED_FOR_TURN)
        assert not connection.is_paused
        assert transport.calls == ["pause_reading", "resume_reading"]

    def test_reading_goes_on_when_nobody_holds_it_back_any_more(self, house: House) -> None:
        connection, transport = house.connect()
        reasons = [PAUSED_FOR_TURN, PAUSED_FOR_CREDENTIALS, PAUSED_FOR_RATE, PAUSED_FOR_MEMORY]
        for reason in reasons:
            connection.pause_reading(reason)
            connection.pause_reading(reason)
        for reason in reasons[:-1]:
            connection.resume_reading(reason)
            connection.resume_reading(reason)
        assert connection.is_paused
        assert transport.calls == ["pause_reading"]
        connection.resume_reading(reasons[-1])
        assert transport.calls == ["pause_reading", "resume_reading"]

    def test_who_never_paused_resumes_nothing(self, house: House) -> None:
        connection, transport = house.connect()
        connection.resume_reading(PAUSED_FOR_TURN)
        connection.pause_reading(PAUSED_FOR_RATE)
        connection.resume_reading(PAUSED_FOR_TURN)
        assert connection.is_paused
        assert transport.calls == ["pause_reading"]

    def test_a_silence_of_our_making_does_not_count_against_the_client(self, house: House) -> None:
        connection, _ = house.connect()
        connection.pause_reading(PAUSED_FOR_RATE)
        house.inlet.sweep(100.0)
        connection.resume_reading(PAUSED_FOR_RATE)
        assert house.hub.last_received(connection.handle) == 100.0

    def test_a_reason_is_a_bit_of_a_byte(self, house: House) -> None:
        connection, _ = house.connect()
        with pytest.raises(OverflowError):
            connection.pause_reading(256)

    def test_a_closing_transport_is_left_alone(self, house: House) -> None:
        connection, transport = house.connect()
        transport.closing = True
        connection.pause_reading(PAUSED_FOR_TURN)
        connection.resume_reading(PAUSED_FOR_TURN)
        assert transport.calls == []

    def test_a_lost_connection_is_not_paused(self, house: House) -> None:
        connection, transport = house.connect()
        connection.pause_reading(PAUSED_FOR_TURN)
        transport.lose()
        house.loop.run()
        assert not connection.is_paused
        connection.resume_reading(PAUSED_FOR_TURN)

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
