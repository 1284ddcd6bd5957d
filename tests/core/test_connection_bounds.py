"""One connection: what breaks the protocol, deadlines and rates."""

import socket

import pytest
from house import HELLO, MASKED_CLOSE_1000, House
from recording_transport import RecordingTransport
from reference_frames import CLOSE, PING, PONG, TEXT, client_frame

from wsserver_core.buckets import BYTES, CONTROL, KINDS, MESSAGES, SUBSCRIBES
from wsserver_core.connection import PAUSED_FOR_TURN, Connection

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
    def names(self, house: House) -> list[str]:
        """What the sink was told since the last time."""
        told = [event[0] for event in house.sink.events]
        house.sink.events.clear()
        return told

    def test_a_burst_then_the_rate(self, house: House) -> None:
        house.inlet.limits.set(MESSAGES, 2.0, 3.0)
        connection, _ = house.connect()
        house.feed(connection, HELLO * 5)
        assert self.names(house) == ["message"] * 3 + ["message_flood"] * 2
        house.inlet.sweep(1.0)
        house.feed(connection, HELLO * 3)
        assert self.names(house) == ["message"] * 2 + ["message_flood"]
        house.inlet.sweep(1000.0)
        house.feed(connection, HELLO * 4)
        assert self.names(house) == ["message"] * 3 + ["message_flood"]

    def test_whoever_is_refused_learns_how_long_to_wait(self, house: House) -> None:
        house.inlet.limits.set(MESSAGES, 2.0, 1.0)
        house.inlet.limits.set(CONTROL, 4.0, 1.0)
        connection, _ = house.connect()
        house.feed(connection, (HELLO + client_frame(PONG)) * 2)
        assert house.sink.events[2:] == [("message_flood", 0.5), ("control_flood", 0.25)]

    def test_pings_and_pongs_share_the_control_rate_and_cost_no_messages(self, house: House) -> None:
        house.inlet.limits.set(CONTROL, 10.0, 2.0)
        house.inlet.limits.set(MESSAGES, 50.0, 1.0)
        connection, transport = house.connect()
        house.feed(
            connection, client_frame(PING, b"1") + client_frame(PONG) + client_frame(PING, b"2") + HELLO
        )
        assert self.names(house) == ["pong", "control_flood", "message"]
        assert transport.sent == b"\x8a\x011"
        house.inlet.sweep(0.1)
        house.feed(connection, client_frame(PING, b"3"))
        assert transport.sent.endswith(b"\x8a\x013")

    def test_a_close_frame_is_heard_whatever_the_rate(self, house: House) -> None:
        house.inlet.limits.set(CONTROL, 1.0, 1.0)
        connection, _ = house.connect()
        house.feed(connection, client_frame(PONG) * 2 + MASKED_CLOSE_1000)
        assert self.names(house) == ["pong", "control_flood"]
        assert connection.is_closed

    def test_oversize_messages_cost_like_all_others(self, house: House) -> None:
        house.inlet.limits.set(MESSAGES, 50.0, 1.0)
        connection, _ = house.connect()
        house.feed(connection, client_frame(TEXT, b"a" * 1001) * 2)
        assert self.names(house) == ["oversize", "message_flood"]

    def test_without_rates_nothing_is_limited(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, HELLO * 3000 + client_frame(PONG) * 3000)
        assert set(self.names(house)) == {"message", "pong"}
        assert "pause_reading" not in transport.calls

    def test_a_clock_that_goes_back_gives_nothing(self, house: House) -> None:
        house.inlet.sweep(100.0)
        house.inlet.limits.set(MESSAGES, 50.0, 1.0)
        connection, _ = house.connect()
        house.feed(connection, HELLO * 2)
        house.inlet.sweep(50.0)
        house.feed(connection, HELLO)
        assert self.names(house) == ["message", "message_flood", "message_flood"]

    def test_each_connection_has_buckets_of_its_own(self, house: House) -> None:
        house.inlet.limits.set(SUBSCRIBES, 1.0, 3.0)
        one, other = house.connect()[0], house.connect()[0]
        assert one.spend(SUBSCRIBES, 2.0) == 0
        assert one.spend(SUBSCRIBES, 2.0) == 1.0
        assert one.charge(SUBSCRIBES, 2.0) == 2.5
        assert other.spend(SUBSCRIBES, 3.0) == 0
        for take in (one.spend, one.charge):
            with pytest.raises(ValueError, match="no such kind"):
                take(KINDS, 1.0)


class TestBytes:
    """Rates of 100 bytes a second and 200 at once; "Hello" in its frame takes 11."""

    @pytest.fixture(autouse=True)
    def limit(self, house: House) -> None:
        house.inlet.limits.set(BYTES, 100.0, 200.0)

    def test_a_client_beyond_the_rate_is_not_read_until_its_bucket_is_half_full(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, HELLO * 18)
        assert not connection.is_paused
        house.feed(connection, HELLO * 2)
        assert len(house.sink.events) == 20, "what has been read counts"
        assert (transport.reading, connection.is_paused) == (False, True)
        assert (house.inlet.throttles, house.inlet.throttled_connections) == (1, 1)
        # 220 bytes are owed, and 100 may be when half is there.
        house.inlet.sweep(1.0)
        assert not transport.reading
        house.inlet.sweep(1.25)
        assert (transport.reading, connection.is_paused) == (True, False)
        assert house.inlet.throttled_connections == 0

    def test_in_the_long_run_the_rate_is_what_comes_through(self, house: House) -> None:
        connection, transport = house.connect()
        read, now = 0, 0.0
        while now < 100.0:
            while transport.reading:
                house.feed(connection, HELLO * 5)
                read += 55
            now += 0.25
            house.inlet.sweep(now)
        assert 100 * 100.0 <= read <= 100 * 100.0 + 200 + 55

    def test_what_a_closing_connection_sends_counts_as_well(self, house: House) -> None:
        connection, transport = house.connect()
        connection.close(4110)
        house.feed(connection, HELLO * 20)
        assert house.sink.events == []
        assert not transport.reading
        house.inlet.sweep(2.0)
        assert transport.reading
        house.feed(connection, MASKED_CLOSE_1000)
        assert connection.is_closed

    def test_closing_does_not_lift_the_brake(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, HELLO * 20)
        connection.close(1000)
        assert not transport.reading
        house.inlet.sweep(2.0)
        assert transport.reading

    def test_one_who_is_not_listened_to_any_more_is_slowed_down_too(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, b"\x81\x05Hello")
        assert connection.close_code == 1002
        house.feed(connection, HELLO * 20)
        assert not transport.reading

    def test_a_throttled_connection_that_is_lost_is_forgotten(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, HELLO * 20)
        transport.lose()
        house.loop.run()
        assert house.inlet.throttled_connections == 0
        house.inlet.sweep(10.0)

    def test_of_two_waits_the_longer_counts(self, house: House) -> None:
        connection, transport = house.connect()
        for seconds in (5.0, 2.0, 7.0, 3.0):
            connection.throttle(seconds)
        assert house.inlet.throttles == 1
        house.inlet.sweep(6.75)
        assert not transport.reading
        house.inlet.sweep(7.0)
        assert transport.reading

    def test_new_rates_free_everybody(self, house: House) -> None:
        connection, transport = house.connect()
        connection.throttle(1e6)
        house.inlet.release_throttled()
        house.inlet.sweep(0.25)
        assert transport.reading

    def test_only_an_attached_connection_can_be_throttled(self, house: House) -> None:
        connection = Connection(house.inlet, house.limits)
        connection.throttle(1.0)
        assert not connection.is_paused
        gone, transport = house.connect()
        transport.lose()
        house.loop.run()
        gone.throttle(1.0)
        assert house.inlet.throttled_connections == 0

    def test_a_message_that_we_hold_up_gets_its_time_afterwards(self, house: House) -> None:
        connection, transport = house.connect()
        house.feed(connection, client_frame(TEXT, b"x" * 300, final=False))
        connection.throttle(9.5)
        connection.pause_reading(PAUSED_FOR_TURN)
        house.inlet.sweep(10.0)
        assert connection.is_open, "it is we who do not read on"
        connection.resume_reading(PAUSED_FOR_TURN)
        assert transport.reading
        house.inlet.sweep(19.75)
        assert connection.is_open
        house.inlet.sweep(20.0)
        assert connection.close_code == 1009
