"""Objects of others as sockets."""

import logging

import pytest
from far_end import RecordingWebSocket
from workbench import Bench, assert_nothing_left

from wsserver.connections.foreign_link import ForeignLink
from wsserver_core.connection import PAUSED_FOR_TURN
from wsserver_core.frames import TEXT, encode_frame
from wsserver_core.outgoing import Frame


@pytest.fixture
def bench() -> Bench:
    return Bench()


class Broken(RecordingWebSocket):
    def write(self, data: bytes) -> None:
        raise OSError("patient 123 is secret")

    def close(self) -> None:
        super().close()
        raise OSError("patient 123 is secret")


def test_frames_leave_in_order_as_bytes(bench: Bench) -> None:
    websocket = RecordingWebSocket()
    link = ForeignLink(bench.manager.hub, websocket)
    assert link.send_frame(Frame(encode_frame(TEXT, b'{"n":1}'))) == 0
    assert link.send_frame(Frame(encode_frame(TEXT, b'{"n":2}'))) == 0
    assert websocket.data == b""
    bench.loop.run()
    assert [message["n"] for message in websocket.messages] == [1, 2]


def test_closing_sends_what_waits_then_the_close_frame_then_closes_the_object_once(bench: Bench) -> None:
    websocket = RecordingWebSocket()
    link = ForeignLink(bench.manager.hub, websocket)
    link.send_frame(Frame(encode_frame(TEXT, b"{}")))
    assert link.close(4021, "bye") is True
    assert link.close(4511) is False
    assert link.send_frame(Frame(encode_frame(TEXT, b"{}"))) != 0
    bench.loop.run()
    assert websocket.frames == [(1, b"{}"), (8, b"\x0f\xb5bye")]
    assert websocket.closed == 1
    link.abort()
    assert websocket.closed == 1
    assert link.is_closing()
    assert bench.manager.hub.open_count == 0


def test_a_second_close_never_drops_the_first_ones_frame(bench: Bench) -> None:
    websocket = RecordingWebSocket()
    link = ForeignLink(bench.manager.hub, websocket)
    link.close(4021)
    assert link.close(4005, "slow consumer", discard=0) is False
    bench.loop.run()
    assert websocket.close_code == 4021


def test_discarding_drops_what_waits_under_its_reason(bench: Bench) -> None:
    websocket = RecordingWebSocket()
    link = ForeignLink(bench.manager.hub, websocket)
    link.send_frame(Frame(encode_frame(TEXT, b"{}")))
    link.close(4005, discard=0)
    bench.loop.run()
    assert [opcode for opcode, _ in websocket.frames] == [8]
    assert bench.manager.hub.frames_dropped["slow"] == 1


def test_a_code_that_may_not_be_sent_is_refused_and_nothing_is_dropped(bench: Bench) -> None:
    websocket = RecordingWebSocket()
    link = ForeignLink(bench.manager.hub, websocket)
    link.send_frame(Frame(encode_frame(TEXT, b"{}")))
    with pytest.raises(ValueError):
        link.close(1006, discard=0)
    bench.loop.run()
    assert [opcode for opcode, _ in websocket.frames] == [1]
    assert not link.is_closing()


def test_an_object_that_fails_is_forgotten_and_holds_up_nobody(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Broken()
    bench.manager.connect(broken, "u0", "doctor", connection_id="broken")
    websockets = [bench.connect(f"u{number}")[1] for number in range(1, 4)]
    with caplog.at_level(logging.DEBUG):
        report = bench.manager.broadcast_to_all({"n": 1})
        bench.loop.run()
    assert [len(one.messages) for one in websockets] == [1, 1, 1]
    assert "broken" not in bench.manager.connections
    assert broken.closed == 1
    assert report.outcome()["dropped"]["closed"] == 1
    assert "secret" not in caplog.text
    assert bench.loop.faults == []
    for one in list(bench.manager.connections):
        bench.manager.disconnect(one)
    assert_nothing_left(bench.manager)


def test_nothing_is_asked_of_the_object_but_write_and_close(bench: Bench) -> None:
    link = ForeignLink(bench.manager.hub, RecordingWebSocket())
    assert link.get_write_buffer_size() == 0
    assert not link.can_write_eof()
    link.write_eof()


def test_nothing_is_read_so_nothing_can_be_held_back(bench: Bench) -> None:
    link = ForeignLink(bench.manager.hub, RecordingWebSocket())
    link.pause_reading(PAUSED_FOR_TURN)
    assert not link.is_paused
    link.resume_reading(PAUSED_FOR_TURN)
