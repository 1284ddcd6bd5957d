"""The binary protocol over real sockets, read and written by a client of another make."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import websockets
from binary_frames import pack_frame
from live_server import LiveServer, StartServer, token_of, until
from ward_client import WardClient

JSON, BINARY = "wsserver.v1.json", "wsserver.v1.bin"
WAVEFORM = {"type": "ecg_data", "data": [*range(-10, 10)], "rate": 250}


async def entered(
    server: LiveServer, protocol: str, *topics: str, user: str = "u1", **more: Any
) -> tuple[WardClient, dict[str, Any]]:
    client = await server.connect(protocols=[protocol])
    assert client.socket.subprotocol == protocol
    told = await client.ask("connect", token=token_of(user), subscriptions=list(topics), **more)
    assert told["type"] == "connected"
    return client, told


async def returned(
    server: LiveServer, protocol: str, told: dict[str, Any], cursor: dict[str, int]
) -> tuple[WardClient, dict[str, Any]]:
    return await entered(server, protocol, session={"id": told["session_id"], "cursor": cursor})


async def test_the_subprotocol_is_chosen_by_the_clients_order_and_json_without_one(
    server: LiveServer,
) -> None:
    for offered, chosen in (
        ([BINARY], BINARY), ([BINARY, JSON], BINARY), ([JSON, BINARY], JSON), (["other", BINARY], BINARY),
        (None, None),
    ):  # fmt: skip
        client = await server.connect(token_of(), protocols=offered)
        assert client.socket.subprotocol == chosen
        assert (await client.receive())["protocol"] == (chosen or JSON)
        await client.close()


async def test_both_kinds_of_subscribers_get_the_same_message_with_the_same_meta(server: LiveServer) -> None:
    in_json, _ = await entered(server, JSON, "patient:1")
    in_binary, _ = await entered(server, BINARY, "patient:1", user="u2")
    for message in (WAVEFORM, {"text": 'ä\u2028"\0', "n": [1, None, True, 1.5, -(2**53)]}, {}):
        report = await server.publish("patient/1", message)
        assert (report["matched"], report["delivered"]) == (2, 2)
        first, second = await in_json.receive(), await in_binary.receive()
        assert first == second == {"_meta": first["_meta"], **message}
        assert first["_meta"]["id"] == report["message_id"]
    assert in_binary.latest is not None
    assert (in_binary.latest.kind, in_binary.latest.topic, in_binary.latest.seq) == (1, "patient:1", 3)


async def test_a_waveform_is_sent_as_samples_and_a_long_message_compressed(start_server: StartServer) -> None:
    server = await start_server(binary={"compression_threshold": 1000})
    client, _ = await entered(server, BINARY, "type:ecg")
    server.manager.broadcast_to_type("ecg", WAVEFORM)
    assert (await client.receive())["data"] == WAVEFORM["data"]
    assert client.latest is not None
    assert (client.latest.kind, client.latest.flags, client.latest.sample_type) == (2, 2, 1)
    server.manager.broadcast_to_type("ecg", {"text": "beat " * 1000})
    assert (await client.receive())["text"] == "beat " * 1000
    assert (client.latest.kind, client.latest.flags) == (1, 3)


async def test_the_first_frame_and_every_command_may_be_text_or_binary(server: LiveServer) -> None:
    client = await server.connect(protocols=[BINARY])
    await client.send_bytes(pack_frame(3, {"type": "connect", "token": token_of(), "request_id": "r0"}))
    told = await client.receive()
    assert (told["type"], told["request_id"], told["protocol"]) == ("connected", "r0", BINARY)
    assert (await client.ask("subscribe", topic="patient:1"))["type"] == "subscription_confirmed"
    for flags in (0, 1):
        ping = {"type": "ping", "request_id": "r" * 64, "t": 7}
        await client.send_bytes(pack_frame(3, ping, flags=flags))
        assert (await client.receive())["t"] == 7
    await client.send_bytes(b"\xb1\x03" + bytes(22) + b"\x0b\0\0\0\x0b\0\0\0\x81\xa4type\xa4ping")
    assert (await client.receive())["type"] == "pong"


async def test_a_client_broadcasts_by_kind_1(server: LiveServer) -> None:
    watcher, _ = await entered(server, JSON, "patient:1")
    publisher = await server.connect(token_of("s1", "service"), protocols=[BINARY])
    assert (await publisher.receive())["type"] == "connected"
    await publisher.send_bytes(pack_frame(1, WAVEFORM, topic="patient:1"))
    ack = await publisher.receive()
    assert (ack["type"], ack["topic"], ack["delivered"]) == ("broadcast_ack", "patient:1", 1)
    message = await watcher.receive()
    assert {name: message[name] for name in WAVEFORM} == WAVEFORM
    assert message["sender"] == "s1"


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x81\xa4type\xa4ping",
        pack_frame(3, {"type": "ping"})[:-1],
        pack_frame(3, {"type": "ping"}) + b"\0",
        pack_frame(2, {"type": "ping"}, topic="*"),
        pack_frame(4, {"type": "ping"}),
        pack_frame(1, {"v": 1}, topic="*", seq=1),
        pack_frame(1, {"v": 1}),
        pack_frame(3, {"type": "ping"}, topic="*"),
        pack_frame(3, {"type": "ping"}, flags=4),
        pack_frame(3, b"\xc1"),
        pack_frame(3, b"\x80\x80"),
        pack_frame(3, b"\xdf\xff\xff\xff\xff"),
        pack_frame(3, b"\x81\xa1a" + b"\x91" * 200 + b"\xc0"),
        pack_frame(3, msgspec.msgpack.encode({"type": "ping", "t": float("nan")})),
        pack_frame(3, msgspec.msgpack.encode({"type": "ping", "t": 2**60})),
        pack_frame(3, b"\x81\xa4type\xa4\xed\xa0\x80p"),
        pack_frame(3, b"\x82\xa4type\xa4ping\xa4type\xa4ping"),
        pack_frame(3, {"type": "ping", "pad": "x" * 2_000_000}, flags=1),
        b"\xb1\x03\x01" + bytes(21) + b"\x04\0\0\0" + b"\xff\xff\xff\x7f" + b"\x1fA\1\0",
    ],
    ids=[
        "empty", "no header", "short", "long", "samples", "kind 4", "seq", "kind 1 without topic",
        "kind 3 with topic", "flags", "no MessagePack", "two objects", "count", "deep", "NaN", "integer",
        "surrogate", "twice", "bomb", "declared 2 GiB",
    ],
)  # fmt: skip
async def test_every_violation_is_1009_and_the_second_one_closes_with_4509(
    server: LiveServer, frame: bytes
) -> None:
    client, _ = await entered(server, BINARY, "patient:1")
    await client.send_bytes(frame)
    error = await client.receive()
    assert (error["type"], error["code"], error["name"]) == ("error", 1009, "binary_protocol_error")
    await server.publish("patient/1", {"n": 1})
    assert (await client.receive())["n"] == 1
    await client.send_bytes(frame)
    error, code = await client.refused()
    assert (error["code"], code) == (1009, 4509)


async def test_errors_exist_in_both(server: LiveServer) -> None:
    told = []
    for protocol in (JSON, BINARY):
        client = await server.connect(protocols=[protocol])
        await client.send("connect", token="nonsense")
        error, code = await client.refused()
        told.append((error, code))
    assert told[0] == told[1]
    assert (told[0][0]["code"], told[0][1]) == (1001, 4501)


async def test_a_session_goes_on_in_the_other_protocol_and_back(server: LiveServer) -> None:
    client, told = await entered(server, JSON, "patient:1", "type:ecg")
    cursor, number = told["cursor"], 0
    for protocol in (BINARY, JSON, BINARY, BINARY):
        await client.abort()
        await until(lambda: not server.manager.connections)
        for _ in range(50):
            server.manager.broadcast_to_patient(1, {"n": number, **WAVEFORM})
            number += 1
        client, told = await returned(server, protocol, told, cursor)
        assert told["session"] == {"resumed": True, "replayed": 50, "gaps": []}
        got = [await client.receive() for _ in range(50)]
        assert [message["n"] for message in got] == [*range(number - 50, number)]
        assert all(message["data"] == WAVEFORM["data"] for message in got)
        cursor = (await client.ask("ping"))["cursor"]
    assert server.manager.binary.encoded == 150


async def test_what_was_stored_on_disk_comes_back_in_binary_as_it_was_sent(
    start_server: StartServer, tmp_path: Path
) -> None:
    store = {"url": f"sqlite:///{tmp_path}/store.db"}
    first = await start_server(store=store)
    client, told = await entered(first, BINARY, "patient:1")
    live = []
    for n in range(3):
        await first.publish("patient/1", {"n": n, **WAVEFORM})
        await client.receive()
        live.append(client.latest)
    await first.end()
    second = await start_server(store=store)
    client, _ = await returned(second, BINARY, told, told["cursor"])
    again = []
    for _ in range(3):
        await client.receive()
        again.append(client.latest)
    assert again == live


async def test_one_that_does_not_read_loses_what_it_may_lose_and_is_told_in_binary(
    start_server: StartServer,
) -> None:
    server = await start_server(
        backpressure={"max_queue_messages": 50, "conflatable_types": ("ecg_data",), "send_buffer": 4608}
    )
    client, _ = await entered(server, BINARY, "patient:1")
    assert client.socket.transport is not None
    client.socket.transport.pause_reading()
    for n in range(3000):
        server.manager.broadcast_to_patient(1, {"n": n, "type": "ecg_data", "data": [n] * 500})
        await asyncio.sleep(0)
    assert server.manager.hub.slow_count == 1
    client.socket.transport.resume_reading()
    received: list[int] = []
    lost = 0
    while not received or received[-1] < 2999 or not lost:
        message = await client.receive()
        if "_meta" in message:
            received.append(message["n"])
        else:
            assert (message["type"], message["reason"]) == ("gap", "conflated")
            lost += message["count"]
    assert received == sorted(set(received))
    while len(received) + lost < 3000:
        message = await client.receive()
        lost += message["count"]
    assert len(received) + lost == 3000


async def test_the_server_says_good_bye_in_binary(start_server: StartServer) -> None:
    server = await start_server(shutdown={"notice": 0.0, "timeout": 3.0})
    client, _ = await entered(server, BINARY)
    draining = asyncio.ensure_future(server.service.drain())
    message = await client.receive()
    assert message["type"] == "system_shutdown"
    with pytest.raises(websockets.ConnectionClosed):
        await client.receive()
    assert client.socket.close_code == 4020
    await draining


async def test_no_frame_of_the_other_kind_reaches_anybody(server: LiveServer) -> None:
    """``WardClient`` refuses a frame of the other kind; this looks at all sorts of them in one go."""
    ends = [
        await entered(server, protocol, "*", user=f"u{n}") for n, protocol in enumerate([JSON, BINARY] * 4)
    ]
    for n in range(200):
        server.manager.broadcast_to_patient(n % 3, {"n": n})
    for client, _ in ends:
        assert [message["n"] for message in await client.published()] == [*range(200)]
