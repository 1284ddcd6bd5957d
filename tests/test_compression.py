"""``compress_message``: as the specification uses it, and back."""

import json
from typing import Any

import pytest
from fake_clock import FakeClock
from workbench import Workbench

import wsserver
from wsserver.compression import compress_message, decompress_message
from wsserver.errors import BINARY_PROTOCOL_ERROR, INVALID_MESSAGE, MESSAGE_TOO_LARGE, ServerError
from wsserver_core.envelope import CONTROL, decode, encode_message

LARGE = {"type": "report", "text": "sinus rhythm, " * 10_000, "data": [0.5] * 100}


def test_it_is_one_binary_frame_that_clients_read() -> None:
    assert wsserver.compress_message is compress_message
    frame = compress_message(LARGE, clock=FakeClock())
    assert len(frame) < len(json.dumps(LARGE)) / 50
    envelope = decode(frame, max_size=1 << 20, kinds=(CONTROL,))
    assert envelope.body == LARGE
    assert envelope.time == int(FakeClock().time() * 1_000_000)


@pytest.mark.parametrize("message", [LARGE, {}, {"a": [None, True, 1, -0.5, "Zoë", {"b": []}]}])
def test_it_can_be_opened_again(message: dict[str, Any]) -> None:
    assert repr(decompress_message(compress_message(message))) == repr(message)


@pytest.mark.parametrize("message", ["text", b"bytes", None, [1], {"a": float("nan")}, {"a": 2**60}, {1: 2}])
def test_what_json_does_not_have_is_refused(message: Any) -> None:
    with pytest.raises(ServerError) as caught:
        compress_message(message)
    assert caught.value.kind is INVALID_MESSAGE


@pytest.mark.parametrize(
    "frame",
    [b"", b"text", compress_message(LARGE)[:-1], encode_message({}, topic="patient:17", seq=1, time=1)],
)
def test_what_is_no_compressed_message_is_refused(frame: bytes) -> None:
    with pytest.raises(ServerError) as caught:
        decompress_message(frame)
    assert caught.value.kind is BINARY_PROTOCOL_ERROR
    assert "patient" not in str(caught.value)


def test_a_message_that_would_become_too_large_is_refused() -> None:
    with pytest.raises(ServerError) as caught:
        decompress_message(compress_message(LARGE), max_size=100_000)
    assert caught.value.kind is BINARY_PROTOCOL_ERROR


async def test_it_can_be_published_as_the_specification_does() -> None:
    bench = await Workbench().start()
    message: Any = dict(LARGE)
    message_size = len(json.dumps(message))
    if message_size > 100 * 1024:  # 100KB
        message = compress_message(message)
    far_end = bench.newcomer()
    far_end.send(type="connect", token=bench.token(patients=["123"]), subscriptions=["patient:123"])
    await bench.settle()
    far_end.take()
    assert int(await bench.manager.broadcast_to_patient(123, message)) == 1
    await bench.settle()
    (arrived,) = far_end.take()
    assert {name: arrived[name] for name in LARGE} == LARGE


async def test_what_is_published_compressed_is_checked_like_all_else() -> None:
    bench = await Workbench().start()
    for message, kind in (
        ({"type": "error"}, INVALID_MESSAGE),
        ({"_meta": {}}, INVALID_MESSAGE),
        ({"text": "x" * (1 << 20)}, MESSAGE_TOO_LARGE),
    ):
        with pytest.raises(ServerError) as caught:
            bench.manager.broadcast_to_patient(123, compress_message(message))
        assert caught.value.kind is kind
    with pytest.raises(ServerError) as caught:
        bench.manager.broadcast_to_patient(123, b"nonsense")
    assert caught.value.kind is BINARY_PROTOCOL_ERROR
