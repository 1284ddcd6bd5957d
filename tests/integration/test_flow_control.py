"""Flow control over real sockets: stalled clients, budgets, and publishers faster than the server."""

import asyncio
from typing import Any

import psutil
import pytest
from live_server import ALL_SCOPES, LiveServer, token_of, until
from raw_socket import TEXT, RawSocket

from wsserver.errors import BACKPRESSURE, ServerError
from wsserver.protocol.report import DeliveryReport

FILL = "x" * 8192
SMALL_SOCKETS = {"send_buffer": 16 * 1024}
"""So that a client that does not read is noticed after some 30 kB."""

QUICK = {"timeout": 0.3}
"""Slow is who has let a byte wait for 0.3 s."""


async def sleeper(server: LiveServer, user: str, topic: str = "patient:1") -> RawSocket:
    """A client that subscribes when it connects and reads nothing after ``connected`` until it is told to."""
    path = f"/ws/connect?subscriptions={topic}"
    raw = await server.raw(token_of(user), path=path, receive_buffer=4096)
    assert (await raw.read_message())["type"] == "connected"
    return raw


async def read_until(raw: RawSocket, last: int) -> list[dict[str, Any]]:
    """All text messages up to the one with this number."""
    messages = []
    while True:
        frame = await raw.read_frame()
        assert frame is not None
        if frame.opcode != TEXT:
            continue
        messages.append(frame.json)
        if messages[-1].get("n") == last:
            return messages


def check_accounts(reports: list[DeliveryReport]) -> None:
    """The identities, message by message and to the unit."""
    for report in reports:
        outcome = report.outcome()
        assert report.matched == report.delivered + sum(report.refused.values())
        assert report.delivered == outcome["written"] + outcome["queued"] + sum(outcome["dropped"].values())


async def stall_and_wake(start_server: Any, *, clients: int, sleepers: int, messages: int) -> None:
    """Some stop reading and read again: the others lose nothing, and they are told what they lost."""
    server: LiveServer = await start_server(
        backpressure=SMALL_SOCKETS, broadcast=QUICK, connection={"max_connections_per_role": None}
    )
    quick = [await server.enter(f"q{number}", "doctor", "patient:1") for number in range(clients - sleepers)]
    asleep = [await sleeper(server, f"s{number}") for number in range(sleepers)]
    before = psutil.Process().memory_info().rss
    reports, alerts, got = [], set(), {client: [] for client in quick}
    for number in range(messages):
        severity = {0: "critical", 5: "warning"}.get(number % 10, "normal")
        if severity != "normal":
            alerts.add(number)
        message = {"type": "vitals", "n": number, "severity": severity, "text": FILL[: 4000 + number]}
        reports.append(await server.manager.broadcast_to_patient(1, message))
        if number % 10 == 9:
            for client in quick:
                got[client] += [message["n"] for message in await client.everything()]
            check_accounts(reports)
        if number == messages // 3:
            await until(lambda: server.manager.hub.slow_count == sleepers, "they count as slow")
    assert list(got.values()) == [list(range(messages))] * len(quick)
    assert psutil.Process().memory_info().rss - before < sleepers << 20
    assert server.manager.hub.slow_count == sleepers

    last = await server.manager.broadcast_to_patient(1, {"type": "vitals", "n": messages})
    for raw in asleep:
        messages_read = await read_until(raw, messages)
        while not any(message["type"] == "gap" for message in messages_read):
            messages_read.append(await raw.read_message())
        numbers = [message["n"] for message in messages_read if "n" in message]
        assert numbers == sorted(numbers)
        assert alerts <= set(numbers)
        (gap,) = [message for message in messages_read if message["type"] == "gap"]
        assert (gap["topic"], gap["reason"]) == ("patient:1", "conflated")
        assert gap["count"] == messages + 1 - len(numbers) > 0
        seq_of = {number: report.seq for number, report in enumerate(reports)}
        missed = sorted(set(range(messages)) - set(numbers))
        assert (gap["from"], gap["to"]) == (seq_of[missed[0]], seq_of[missed[-1]])
    await until(lambda: server.manager.hub.slow_count == 0, "they keep up again")
    await until(lambda: not server.manager.hub.frames_queued)
    reports.append(last)
    check_accounts(reports)
    dropped = sum(report.outcome()["dropped"]["conflated"] for report in reports)
    assert dropped == (await server.metrics())["messages"]["dropped"]["conflated"] > 0
    assert len(server.manager.connections) == clients


async def test_the_stalled_lose_data_alone_and_are_told_and_the_others_nothing(start_server: Any) -> None:
    await stall_and_wake(start_server, clients=20, sleepers=5, messages=90)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_the_stalled_lose_data_alone_for_a_long_time(start_server: Any) -> None:
    await stall_and_wake(start_server, clients=400, sleepers=100, messages=180)


async def test_a_trickle_is_slow_and_is_closed_in_the_end(start_server: Any) -> None:
    """Somebody who takes a few bytes now and then is never stuck, and never keeps up either."""
    server: LiveServer = await start_server(
        backpressure={**SMALL_SOCKETS, "slow_timeout": 1.0}, broadcast=QUICK
    )
    raw = await sleeper(server, "trickle")
    trickling = asyncio.ensure_future(_trickle(raw))
    number = 0
    async with asyncio.timeout(15):
        while server.manager.backpressure.closed == 0:
            server.manager.broadcast_to_patient(1, {"type": "note", "n": number, "text": FILL})
            number += 1
            await asyncio.sleep(0.02)
    trickling.cancel()
    assert server.manager.hub.slow_entered == 1, "it does not go to and fro"
    code, frames = await raw.read_close()
    assert code == 4005
    gaps = [frame.json for frame in frames if frame.opcode == TEXT and b'"gap"' in frame.payload[:20]]
    assert [gap["reason"] for gap in gaps] == ["slow"]


async def _trickle(raw: RawSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        raw._buffer += await loop.sock_recv(raw.sock, 200)
        await asyncio.sleep(0.01)


async def pin_many_buffers(start_server: Any, *, messages: int, budget: int) -> None:
    """Each message waits for one stalled client of many; what they hold together has a bound."""
    server: LiveServer = await start_server(
        backpressure={**SMALL_SOCKETS, "max_total_bytes": budget, "max_queue_bytes": 1 << 20},
        connection={"max_connections_per_role": None},
    )
    asleep = [await sleeper(server, f"s{number}", f"patient:{number}") for number in range(20)]
    manager, refused, critical, peak = server.manager, 0, 0, 0
    for number in range(messages):
        message = {"type": "note", "n": number, "text": f"{number:06d}" * 10_000}
        try:
            manager.broadcast_to_patient(number % 20, message)
        except ServerError as error:
            if error.kind is not BACKPRESSURE:
                raise
            refused += 1
        if number % 40 == 0:
            critical += manager.broadcast_to_patient(number % 20, {"n": -number, "severity": "critical"})
        peak = max(peak, manager.hub.pinned_bytes)
        if number % 20 == 0:
            await asyncio.sleep(0)
    assert peak <= budget
    assert refused > 0
    assert critical == len(range(0, messages, 40)), "what is critical was let in all the time"
    answer = await server.http(
        "POST", "/ws/broadcast/patient/1", {"type": "note"}, token=token_of("b", "service", scope=ALL_SCOPES)
    )
    assert (answer.status, answer.json["error"]["code"]) == (503, 1005)
    assert int(answer.headers["retry-after"]) >= 1
    # As soon as they read, publishers may go on.
    readers = [asyncio.ensure_future(_read_away(raw)) for raw in asleep]
    await until(lambda: not manager.backpressure.get_metrics()["publishers_wait"])
    assert manager.broadcast_to_patient(1, {"type": "note"}) == 1
    await until(lambda: manager.hub.pinned_bytes == 0)
    for reader in readers:
        reader.cancel()


async def _read_away(raw: RawSocket) -> None:
    while await asyncio.get_running_loop().sock_recv(raw.sock, 1 << 20):
        pass


async def test_buffers_that_stalled_clients_pin_have_a_bound_all_together(start_server: Any) -> None:
    await pin_many_buffers(start_server, messages=300, budget=4 << 20)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_ten_thousand_buffers_have_a_bound_all_together(start_server: Any) -> None:
    await pin_many_buffers(start_server, messages=10_000, budget=16 << 20)


# -- publishers


async def publish_over_rest(start_server: Any, *, publishers: int, each: int) -> None:
    """Publishers on many connections at once, to many subscribers: what was accepted arrives, once."""
    server: LiveServer = await start_server()
    watchers = [await server.enter(f"w{number}", "doctor", "type:note") for number in range(30)]
    received: list[list[int]] = [[] for _ in watchers]
    collecting = [
        asyncio.ensure_future(_collect(client, got)) for client, got in zip(watchers, received, strict=True)
    ]
    token = token_of("backend", "service", scope=ALL_SCOPES)
    accepted: set[int] = set()
    statuses: set[int] = set()

    async def publisher(first: int) -> None:
        for number in range(first, first + each):
            answer = await server.http(
                "POST", "/ws/broadcast/type/note", {"n": number, "text": FILL}, token=token
            )
            statuses.add(answer.status)
            if answer.status == 200:
                accepted.add(number)

    await asyncio.gather(*(publisher(place * each) for place in range(publishers)))
    assert statuses <= {200, 503}
    assert accepted
    await until(lambda: all(len(got) == len(accepted) for got in received), patience=60)
    assert all(set(got) == accepted for got in received)
    assert server.manager.hub.slow_entered == 0, "nobody is slow because publishers are fast"
    for task in collecting:
        task.cancel()


async def _collect(client: Any, got: list[int]) -> None:
    while True:
        got.append((await client.receive())["n"])


async def test_publishers_over_rest_never_outrun_the_server(start_server: Any) -> None:
    await publish_over_rest(start_server, publishers=20, each=15)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_many_publishers_over_rest_never_outrun_the_server(start_server: Any) -> None:
    await publish_over_rest(start_server, publishers=100, each=100)


async def test_one_in_this_process_that_does_not_await_is_told_to_wait(start_server: Any) -> None:
    server: LiveServer = await start_server(broadcast={"batch_size": 1})
    watchers = [await server.enter(f"w{number}", "doctor", "type:note") for number in range(5)]
    accepted, refused = [], 0
    for number in range(2000):
        try:
            server.manager.broadcast_to_type("note", {"n": number})
        except ServerError as error:
            if error.kind is not BACKPRESSURE:
                raise
            refused += 1
        else:
            accepted.append(number)
    assert refused > 0
    await until(lambda: not server.manager.hub.frames_queued)
    assert server.manager.broadcast_to_type("note", {"n": 2000}) == 5
    for client in watchers:
        assert [message["n"] for message in await client.everything()] == [*accepted, 2000]


async def test_one_in_this_process_that_awaits_its_reports_is_never_refused(start_server: Any) -> None:
    server: LiveServer = await start_server(broadcast={"batch_size": 1})
    watchers = [await server.enter(f"w{number}", "doctor", "type:note") for number in range(5)]
    for number in range(1000):
        assert await server.manager.broadcast_to_type("note", {"n": number}) == 5
    for client in watchers:
        assert [message["n"] for message in await client.everything()] == list(range(1000))
