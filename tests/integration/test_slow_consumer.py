"""Clients that do not read: they are cut, and nobody else notices."""

import psutil
from live_server import LiveServer, token_of, until
from raw_socket import TEXT, RawSocket

QUEUE = {"max_queue_bytes": 256 * 1024, "max_queue_messages": 100, "send_buffer": 16 * 1024}
TEXT_OF_8K = "x" * 8192


async def sleeper(server: LiveServer, user: str, topic: str = "patient:1") -> RawSocket:
    """A client that subscribes when it connects and never reads a byte after ``connected``."""
    path = f"/ws/connect?subscriptions={topic}"
    raw = await server.raw(token_of(user), path=path, receive_buffer=4096)
    assert (await raw.read_message())["type"] == "connected"
    return raw


async def test_a_client_that_never_reads_is_closed_with_4005_and_the_others_lose_nothing(
    start_server,
) -> None:
    server = await start_server(backpressure=QUEUE, broadcast={"max_message_size": 65536})
    slow = await sleeper(server, "slow")
    quick = [await server.enter(f"q{number}", "doctor", "patient:1") for number in range(5)]
    reports = []
    got: dict[int, list[int]] = {number: [] for number in range(5)}
    for number in range(200):
        reports.append(server.manager.broadcast_to_patient(1, {"n": number, "text": TEXT_OF_8K}))
        if number % 20 == 19:
            for place, client in enumerate(quick):
                got[place] += [message["n"] for message in await client.everything()]
    assert list(got.values()) == [list(range(200))] * 5

    for report in reports:
        refused = sum(report.refused.values())
        assert report.matched == report.delivered + refused
        outcome = report.outcome()
        assert report.delivered == outcome["written"] + outcome["queued"] + sum(outcome["dropped"].values())
    assert sum(report.refused.get("slow", 0) for report in reports) > 0
    assert sum(report.outcome()["dropped"]["slow"] for report in reports) > 0

    # What it does find when it looks at last: the beginning, in order and whole, then the close.
    code, frames = await slow.read_close()
    assert code == 4005
    *messages, gap = [frame.json for frame in frames if frame.opcode == TEXT]
    numbers = [message["n"] for message in messages]
    assert numbers == list(range(len(numbers)))
    assert 0 < len(numbers) < 200
    # The news of what it lost, up to the moment at which it was forgotten.
    assert (gap["type"], gap["topic"], gap["reason"]) == ("gap", "patient:1", "slow")
    assert gap["log"] == messages[0]["_meta"]["log"]
    assert gap["from"] == reports[len(numbers)].seq
    assert gap["count"] == gap["to"] - gap["from"] + 1 > 0
    assert gap["count"] == sum(r.outcome()["dropped"]["slow"] + r.refused.get("slow", 0) for r in reports)
    await slow.abort()
    await until(lambda: len(server.manager.connections) == 5)
    figures = await server.metrics()
    assert figures["messages"]["dropped"]["slow"] == sum(r.outcome()["dropped"]["slow"] for r in reports)


async def test_one_that_never_looks_again_is_dropped_after_a_while(start_server) -> None:
    server = await start_server(backpressure=QUEUE)
    server.service.inlet.close_timeout = 0.5
    await sleeper(server, "slow")
    for number in range(200):
        server.manager.broadcast_to_patient(1, {"n": number, "text": TEXT_OF_8K})
    await until(lambda: server.manager.hub.open_count == 0)
    assert not server.manager.connections
    assert server.manager.hub.frames_queued == 0


async def test_many_sleepers_hold_no_more_than_their_queues(start_server) -> None:
    server = await start_server(backpressure=QUEUE)
    server.service.inlet.close_timeout = 0.5
    sleepers = [await sleeper(server, f"s{number}") for number in range(30)]
    process = psutil.Process()
    before = process.memory_info().rss
    for number in range(300):
        # A different text each time: nothing is shared between two messages.
        server.manager.broadcast_to_patient(1, {"n": number, "text": f"{number:06d}" * 1400})
        if number % 10 == 0:
            await server.metrics()
    grown = process.memory_info().rss - before
    assert server.manager.hub.frames_queued <= 30 * 100
    assert grown < 30 * QUEUE["max_queue_bytes"]
    await until(lambda: server.manager.hub.open_count == 0)
    assert len(sleepers) == 30


async def test_answers_to_ones_own_commands_count_as_well(start_server) -> None:
    """A client that asks and asks and never reads the answers is no different."""
    from raw_socket import command

    server = await start_server(
        backpressure={**QUEUE, "max_queue_messages": 10},
        rate_limit={"burst": 100_000, "messages_per_second": 1e6},
    )
    server.service.inlet.close_timeout = 0.5
    slow = await server.raw(token_of(), receive_buffer=4096)
    other = await server.enter("other")
    ask = command("ping", t="x" * 60) * 200
    try:
        for _ in range(200):
            await slow.send(ask)
    except OSError:
        pass
    await until(lambda: len(server.manager.connections) == 1)
    assert await other.everything() == []


async def test_a_slow_client_that_catches_up_in_time_stays_and_has_everything(start_server) -> None:
    server = await start_server(backpressure={**QUEUE, "max_queue_bytes": 1 << 20})
    slow = await sleeper(server, "slow")
    for number in range(60):
        assert server.manager.broadcast_to_patient(1, {"n": number, "text": TEXT_OF_8K}) == 1
    await until(lambda: server.manager.hub.frames_queued > 0)
    assert [(await slow.read_message())["n"] for _ in range(60)] == list(range(60))
    server.manager.broadcast_to_patient(1, {"n": 60})
    assert (await slow.read_message())["n"] == 60
