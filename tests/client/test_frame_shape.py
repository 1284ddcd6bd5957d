"""What passes for a frame of the protocol, and what becomes of a client that is told something else."""

import asyncio
import json
from typing import Any

import pytest
from hand_clock import settle

from wsserver.client import Message, ReconnectFailed, State
from wsserver.client.frame_shape import is_frame

Members = dict[str, Any]

META: Members = {
    "id": "m_1",
    "topic": "patient:1",
    "log": "d",
    "seq": 7,
    "ts": "2026-01-01T00:00:00.000Z",
}
CONNECTED: Members = {
    "type": "connected", "connection_id": "c_1", "session_id": "secret", "user_id": "u1", "role": "doctor",
    "protocol": "wsserver.v1.json", "cursor": {"d": 3},
    "subscriptions": [{"subscription_id": "s", "subscription_type": "patient", "target_id": "1"}],
    "errors": [{"code": 1011, "name": "permission_denied", "message": "Not allowed.", "topic": "patient:2"}],
}  # fmt: skip
GAP: Members = {
    "type": "gap", "log": "d", "topic": "patient:1", "from": 1, "to": 3, "count": 2, "reason": "slow",
}  # fmt: skip

RIGHT: list[Members] = [
    {"_meta": META, "type": "pong", "cursor": "a publisher's own"},
    {"_meta": {**META, "seq": 2**53}},
    CONNECTED,
    {**CONNECTED, "session": {"resumed": True, "replayed": 3, "gaps": [GAP]}},
    {"type": "pong", "t": 1, "cursor": {"d": 4}},
    {"type": "pong"},
    GAP,
    {"type": "gap", "log": "d", "topic": "patient:1", "reason": "forbidden"},
    {"type": "error", "code": 1010, "name": "n", "message": "m", "request_id": "p1", "retry_after_ms": 5},
    {"type": "system_shutdown", "message": "m", "reconnect_after_ms": 17.5},
    {"type": "token_expiring", "expires_in": 59.8},
    {"type": "subscription_expired", "subscription_type": "patient", "target_id": "1"},
    {"type": "greeting", "anything": [1]},
]
WRONG: list[Members] = [
    {},
    {"type": 3},
    {"type": ["pong"]},
    {"_meta": None},
    {"_meta": []},
    *({"_meta": {**META, name: None}} for name in META),
    *({"_meta": {**META, "seq": seq}} for seq in ("7", -1, 1.5, True, 2**54)),
    *({**CONNECTED, "cursor": cursor} for cursor in (None, [], "k", {"k": "3"}, {"k": -1}, {"k": None})),
    *({**CONNECTED, name: {}} for name in ("connection_id", "session_id", "user_id", "role", "protocol")),
    *({**CONNECTED, "subscriptions": one} for one in ({}, [None], [{}], [{"subscription_id": 1}])),
    *({**CONNECTED, "errors": one} for one in ({}, [None], [{"code": 1, "topic": 5}], [{"code": "x"}])),
    *({**CONNECTED, "session": one} for one in ("x", {"gaps": {}}, {"gaps": [None]}, {"replayed": "3"})),
    {"type": "pong", "cursor": {"k": "4"}},
    {"type": "pong", "request_id": ["p1"]},
    {**GAP, "reason": None},
    *({**GAP, name: value} for name in ("from", "to", "count") for value in ("1", -1, {})),
    {**GAP, "log": 3},
    {"type": "error", "message": "m"},
    {"type": "error", "code": 1010, "message": "m", "retry_after_ms": "soon"},
    {"type": "error", "code": 1010, "message": "m", "retry_after_ms": 10**400},
    {"type": "error", "code": 1010, "message": {}},
    {"type": "system_shutdown", "reconnect_after_ms": "soon"},
    {"type": "system_shutdown", "reconnect_after_ms": True},
    {"type": "token_expiring"},
    {"type": "subscription_expired", "subscription_type": None, "target_id": "1"},
    {"type": "subscription_confirmed", "subscription_id": "s", "subscription_type": "a", "target_id": 1},
]


def test_frames_of_the_protocol_are_known_by_their_shape() -> None:
    assert [frame for frame in RIGHT if not is_frame(frame)] == []
    assert [frame for frame in WRONG if is_frame(frame)] == []


@pytest.mark.parametrize("frame", WRONG, ids=lambda frame: json.dumps(frame)[:60])
async def test_a_client_that_is_told_something_else_comes_back_and_goes_on(scene, frame: Members) -> None:
    client = await scene.connected(subscriptions=["patient:1"])
    scene.server.last.say_frame(json.dumps(frame))
    scene.server.last.publish(1)
    await settle()
    assert client.state is State.RECONNECTING
    assert len(scene.of("error")) == 1
    await scene.back()
    scene.server.last.publish(1)
    item = await client.receive()
    assert isinstance(item, Message)
    assert item["n"] == 1


async def test_a_connected_of_the_wrong_shape_is_an_attempt_that_failed(scene) -> None:
    scene.server.answers["connect"] = lambda socket, command: {**CONNECTED, "session": {"gaps": 3}}
    client = scene.client(max_attempts=2)
    connecting = asyncio.ensure_future(client.connect())
    await scene.clock.advance(10)
    with pytest.raises(ReconnectFailed):
        await connecting
