"""The binary protocol as the server speaks and hears it. The frames themselves are the core's."""

import struct
from typing import Any

import msgspec
import pytest
from fake_clock import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from wsserver.clock import microseconds, utc_text
from wsserver.errors import BINARY_PROTOCOL_ERROR, INVALID_MESSAGE, ServerError
from wsserver.protocol import commands, control
from wsserver.protocol.binary_encoding import BinaryEncoding
from wsserver.protocol.commands import CommandError, decode_command
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.meta import Meta
from wsserver_core.envelope import decode, encode_control, encode_message
from wsserver_core.frames import BINARY, TEXT, encode_frame
from wsserver_core.outgoing import Frame

MOMENT = 1_767_225_600.123456
GAP = control.Gap(log="k", reason="restart")
VIEW = control.SubscriptionView(subscription_id="s", subscription_type="t", target_id="*", filters={})


@pytest.fixture
def encoding() -> BinaryEncoding:
    clock = FakeClock()
    clock.wall = MOMENT
    return BinaryEncoding(clock)


def meta_of(body: dict[str, Any], at: float = MOMENT) -> Meta:
    return Meta("m_1", body.get("topic", "ecg:*"), "k3f9v", 42, utc_text(at))


def read(wire: bytes, size: int) -> Any:
    """What is in one server frame of a binary message; ``size`` is that of its header."""
    assert wire[0] == 0x82
    return decode(wire[size:], max_size=1 << 20)


class TestWhatTheServerSays:
    def test_a_control_message_is_kind_3_with_the_time_and_no_place(self, encoding: BinaryEncoding) -> None:
        frame = encoding.control(control.TokenExpiring(expires_in=60.0), "123")
        body = b"\x82\xa4type\xaetoken_expiring\xaaexpires_in\xcb@N\0\0\0\0\0\0"
        header = struct.pack("<BBBBIQqII", 0xB1, 3, 0, 0, 0, 0, microseconds(MOMENT), len(body), len(body))
        assert frame.binary == bytes([0x82, len(header + body)]) + header + body
        assert frame.subject == "123"
        with pytest.raises(ValueError, match="binary protocol"):
            _ = frame.wire

    @pytest.mark.parametrize(
        "message",
        [
            control.Pong(request_id="r1", t=1.5, server_time="now", cursor={"k": 2**53}),
            control.Gap(log="k", topic=None, from_=1, to=3, count=2, reason="slow"),
            control.Health(counters={"sent": 1}, rtt_ms=None, queue_messages=2, queue_bytes=3),
            control.BroadcastAck(request_id="r", report={"message_id": "m", "refused": {"slow": 1}}),
            control.Error.of(ServerError(BINARY_PROTOCOL_ERROR, details={"reason": "x"}), "r2"),
            control.SubscriptionExpired.of("s_1", "ecg", "*"),
            control.SystemShutdown(message="bye", reconnect_after_ms=5),
            control.SubscriptionConfirmed(
                subscription_id="s", subscription_type="t", target_id="*", filters={"a": [1]}, replaced=False
            ),
            control.Connected(
                connection_id="c", user_id="u", role="r", protocol="p", heartbeat_interval=30.0,
                max_message_size=1, server_time="now", cursor={},
                session=control.SessionState(resumed=True, replayed=0, gaps=[GAP]),
                subscriptions=[VIEW],
                errors=[{"code": 1}],
            ),
        ],
        ids=lambda message: type(message).__name__,
    )  # fmt: skip
    def test_it_says_what_it_says_in_json(self, encoding: BinaryEncoding, message: control.Control) -> None:
        frame = encoding.control(message)
        assert frame.binary is not None
        header = 2 if frame.binary[1] < 126 else 4
        assert read(frame.binary, header).body == msgspec.json.decode(message.encode())

    def test_a_published_message_has_its_place_in_the_header_and_one_meta(
        self, encoding: BinaryEncoding
    ) -> None:
        body = {"type": "ecg_data", "data": [1, 2]}
        published = PublishedMessage(body)
        meta = meta_of(body)
        envelope = read(encoding.message(published.body, meta, microseconds(MOMENT)), 2)
        assert (envelope.kind, envelope.topic, envelope.seq, envelope.time) == (
            1, "ecg:*", 42, 1_767_225_600_123_456,
        )  # fmt: skip
        assert envelope.body == msgspec.json.decode(published.encode(meta))
        assert body == {"type": "ecg_data", "data": [1, 2]}
        assert encoding.encoded == 1

    @given(
        body=st.dictionaries(
            st.text(max_size=8).filter(lambda name: name not in ("_meta", "type", "patient_id")),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers(-(2**53), 2**53)
                | st.floats(allow_nan=False, allow_infinity=False)
                | st.text(max_size=20),
                lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=4), inner),
                max_leaves=30,
            ),
            max_size=6,
        ),
        at=st.floats(0, 4e9),
        threshold=st.sampled_from([None, 1, 100]),
        sample_fields=st.sampled_from([(), ("data",), ("a", "b")]),
    )
    def test_what_is_encoded_again_from_json_is_the_same_bytes(
        self, body: dict[str, Any], at: float, threshold: int | None, sample_fields: tuple[str, ...]
    ) -> None:
        encoding = BinaryEncoding(FakeClock(), sample_fields=sample_fields, compression_threshold=threshold)
        published, meta = PublishedMessage(body), meta_of({}, at)
        first = encoding.message(published.body, meta, microseconds(at))
        frame = Frame(
            encode_frame(TEXT, published.encode(meta)), topic=meta.topic, seq=42, time=microseconds(at)
        )
        assert encoding.message_again(frame) == first
        header = 2 if first[1] < 126 else 4 if first[1] == 126 else 10
        assert read(first, header).body["_meta"] == msgspec.to_builtins(meta)

    def test_settings_hold_for_what_is_encoded_from_then_on(self, encoding: BinaryEncoding) -> None:
        body = {"data": [0] * 200, "ecg": [0] * 20}
        kinds = []
        for fields, threshold in ((("data",), None), (("ecg",), None), ((), None), ((), 100)):
            encoding.configure(fields, threshold)
            wire = encoding.message(body, meta_of(body), 0)
            kinds.append((wire[5] if wire[1] == 126 else wire[3], wire[6] if wire[1] == 126 else wire[4]))
        assert kinds == [(2, 2), (2, 2), (1, 2), (1, 3)]


class TestWhatClientsSay:
    def test_a_text_frame_is_a_command_in_json(self, encoding: BinaryEncoding) -> None:
        assert isinstance(encoding.command(TEXT, b'{"type":"ping"}', 100), commands.Ping)

    def test_kind_3_is_the_same_command(self, encoding: BinaryEncoding) -> None:
        said = {"type": "subscribe", "request_id": "r", "topic": "patient:1", "filters": {"v": {"$gt": 1}}}
        heard = encoding.command(BINARY, encode_control(said, time=0), 1000)
        assert isinstance(heard, commands.Subscribe)
        assert heard == decode_command(msgspec.json.encode(said))

    def test_kind_1_is_a_broadcast_to_its_topic(self, encoding: BinaryEncoding) -> None:
        for topic, target in (
            ("patient:123", ("patient", "123")), ("ecg:*", ("ecg", "*")), ("ecg:5", ("ecg", "5")),
            ("patient:*", ("patient", "*")), ("*", ("*", "*")), ("type:ecg", ("ecg", "*")),
        ):  # fmt: skip
            payload = encode_message({"v": 1}, topic=topic, seq=0, time=0)
            heard = encoding.command(BINARY, payload, 1000)
            assert isinstance(heard, commands.Broadcast)
            assert tuple(heard.address()) == target
            assert (heard.message, heard.echo, heard.request_id) == ({"v": 1}, False, None)

    @pytest.mark.parametrize(
        "said",
        [
            {"type": "ping", "x": 1},
            {"type": "pong"},
            {"type": "pingg"},
            {},
            {"type": "connect"},
            {"type": "connect", "token": ""},
            {"type": "connect", "token": "t", "sesion": {}},
            {"type": "connect", "token": "t", "session": {"id": "x", "curser": {}}},
            {"type": "connect", "token": "t", "session": {"id": "x", "cursor": {"k": -1}}},
            {"type": "connect", "token": "t", "session": {"id": "x", "cursor": {"k": 1.0}}},
            {"type": "connect", "token": "t", "subscriptions": ["a", 1]},
            {"type": "subscribe", "topic": 5, "request_id": "r9"},
            {"type": "subscribe", "target_id": 1.5},
            {"type": "ping", "request_id": "x" * 65},
            {"type": "ping", "t": True},
            {"type": "broadcast", "target_type": "all", "message": [1]},
            {"type": "broadcast", "target_type": "all", "message": {}, "echo": 1},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_wrong_command_is_refused_in_the_same_words(
        self, encoding: BinaryEncoding, said: dict[str, Any]
    ) -> None:
        with pytest.raises(CommandError) as in_json:
            encoding.command(TEXT, msgspec.json.encode(said), 1000)
        with pytest.raises(CommandError) as packed:
            encoding.command(BINARY, encode_control(said, time=0), 1000)
        assert packed.value.as_dict(packed.value.request_id) == in_json.value.as_dict(
            in_json.value.request_id
        )
        assert packed.value.kind is INVALID_MESSAGE

    def test_a_small_frame_may_not_unfold_into_a_million_objects(self, encoding: BinaryEncoding) -> None:
        def command(objects: int) -> bytes:
            message = {"a": [{}] * (objects - 3)}
            return encode_control({"type": "ping", "t": message}, time=0, compression_threshold=0)

        assert len(command(900_000)) < 4_000
        for objects in (10_001, 900_000):
            with pytest.raises(ServerError, match="too many objects and arrays") as caught:
                encoding.command(BINARY, command(objects), 1 << 20)
            assert caught.value.kind is BINARY_PROTOCOL_ERROR
        with pytest.raises(CommandError, match="t"):
            encoding.command(BINARY, command(10_000), 1 << 20)

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (b"", "shorter"),
            (b'{"type":"ping"}', "shorter"),
            (b"\xb2" + encode_control({"type": "ping"}, time=0)[1:], "0xB1"),
            (encode_message({"data": [0] * 16}, topic="*", seq=0, time=0), "kind is not taken"),
            (encode_message({"v": 1}, topic="*", seq=1, time=0), "seq is the server's"),
            (encode_control({"type": "ping", "pad": "x" * 2000}, time=0), "limit"),
            (encode_control({"pad": "x" * 2000}, time=0, compression_threshold=1), "limit"),
            (encode_control({"type": "ping"}, time=0)[:-1], "length"),
            (encode_message({"_meta": {"id": "m", "log": "k"}}, topic="*", seq=0, time=0)[:-1], "length"),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_what_is_against_the_protocol_is_1009_with_a_reason(
        self, encoding: BinaryEncoding, payload: bytes, reason: str
    ) -> None:
        with pytest.raises(ServerError, match=reason) as caught:
            encoding.command(BINARY, payload, 1000)
        assert caught.value.kind is BINARY_PROTOCOL_ERROR
        assert reason in (caught.value.details or {})["reason"]

    def test_a_topic_that_is_none_is_1003(self, encoding: BinaryEncoding) -> None:
        for topic in ("ecg", "ecg:", "*:1", "patient", "type:patient"):
            with pytest.raises(ServerError, match="topic") as caught:
                encoding.command(BINARY, encode_message({}, topic=topic, seq=0, time=0), 1000)
            assert caught.value.kind is INVALID_MESSAGE

    def test_what_a_frame_unpacks_to_is_what_its_header_says(self, encoding: BinaryEncoding) -> None:
        plain = encode_control({"pad": "x" * 5000}, time=0)
        packed = encode_control({"pad": "x" * 5000}, time=0, compression_threshold=1)
        assert encoding.unpacked(BINARY, plain) == 0
        assert encoding.unpacked(BINARY, packed) == len(plain) - 32 - len(packed)
        assert encoding.unpacked(BINARY, b"\xff" * 32) == 2**32 - 1 - 32
        assert encoding.unpacked(BINARY, b"") == encoding.unpacked(TEXT, packed) == 0
