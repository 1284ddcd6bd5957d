"""The same server behind TLS, where frames go through the transport."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest
import websockets
from live_server import LiveServer, token_of, until
from self_signed import make_certificate

from wsserver.settings import ServerSettings
from wsserver.web.server import _tls_context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


@pytest.fixture
async def tls_server(start_server, certificate: tuple[Path, Path]) -> LiveServer:
    settings = ServerSettings(tls_certificate=str(certificate[0]), tls_key=str(certificate[1]))
    return await start_server(
        options={"tls": _tls_context(settings), "dev": True}, backpressure={"max_queue_bytes": 8 << 20}
    )


async def test_messages_go_both_ways_in_order_and_a_megabyte_as_well(
    tls_server: LiveServer, trusting: ssl.SSLContext
) -> None:
    client = await tls_server.connect(token_of(), tls=trusting)
    assert (await client.receive())["type"] == "connected"
    await client.ask("subscribe", topic="patient:1")
    text = "x" * ((1 << 20) - 100)
    for number in range(5):
        assert tls_server.manager.broadcast_to_patient(1, {"n": number, "text": text}) == 1
        for small in range(20):
            tls_server.manager.broadcast_to_patient(1, {"n": number, "small": small})
        got = await client.published()
        assert got[0]["text"] == text
        assert [message["small"] for message in got[1:]] == list(range(20))
    echo = await tls_server.connect(tls=trusting, path="/ws/echo")
    for message in (b"\x00\xff" * (1 << 19), "ä" * 1000, b"", ""):
        await echo.socket.send(message)
        assert await echo.socket.recv() == message


async def test_closing_over_tls_says_the_code(tls_server: LiveServer, trusting: ssl.SSLContext) -> None:
    client = await tls_server.connect("rubbish", tls=trusting)
    error, code = await client.refused()
    assert (error["code"], code) == (1001, 4501)
    client = await tls_server.connect(token_of(), tls=trusting)
    await client.receive()
    await client.send("disconnect")
    assert (await client.closing())[0] == 1000
    rude = await tls_server.connect(token_of(), tls=trusting)
    await rude.receive()
    await rude.abort()
    await until(lambda: tls_server.manager.hub.open_count == 0)


async def test_the_own_origin_of_a_tls_server_is_https(
    tls_server: LiveServer, trusting: ssl.SSLContext
) -> None:
    own = f"https://127.0.0.1:{tls_server.port}"
    client = await tls_server.connect(token_of(), tls=trusting, origin=own)
    assert (await client.receive())["type"] == "connected"
    for origin in (own.replace("https", "http"), "https://evil.example", "null"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await tls_server.connect(token_of(), tls=trusting, origin=origin)
        assert refused.value.response.status_code == 403


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_tls_from_1_2_on(
    tls_server: LiveServer, trusting: ssl.SSLContext, version: ssl.TLSVersion, accepted: bool
) -> None:
    if not accepted:
        # Libraries may refuse old versions by themselves; this asks the server.
        trusting.set_ciphers("ALL:@SECLEVEL=0")
    trusting.minimum_version = trusting.maximum_version = version
    if accepted:
        client = await tls_server.connect(token_of(), tls=trusting)
        assert (await client.receive())["type"] == "connected"
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await tls_server.connect(token_of(), tls=trusting)


async def test_plain_bytes_at_a_tls_port_hurt_nobody(
    tls_server: LiveServer, trusting: ssl.SSLContext
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", tls_server.port)
    writer.write(b"GET /ws/connect HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in await reader.read()
    writer.transport.abort()
    client = await tls_server.connect(token_of(), tls=trusting)
    assert (await client.receive())["type"] == "connected"


async def test_a_tls_client_beyond_its_rate_is_not_read_for_a_while_and_loses_nothing(
    start_server, certificate: tuple[Path, Path], trusting: ssl.SSLContext
) -> None:
    settings = ServerSettings(tls_certificate=str(certificate[0]), tls_key=str(certificate[1]))
    server = await start_server(
        options={"tls": _tls_context(settings)},
        rate_limit={"bytes_per_second": 1_000_000, "byte_burst": 300_000},
    )
    client = await server.connect(token_of(), tls=trusting)
    await client.receive()
    text = '{"type":"ack","message_id":"m"}'.ljust(10_000)
    for _ in range(90):
        await client.send_text(text)
    await until(lambda: server.service.inlet.throttled_connections == 1)
    await until(lambda: server.service.router.acknowledged == 90)
    assert await client.everything() == []


async def test_a_tls_client_that_never_reads_is_cut(tls_server: LiveServer, trusting: ssl.SSLContext) -> None:
    tls_server.service.inlet.close_timeout = 0.5
    slow = await tls_server.connect(
        token_of("slow"), tls=trusting, query="?subscriptions=patient:1", max_queue=1
    )
    quick = await tls_server.connect(token_of("quick"), tls=trusting, query="?subscriptions=patient:1")
    await quick.receive()
    for number in range(40):
        tls_server.manager.broadcast_to_patient(1, {"n": number, "text": "x" * 900_000})
        assert [message["n"] for message in await quick.published()] == [number]
    await until(lambda: len(tls_server.manager.connections) == 1)
    await slow.abort()
