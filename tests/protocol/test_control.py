"""Every control message as literal bytes: what is on the wire is what stands here."""

import pytest

from wsserver.errors import FILTER_ERROR, RATE_LIMIT, ServerError
from wsserver.protocol import control
from wsserver.protocol.commands import COMMAND_TYPES

_NOW = "2026-01-01T00:00:00.000Z"
_CONNECTED = control.Connected(
    connection_id="c_1",
    user_id="user123",
    role="doctor",
    protocol="wsserver.v1.json",
    heartbeat_interval=30,
    max_message_size=1048576,
    server_time=_NOW,
    cursor={"k3f9d": 48},
    subscriptions=[],
    errors=[],
)

_WIRE = [
    (
        _CONNECTED,
        b'{"type":"connected","connection_id":"c_1","user_id":"user123","role":"doctor",'
        b'"protocol":"wsserver.v1.json","heartbeat_interval":30,"max_message_size":1048576,'
        b'"server_time":"2026-01-01T00:00:00.000Z","cursor":{"k3f9d":48},"subscriptions":[],"errors":[]}',
    ),
    (
        control.Connected(
            request_id="r",
            connection_id="c_1",
            session_id="secret",
            session_ttl=120,
            user_id="user123",
            role="doctor",
            protocol="wsserver.v1.json",
            heartbeat_interval=30,
            max_message_size=1048576,
            server_time=_NOW,
            session=control.SessionState(
                resumed=True,
                replayed=7,
                gaps=[control.Gap(log="k3f9d", topic="ecg:*", from_=3, to=5, count=2, reason="trimmed")],
            ),
            cursor={"k3f9d": 48, "k3f9v": 990},
            subscriptions=[
                control.SubscriptionView(
                    subscription_id="s_1", subscription_type="patient", target_id="123", filters={}
                )
            ],
            errors=[{"code": 1011, "name": "permission_denied", "message": "Not allowed."}],
        ),
        b'{"type":"connected","request_id":"r","connection_id":"c_1","session_id":"secret","session_ttl":120,'
        b'"user_id":"user123","role":"doctor","protocol":"wsserver.v1.json","heartbeat_interval":30,'
        b'"max_message_size":1048576,"server_time":"2026-01-01T00:00:00.000Z",'
        b'"session":{"resumed":true,"replayed":7,"gaps":[{"type":"gap","log":"k3f9d","topic":"ecg:*",'
        b'"from":3,"to":5,"count":2,"reason":"trimmed"}]},"cursor":{"k3f9d":48,"k3f9v":990},'
        b'"subscriptions":[{"subscription_id":"s_1","subscription_type":"patient","target_id":"123",'
        b'"filters":{}}],"errors":[{"code":1011,"name":"permission_denied","message":"Not allowed."}]}',
    ),
    (
        control.SubscriptionConfirmed(
            request_id="r",
            subscription_id="s_1",
            subscription_type="ecg",
            target_id="*",
            filters={"severity": ["normal"]},
            replaced=False,
        ),
        b'{"type":"subscription_confirmed","request_id":"r","subscription_id":"s_1","subscription_type":"ecg",'
        b'"target_id":"*","filters":{"severity":["normal"]},"replaced":false}',
    ),
    (
        control.SubscriptionConfirmed(
            subscription_id="s_1",
            subscription_type="*",
            target_id="*",
            filters={},
            replaced=True,
            hint="matches nothing yet",
        ),
        b'{"type":"subscription_confirmed","subscription_id":"s_1","subscription_type":"*","target_id":"*",'
        b'"filters":{},"replaced":true,"hint":"matches nothing yet"}',
    ),
    (
        control.Unsubscribed(subscription_type="patient", target_id="123", existed=False),
        b'{"type":"unsubscribed","subscription_type":"patient","target_id":"123","existed":false}',
    ),
    (
        control.Refreshed(count=2, expires_in=3600),
        b'{"type":"refreshed","count":2,"expires_in":3600}',
    ),
    (
        control.Refreshed(count=0, expires_in=None),
        b'{"type":"refreshed","count":0,"expires_in":null}',
    ),
    (
        control.Pong(t=0, server_time=_NOW, cursor={}),
        b'{"type":"pong","t":0,"server_time":"2026-01-01T00:00:00.000Z","cursor":{}}',
    ),
    (
        control.Pong(server_time=_NOW, cursor={"k3f9d": 48}),
        b'{"type":"pong","server_time":"2026-01-01T00:00:00.000Z","cursor":{"k3f9d":48}}',
    ),
    (
        control.Authenticated(expires_in=900),
        b'{"type":"authenticated","expires_in":900}',
    ),
    (
        control.Health(
            counters={"messages_sent": 5}, rtt_ms=1.5, queue_messages=1, queue_bytes=200, request_id="r"
        ),
        b'{"type":"health","request_id":"r","messages_sent":5,"rtt_ms":1.5,"queue":{"messages":1,"bytes":200}}',
    ),
    (
        control.Health(counters={}, rtt_ms=None, queue_messages=0, queue_bytes=0),
        b'{"type":"health","rtt_ms":null,"queue":{"messages":0,"bytes":0}}',
    ),
    (
        control.BroadcastAck(report={"message_id": "m_1", "topic": "ecg:*", "delivered": 1}, request_id="r"),
        b'{"type":"broadcast_ack","request_id":"r","message_id":"m_1","topic":"ecg:*","delivered":1}',
    ),
    (
        control.Error.of(ServerError(RATE_LIMIT, retry_after_ms=250), "r"),
        b'{"type":"error","request_id":"r","code":1010,"name":"rate_limit_exceeded",'
        b'"message":"Too many messages.","retry_after_ms":250}',
    ),
    (
        control.Error.of(ServerError(FILTER_ERROR, details={"path": "a", "reason": "is empty"})),
        b'{"type":"error","code":1008,"name":"filter_parsing_error","message":"The filter is not valid.",'
        b'"details":{"path":"a","reason":"is empty"}}',
    ),
    (
        control.Gap(log="k3f9d", from_=0, to=9, reason="slow"),
        b'{"type":"gap","log":"k3f9d","from":0,"to":9,"reason":"slow"}',
    ),
    (
        control.Gap(log="k3f9d", reason="forbidden"),
        b'{"type":"gap","log":"k3f9d","reason":"forbidden"}',
    ),
    (
        control.TokenExpiring(expires_in=60),
        b'{"type":"token_expiring","expires_in":60}',
    ),
    (
        control.SubscriptionExpiring(
            subscription_id="s_1", subscription_type="patient", target_id="123", expires_in=360
        ),
        b'{"type":"subscription_expiring","subscription_id":"s_1","subscription_type":"patient",'
        b'"target_id":"123","expires_in":360}',
    ),
    (
        control.SubscriptionExpired.of("s_1", "patient", "123"),
        b'{"type":"subscription_expired","subscription_id":"s_1","subscription_type":"patient",'
        b'"target_id":"123","code":1007,"name":"subscription_timeout","message":"The subscription expired."}',
    ),
    (
        control.Hint(subscription_id="s_1", subscription_type="ecg", target_id="*", message="never seen"),
        b'{"type":"hint","subscription_id":"s_1","subscription_type":"ecg","target_id":"*",'
        b'"message":"never seen"}',
    ),
    (
        control.SystemShutdown(message="Restarting.", reconnect_after_ms=1500),
        b'{"type":"system_shutdown","message":"Restarting.","reconnect_after_ms":1500}',
    ),
]


@pytest.mark.parametrize(("message", "wire"), _WIRE, ids=[type(row[0]).__name__ for row in _WIRE])
def test_a_control_message_is_these_bytes(
    message: control.Connected | control.Health | control.BroadcastAck, wire: bytes
) -> None:
    assert message.encode() == wire


def test_every_control_type_has_a_literal_above() -> None:
    written = {message.__struct_config__.tag for message, _ in _WIRE}
    assert written == control.CONTROL_TYPES


def test_publishers_can_use_no_name_that_the_protocol_uses() -> None:
    assert control.CONTROL_TYPES | COMMAND_TYPES | {"_meta"} == control.RESERVED_TYPES
    assert {"pong", "error", "connected", "subscribe", "ping", "broadcast"} <= control.RESERVED_TYPES
    assert "ecg_data" not in control.RESERVED_TYPES
    assert "system_alert" not in control.RESERVED_TYPES
