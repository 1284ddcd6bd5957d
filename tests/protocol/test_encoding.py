"""The protocols that clients may speak: the one in JSON."""

import pytest

from wsserver.errors import BINARY_PROTOCOL_ERROR, ServerError
from wsserver.protocol.control import Pong
from wsserver.protocol.encoding import JSON, PROTOCOLS
from wsserver_core.frames import BINARY, TEXT


def test_the_names_of_the_subprotocols() -> None:
    assert PROTOCOLS == ("wsserver.v1.json", "wsserver.v1.bin")
    assert (JSON.protocol, JSON.is_binary) == ("wsserver.v1.json", False)


def test_a_control_message_is_one_text_frame_and_has_no_other_form() -> None:
    frame = JSON.control(Pong(server_time="now", cursor={}), "123")
    assert frame.wire == b'\x81\x2f{"type":"pong","server_time":"now","cursor":{}}'
    assert (frame.binary, frame.subject) == (None, "123")


def test_a_command_is_a_text_frame_and_nothing_else() -> None:
    assert JSON.command(TEXT, b'{"type":"ping"}', 100).request_id is None
    with pytest.raises(ServerError, match="JSON in text frames") as caught:
        JSON.command(BINARY, b'{"type":"ping"}', 100)
    assert caught.value.kind is BINARY_PROTOCOL_ERROR


def test_nothing_is_unpacked() -> None:
    assert JSON.unpacked(BINARY, b"\xff" * 100) == JSON.unpacked(TEXT, b"{}") == 0
