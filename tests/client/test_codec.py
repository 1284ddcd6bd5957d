"""What goes over the wire as text, and what is refused before it does."""

import pytest

from wsserver.client.codec import BINARY, JSON, Codec, NotOurs
from wsserver.client.errors import InvalidOption
from wsserver.client.identity import Identity, websocket_url
from wsserver.client.json_text import encode_json
from wsserver.client.topic import Topic


def test_json_is_compact_and_keeps_its_characters() -> None:
    assert encode_json({"a": [1, 2.5, None, True], "é": "ü\u2028"}) == '{"a":[1,2.5,null,true],"é":"ü\u2028"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", b"x", object(), {1, 2}])
def test_what_is_no_json_is_refused_without_being_quoted(value) -> None:
    with pytest.raises(InvalidOption) as refused:
        encode_json({"canary": value})
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_nesting_without_end_is_refused() -> None:
    loop: dict[str, object] = {}
    loop["a"] = loop
    with pytest.raises(InvalidOption):
        encode_json(loop)


def test_json_alone_is_offered_unless_binary_is_asked_for() -> None:
    assert Codec(1000).protocols("json") == [JSON]
    assert Codec(1000).protocols("auto")[-1] == JSON
    assert set(Codec(1000).protocols("auto")) <= {BINARY, JSON}


@pytest.mark.parametrize("frame", ["", "[]", "3", "{", b"", b"\xb1\x01"])
def test_other_frames_are_not_ours(frame) -> None:
    with pytest.raises(NotOurs):
        Codec(1000).decode(frame)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("ws://h", "ws://h/ws/connect"),
        ("https://h:1/", "wss://h:1/ws/connect"),
        ("http://h/ws/connect", "ws://h/ws/connect"),
        ("wss://h/prefix/ws/connect?a=1", "wss://h/prefix/ws/connect?a=1"),
    ],
)
def test_addresses(given: str, url: str) -> None:
    assert websocket_url(given) == url


@pytest.mark.parametrize(
    "given", ["", "h", "ftp://canary", "ws://", "ws://h:canary", "http://[canary", None, 3]
)
def test_what_is_no_address_is_refused_without_being_quoted(given) -> None:
    with pytest.raises(InvalidOption, match="url") as refused:
        websocket_url(given)
    assert "canary" not in str(refused.value)


def test_an_identity_shows_nothing_of_itself() -> None:
    assert "canary" not in repr(Identity("ws://h", "canary", "canary", "canary"))


@pytest.mark.parametrize(
    ("given", "topic", "text"),
    [
        (("patient", "123"), ("patient", "123"), "patient:123"),
        (("patient", 123), ("patient", "123"), "patient:123"),
        (("patient:123",), ("patient", "123"), "patient:123"),
        (("patient:*",), ("patient", "*"), "patient:*"),
        (("type:ecg",), ("ecg", "*"), "type:ecg"),
        (("ecg",), ("ecg", "*"), "type:ecg"),
        (("type", "ecg"), ("ecg", "*"), "type:ecg"),
        (("ecg:bed-7",), ("ecg", "bed-7"), "ecg:bed-7"),
        (("*",), ("*", "*"), "*"),
        (("patient:a:b",), ("patient", "a:b"), "patient:a:b"),
    ],
)
def test_topics(given, topic, text: str) -> None:
    made = Topic.of(*given)
    assert (made, made.text) == (topic, text)


@pytest.mark.parametrize(
    "given", [("",), ("patient",), ("patient:",), ("patient:1", "2"), ("patient", True), ("ecg", 1.5), (3,)]
)
def test_what_is_no_topic_is_refused(given) -> None:
    with pytest.raises(InvalidOption):
        Topic.of(*given)
