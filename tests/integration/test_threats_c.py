"""Attacks on parsers and resources (threats C2, C3, C4, C7, C8, C9), in sizes for every run."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
from live_server import ALL_SCOPES, SECRET, LiveServer, claims_of, token_of, until
from raw_socket import CLOSE, PING, PONG, TEXT, RawSocket, command, frame
from test_keys_live import signed_by_hand

from wsserver.settings import default_roles
from wsserver.settings.roles import RoleSettings


@asynccontextmanager
async def longest_stall() -> AsyncIterator[list[float]]:
    """The longest gap between two turns of the loop, in seconds, while the block runs."""
    gaps = [0.0]

    async def beat() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            gaps[0] = max(gaps[0], now - last)
            last = now

    task = asyncio.create_task(beat())
    yield gaps
    task.cancel()


# -- C2: depth

DEPTHS = [32, 33, 100, 1000, 5000, 100_000]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")], ids=["arrays", "objects"])
async def test_depth_is_bounded_at_every_entrance(
    start_server, depth: int, opening: str, closing: str
) -> None:
    roles = {**default_roles(), "device": RoleSettings(publish=("all",), publish_types=("*",))}
    server = await start_server(access={"roles": roles})
    nest = opening * (depth - 1) + ("1" if opening != "[" else "") + closing * (depth - 1)
    text = '{"x":' + nest + "}"
    answer = await server.http(
        "POST", "/ws/broadcast/all", text.encode(), token=token_of("b", "service", scope=ALL_SCOPES)
    )
    assert answer.status == (200 if depth <= 32 else 400)
    client = await server.enter("u", "device")
    await client.send_text('{"type":"subscribe","topic":"type:ecg","filters":' + text + "}")
    answer_ = await client.receive()
    assert answer_["code"] in (1003, 1008, 1011)
    await client.send_text('{"type":"broadcast","target_type":"all","message":' + text + "}")
    answer_ = await client.receive()
    # The command is one level around the message.
    assert answer_.get("code") == (None if depth < 32 else 1003)
    if depth <= 100:  # beyond it a token is too long for a header
        claims = json.dumps(claims_of())[:-1] + ', "extra": ' + text + "}"
        token = signed_by_hand({"alg": "HS256"}, SECRET.encode(), claims.encode())
        kind = (await (await server.connect(token)).receive())["type"]
        assert kind == "connected", "nobody looks into claims that nobody asks for"


# -- C3: values

GOOD_VALUES = [
    "0", "-0", "1", "-1", "9007199254740992", "-9007199254740992", "0.1", "-0.0", "1e3", "1E3", "1e-3",
    "5e-324", "1.7976931348623157e308", "123456789012345.75", "true", "false", "null", '""', '"\\u0000"',
    '"\\u2028"', '"\\ud83d\\ude00"', '"\U0001f600"', '"\\/"', '"\\\\"', '"\\""', "[]", "{}", "[[]]", '{"":1}',
    '[1,2.5,"x",null]', '"' + "x" * 10_000 + '"', "[" + ",".join(["1"] * 1000) + "]", '"9007199254740993"',
    "1e22", "0.30000000000000004", '"NaN"', '"Infinity"', '"\u00e9"', '"e\u0301"', '"\uffff"',
    '"\\b\\f\\n\\r\\t"', "1.0", "100000000000000000000.0",
]  # fmt: skip
BAD_VALUES = [
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e999999", "9007199254740993", "-9007199254740993",
    "18446744073709551616", "9" * 5000, "01", "+1", ".5", "1.", "0x10", "1e", "--1", "'x'", '"\\ud800"',
    '"\\udc00"', '"\\ud800x"', '"\\x41"', '"\\u12"', '"\n"', '"\t"', '"\x00"', "undefined", "None", "True",
    "[1,]", "[,1]", "{,}", '{"a":1,}', "{a:1}", "{1:2}", "[1 2]", "/**/1", "1//x", "", "nul",
]  # fmt: skip


async def test_a_value_arrives_exactly_or_is_refused(server: LiveServer) -> None:
    client = await server.enter("d", "doctor", "*")
    token = token_of("b", "service", scope=ALL_SCOPES)
    places = ['{"v":%s}', '{"a":{"b":[0,{"v":%s}]}}', '{"list":[1,%s]}']
    for place in places:
        for value in GOOD_VALUES:
            body = place % value
            answer = await server.http("POST", "/ws/broadcast/type/x", body.encode(), token=token)
            assert answer.status == 200, body[:80]
            (got,) = await client.published()
            del got["_meta"]
            assert json.dumps(got) == json.dumps(json.loads(body)), body[:80]
        for value in BAD_VALUES:
            answer = await server.http("POST", "/ws/broadcast/type/x", (place % value).encode(), token=token)
            assert answer.status == 400, (place, value[:40])
    assert await client.published() == []


async def test_of_duplicate_members_the_last_counts_for_everybody(server: LiveServer) -> None:
    """What is checked is what is sent: a second patient_id must not slip past the first."""
    nurse = await server.enter("n", "nurse", "patient:*", "*", patients=["1"])
    await server.publish("type/x", b'{"patient_id":1,"patient_id":2}')
    await server.publish("type/x", b'{"patient_id":2,"patient_id":1}')
    (got,) = await nurse.published()
    assert got["patient_id"] == 1
    answer = await server.http(
        "POST", "/ws/broadcast/patient/1", b'{"patient_id":1,"patient_id":2}',
        token=token_of("b", "service", scope=ALL_SCOPES),
    )  # fmt: skip
    assert answer.status == 400


# -- C4: many keys


async def test_objects_with_very_many_keys_do_not_hold_the_loop(server: LiveServer) -> None:
    client = await server.enter("d", "doctor", "*")
    modulus = 2**61 - 1
    bodies = [
        json.dumps({str(number): 1 for number in range(60_000)}),
        json.dumps({str(number * modulus): 1 for number in range(20_000)}),
        '{"a":1,' * 1 + ",".join(['"k":1'] * 100_000) + "}",
    ]
    async with longest_stall() as gaps:
        for body in bodies:
            await server.publish("all", body.encode())
        text = '{"type":"subscribe","topic":"*","filters":' + bodies[0] + "}"
        await client.send_text(text)
        answers = [
            message for message in [await client.receive() for _ in range(4)] if "_meta" not in message
        ]
    assert [answer["code"] for answer in answers] == [1008]
    assert gaps[0] < 0.5, gaps


async def test_ids_that_would_collide_as_integers_are_text(server: LiveServer) -> None:
    client = await server.enter("d", "doctor")
    modulus = 2**61 - 1
    for number in range(1, 60):
        answer = await client.ask("subscribe", subscription_type="patient", target_id=str(number * modulus))
        assert answer["target_id"] == str(number * modulus)
    assert server.manager.index.topics == 59
    assert await server.manager.broadcast_to_patient(7 * modulus, {"n": 1}) == 1


# -- C7: unfinished messages


async def test_unfinished_messages_share_one_budget(start_server) -> None:
    budget = 4 << 20
    server = await start_server(
        inbound={"max_unfinished_total": budget, "message_deadline": 1.0},
        connection={"max_connections_per_role": 500},
    )
    part = frame(TEXT, b"x" * 200_000)[:150_000]
    sockets = [await server.raw(token_of(f"u{number}")) for number in range(60)]
    for raw in sockets:
        await raw.read_message()
    process = psutil.Process()
    before = process.memory_info().rss
    for raw in sockets:
        await raw.send(part)
    await until(lambda: server.service.inlet.closing_connections > 0)
    assert server.service.inlet.budget.used <= budget
    assert process.memory_info().rss - before < 3 * budget
    codes = [(await raw.read_close())[0] for raw in sockets]
    assert set(codes) == {1009}
    for raw in sockets:
        await raw.abort()
    await until(lambda: server.manager.hub.open_count == 0)
    assert server.service.inlet.budget.used == 0


async def test_fragments_for_ever_end_at_the_cap(server: LiveServer) -> None:
    for piece in (b"", b"x"):
        raw = await server.raw(token_of())
        await raw.read_message()
        await raw.send(frame(TEXT, piece, fin=False))
        code = 0
        try:
            for _ in range(10):
                await raw.send(frame(0, piece, fin=False) * 50)
        except OSError:
            pass
        code, _ = await raw.read_close()
        assert code == 1009
        await raw.abort()


# -- C8: control frames


async def test_a_flood_of_pings_is_cut_and_others_are_served(server: LiveServer) -> None:
    other = await server.enter("other", "doctor", "patient:1")
    raw = await server.raw(token_of("bad"), receive_buffer=4096)
    await raw.read_message()
    flood = frame(PING, b"x" * 100) * 500
    queued = 0
    try:
        for _ in range(200):
            await raw.send(flood)
            figures = [
                server.manager.hub.connection_figures(metadata.handle)
                for metadata in server.manager.connections.values()
                if metadata.user_id == "bad"
            ]
            queued = max([queued, *(one[3] for one in figures if one is not None)])
    except OSError:
        pass
    code, before = await raw.read_close()
    assert code == 4110
    assert before[-1].json["code"] == 1010
    pongs = [one for one in before if one.opcode == PONG]
    assert len(pongs) <= 50
    assert queued <= 4096
    assert (await server.publish("patient/1", {}))["delivered"] == 1
    assert len(await other.published()) == 1


async def test_a_ping_now_and_then_is_answered(server: LiveServer) -> None:
    raw = await server.raw(token_of())
    await raw.read_message()
    for number in range(30):
        payload = str(number).encode()
        await raw.send(frame(PING, payload))
        assert await raw.read_frame() == (PONG, payload)


# -- C9: rates


async def test_too_many_messages_are_refused_one_by_one_and_then_the_connection_ends(start_server) -> None:
    server = await start_server(rate_limit={"messages_per_second": 1.0, "burst": 10})
    other = await server.enter("other", "doctor")
    raw = await server.raw(token_of("bad"))
    await raw.read_message()
    await raw.send(b"".join(command("ping", request_id=str(number)) for number in range(300)))
    code, before = await raw.read_close()
    assert code == 4110
    answers = [one.json for one in before if one.opcode == TEXT]
    served = [one for one in answers if one["type"] == "pong"]
    refused = [one for one in answers if one["type"] == "error"]
    assert 10 <= len(served) <= 15
    assert {(one["code"], one["name"]) for one in refused} == {(1010, "rate_limit_exceeded")}
    assert all(one["retry_after_ms"] > 0 for one in refused)
    assert len(refused) <= 110
    assert await other.everything() == []


async def test_subscribing_over_and_over_counts_as_well(server: LiveServer) -> None:
    raw = await server.raw(token_of("bad"))
    await raw.read_message()
    wire = b"".join(
        command("subscribe" if number % 2 else "unsubscribe", topic="patient:1") for number in range(400)
    )
    await raw.send(wire)
    code, before = await raw.read_close()
    assert code == 4110
    assert sum(one.json["type"] == "error" for one in before if one.opcode == TEXT) >= 99
    await raw.abort()
    await until(lambda: server.manager.hub.open_count == 0)
    assert not any(server.manager.index.sizes().values())


async def test_a_newcomer_who_floods_is_cut_at_once(start_server) -> None:
    server = await start_server(rate_limit={"messages_per_second": 1.0, "burst": 2})
    raw: RawSocket = await server.raw(behind=frame(TEXT, b"x") * 10)
    code, before = await raw.read_close()
    assert code in (4110, 4503)
    assert CLOSE not in [one.opcode for one in before]


# -- C10, small


async def test_churn_leaves_nothing(server: LiveServer) -> None:
    sizes = []
    for round_ in range(30):
        raws = [await server.raw(token_of(f"u{number}")) for number in range(10)]
        for number, raw in enumerate(raws):
            await raw.send(
                b"".join(
                    command("subscribe", topic=f"patient:{number}-{one}", filters={"n": round_ * 10 + number})
                    for one in range(5)
                )
            )
        for number, raw in enumerate(raws):
            if number % 3:
                await raw.read_message()
            await raw.abort()
        await until(lambda: server.manager.hub.open_count == 0)
        sizes.append(
            sum(server.manager.index.sizes().values()) + len(server.manager.subscription_manager.filters)
        )
    assert sizes == [0] * 30
    assert server.manager.hub.top <= 20, "slots are used again"
