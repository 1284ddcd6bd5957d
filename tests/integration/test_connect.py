"""Getting in: four ways to bring a token, and all the ways not to."""

import json
import time
from typing import Any

import pytest
import websockets
from live_server import LiveServer, claims_of, sign, token_of, until
from raw_socket import RawSocket, command

from wsserver.settings import RoleSettings

BEARER = "wsserver.bearer."


async def first_message(client: Any) -> dict[str, Any]:
    return await client.receive()


async def test_a_token_in_the_authorization_header_lets_in_at_once(server: LiveServer) -> None:
    client = await server.connect(token_of("u7", "nurse", patients=["1"]))
    connected = await client.receive()
    assert connected["type"] == "connected"
    assert (connected["user_id"], connected["role"]) == ("u7", "nurse")
    assert client.socket.subprotocol is None


async def test_a_token_among_the_subprotocols_lets_in_and_is_not_echoed(server: LiveServer) -> None:
    client = await server.connect(protocols=["wsserver.v1.json", BEARER + token_of()])
    assert (await client.receive())["type"] == "connected"
    assert client.socket.subprotocol == "wsserver.v1.json"


async def test_a_token_in_the_query_lets_in_where_that_is_allowed(start_server) -> None:
    server = await start_server(auth={"allow_query_token": True})
    client = await server.connect(query=f"?token={token_of()}")
    assert (await client.receive())["type"] == "connected"


async def test_a_token_in_the_query_is_refused_by_default(server: LiveServer) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await server.connect(query=f"?token={token_of()}")
    assert refused.value.response.status_code == 400
    assert json.loads(refused.value.response.body)["error"]["code"] == 1003


async def test_a_token_in_the_first_frame_lets_in(server: LiveServer) -> None:
    client = await server.connect()
    connected = await client.ask("connect", token=token_of("u9"))
    assert (connected["type"], connected["user_id"]) == ("connected", "u9")


@pytest.mark.parametrize("way", ["header", "first frame"])
async def test_connected_says_exactly_this(server: LiveServer, way: str) -> None:
    before = time.time()
    token = token_of("user123", "doctor", patients=["123"])
    said = {"user_id": "user123", "role": "doctor", "patient_id": "123"}
    if way == "header":
        query = "?" + "&".join(f"{name}={value}" for name, value in said.items())
        client = await server.connect(token, query=query + "&subscriptions=patient:123,type:ecg")
        connected = await client.receive()
    else:
        client = await server.connect()
        connected = await client.ask(
            "connect", token=token, **said, subscriptions=["patient:123", "type:ecg"]
        )
        assert connected.pop("request_id") == "r1"
    connection_id = connected.pop("connection_id")
    assert connection_id in server.manager.connections
    stamp = connected.pop("server_time")
    assert stamp.endswith("Z")
    assert len(stamp) == len("2026-01-01T00:00:00.000Z")
    assert before - 1 < server.service.clock.time() <= time.time() + 1
    views = connected.pop("subscriptions")
    assert [view.pop("subscription_id")[:2] for view in views] == ["s_", "s_"]
    assert views == [
        {"subscription_type": "patient", "target_id": "123", "filters": {}},
        {"subscription_type": "ecg", "target_id": "*", "filters": {}},
    ]
    cursor = server.manager.broadcasts.logs.cursor()
    assert len(connected.pop("session_id")) == 43
    assert connected == {
        "session_ttl": 120,
        "type": "connected",
        "user_id": "user123",
        "role": "doctor",
        "protocol": "wsserver.v1.json",
        "heartbeat_interval": 30,
        "max_message_size": 1048576,
        "cursor": cursor,
        "errors": [],
    }


async def test_a_session_asked_for_is_said_not_to_be_resumed(server: LiveServer) -> None:
    client = await server.connect()
    connected = await client.ask(
        "connect", token=token_of(), session={"id": "somebody-elses", "cursor": {"k3f9d": 41}}
    )
    gap = {"type": "gap", "log": "k3f9d", "from": 42, "reason": "restart"}
    assert connected["session"] == {"resumed": False, "replayed": 0, "gaps": [gap]}


async def test_subscriptions_that_fail_do_not_fail_the_connection(server: LiveServer) -> None:
    client = await server.connect()
    connected = await client.ask(
        "connect",
        token=token_of("n1", "nurse", patients=["1"]),
        subscriptions=["patient:1", "patient:2", "x"],
    )
    assert [view["target_id"] for view in connected["subscriptions"]] == ["1"]
    assert [(error["code"], error["topic"]) for error in connected["errors"]] == [
        (1011, "patient:2"),
        (1003, "x"),
    ]


@pytest.mark.parametrize(
    "said",
    [
        {"user_id": "u2"},
        {"role": "admin"},
        {"user_id": "u 1"},
        {"user_id": "U1"},
        {"role": "nurse "},
        {"role": ""},
    ],
)
@pytest.mark.parametrize("way", ["query", "first frame"])
async def test_what_the_client_says_of_itself_must_agree_with_its_token(
    server: LiveServer, way: str, said: dict[str, str]
) -> None:
    token = token_of("u1", "nurse")
    if way == "query":
        ((name, value),) = said.items()
        client = await server.connect(token, query=f"?{name}={value.replace(' ', '%20')}")
    else:
        client = await server.connect()
        await client.send("connect", token=token, request_id="q", **said)
    error, code = await client.refused()
    assert (error["type"], error["code"], error["name"], code) == (
        "error",
        1001,
        "authentication_failed",
        4501,
    )
    assert error.get("request_id") == (None if way == "query" else "q")
    assert not server.manager.connections


async def test_headers_that_name_a_role_count_for_nothing(server: LiveServer) -> None:
    client = await server.connect(token_of("u1", "patient", patients=["1"]), headers={"X-Role": "admin"})
    assert (await client.receive())["role"] == "patient"
    assert (await client.ask("subscribe", topic="*"))["code"] == 1011


async def test_a_patient_id_that_the_user_may_not_see_is_refused(server: LiveServer) -> None:
    client = await server.connect(token_of("n1", "nurse", patients=["1"]), query="?patient_id=2")
    error, _ = await client.refused()
    assert error["code"] == 1011


NOW = int(time.time())
WRONG_TOKENS = {
    "expired": (sign(claims_of(exp=NOW - 100)), 4001),
    "without an end": (sign(claims_of(exp=None)), 4501),
    "an end as text": (sign({**claims_of(exp=None), "nbf": 0, "exp2": "x"}), 4501),
    "not yet": (sign(claims_of(nbf=NOW + 1000)), 4501),
    "signed by somebody": (sign(claims_of(), "another-secret-that-is-also-long-enough-for-this"), 4501),
    "an unknown role": (token_of(role="surgeon"), 4501),
    "no role": (token_of(role=None), 4501),
    "no user": (token_of(user=None), 4501),
    "a strange user": (token_of(user="a b"), 4501),
    "unsigned": (sign(claims_of(), "", "none"), 4501),
    "for an audience": (token_of(aud="somebody-else"), 4501),
    "strange patients": (token_of(patients=["1", "a/b"]), 4501),
    "patients as text": (token_of(patients="1,2"), 4501),
    "rubbish": ("rubbish", 4501),
    "three dots": ("a.b.c", 4501),
}


@pytest.mark.parametrize("name", WRONG_TOKENS)
@pytest.mark.parametrize("way", ["header", "subprotocol", "first frame"])
async def test_a_wrong_token_is_told_over_the_socket_always_in_the_same_words(
    server: LiveServer, name: str, way: str
) -> None:
    token, expected = WRONG_TOKENS[name]
    if way == "header":
        client = await server.connect(token)
    elif way == "subprotocol":
        client = await server.connect(protocols=["wsserver.v1.json", BEARER + token])
    else:
        client = await server.connect()
        await client.send("connect", token=token)
    error, code = await client.refused()
    assert error == {
        "type": "error", "code": 1001, "name": "authentication_failed", "message": "Authentication failed.",
    }  # fmt: skip
    assert code == expected


async def test_a_first_frame_that_does_not_come_in_time_ends_with_4001(start_server) -> None:
    server = await start_server(auth={"timeout": 0.3})
    client = await server.connect()
    error, code = await client.refused()
    assert (error["code"], code) == (1001, 4001)
    await until(lambda: server.manager.hub.open_count == 0)


async def test_half_a_first_frame_does_not_buy_time(start_server) -> None:
    server = await start_server(auth={"timeout": 0.3})
    raw = await server.raw()
    whole = command("connect", token=token_of())
    await raw.send(whole[: len(whole) // 2])
    code, before = await raw.read_close()
    assert (before[-1].json["code"], code) == (1001, 4001)


async def test_a_client_that_came_in_time_stays_when_the_time_is_up(start_server) -> None:
    server = await start_server(auth={"timeout": 0.3})
    late = await server.connect()
    client = await server.connect()
    assert (await client.ask("connect", token=token_of()))["type"] == "connected"
    await late.refused()
    assert await client.everything() == []


@pytest.mark.parametrize(
    "kind", ["subscribe", "broadcast", "ping", "auth", "health_check", "disconnect", "refresh"]
)
async def test_nothing_but_connect_is_heard_before_it(server: LiveServer, kind: str) -> None:
    members = {
        "subscribe": {"topic": "*"},
        "broadcast": {"target_type": "all", "message": {}},
        "auth": {"token": token_of()},
    }.get(kind, {})
    client = await server.connect()
    answer = await client.ask(kind, **members)
    assert (answer["type"], answer["code"]) == ("error", 1001)
    assert (await client.ask("connect", token=token_of()))["type"] == "connected"


async def test_a_newcomer_who_keeps_talking_nonsense_is_closed(server: LiveServer) -> None:
    client = await server.connect()
    for _ in range(3):
        await client.send_text("nonsense")
    error, code = await client.refused()
    assert (error["code"], code) == (1003, 4503)
    assert len(client.waiting) == 3


async def test_commands_right_behind_the_first_frame_are_answered_in_order(server: LiveServer) -> None:
    """All in one segment with the handshake itself, while the credentials are still being looked at."""
    behind = command("connect", token=token_of(), request_id="a")
    behind += command("subscribe", topic="patient:1", request_id="b") + command("ping", request_id="c")
    raw = await server.raw(behind=behind)
    answers = [await raw.read_message() for _ in range(3)]
    assert [(answer["type"], answer["request_id"]) for answer in answers] == [
        ("connected", "a"),
        ("subscription_confirmed", "b"),
        ("pong", "c"),
    ]


async def test_frames_behind_a_handshake_with_a_token_are_answered(server: LiveServer) -> None:
    raw = await server.raw(token_of(), behind=command("ping", request_id="c"))
    assert [(await raw.read_message())["type"] for _ in range(2)] == ["connected", "pong"]


async def test_connecting_twice_on_one_socket_is_an_error(server: LiveServer) -> None:
    client = await server.enter()
    answer = await client.ask("connect", token=token_of("u2"))
    assert answer["code"] == 1003
    assert await client.everything() == []


async def test_a_role_without_a_place_in_the_policy_cannot_connect(start_server) -> None:
    server = await start_server(access={"roles": {"porter": RoleSettings(subscribe=("beds",))}})
    porter = await server.connect(token_of("p", "porter"))
    assert (await porter.receive())["type"] == "connected"
    doctor = await server.connect(token_of("d", "doctor"))
    assert (await doctor.refused())[1] == 4501


async def test_a_compression_offer_is_declined(server: LiveServer) -> None:
    client = await server.connect(token_of(), compression="deflate")
    assert (await client.receive())["type"] == "connected"
    assert client.socket.response is not None
    assert "Sec-WebSocket-Extensions" not in client.socket.response.headers


async def test_a_client_that_leaves_during_its_login_leaves_nothing(start_server) -> None:
    entered, go_on = [], []

    class SlowProvider:
        async def patients(self, user_id: str, role: str, claims: Any) -> str:
            import asyncio

            event = asyncio.Event()
            entered.append(user_id)
            go_on.append(event)
            await event.wait()
            return "*"

    server = await start_server(options={"provider": SlowProvider()})
    first_frame = await server.raw(behind=command("connect", token=token_of("a")))
    await until(lambda: entered == ["a"])
    await first_frame.abort()
    in_header = await RawSocket.dial(server.port)
    from raw_socket import upgrade

    await in_header.send(upgrade(server.port, token_of("b")))
    await until(lambda: entered == ["a", "b"])
    await in_header.abort()
    for event in go_on:
        event.set()
    await until(lambda: server.manager.hub.open_count == 0)
    assert (await server.http("GET", "/health")).status == 200
    assert not server.manager.connections
