"""The publisher and the real server: once, whatever is cut, from as many threads as there are."""

import asyncio

import pytest
from chaos_proxy import ChaosProxy, Ending, Fate, Fates, Way
from live_server import ALL_SCOPES, LiveServer, StartServer, token_of, until

from wsserver.client import BroadcastReport, Publisher, RequestRefused


def publisher_token(**claims: object) -> str:
    return token_of("backend", "service", **{"scope": ALL_SCOPES, **claims})


async def test_what_is_published_arrives_and_is_reported(server: LiveServer) -> None:
    watcher = await server.enter("u1", "doctor", "patient:123", "type:ecg")
    with Publisher(f"http://127.0.0.1:{server.port}", token=publisher_token()) as publisher:
        reports = [
            await asyncio.to_thread(publisher.broadcast_to_patient, 123, {"n": 1}),
            await asyncio.to_thread(publisher.broadcast_to_type, "ecg", {"n": 2}),
            await asyncio.to_thread(publisher.broadcast_to_all, {"n": 3}),
        ]
        with pytest.raises(RequestRefused) as refused:
            await asyncio.to_thread(publisher.broadcast_to_patient, "a/b", {})
        assert refused.value.status in (400, 404)
    assert [int(report) for report in reports] == [1, 1, 1]
    assert [report.topic for report in reports] == ["patient:123", "ecg:*", "*"]
    assert [message["n"] for message in await watcher.published()] == [1, 2, 3]


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET, Ending.HALF_CLOSE])
async def test_a_cut_after_the_request_was_sent_publishes_it_once(server: LiveServer, ending: Ending) -> None:
    watcher = await server.enter("u1", "doctor", "patient:1")
    # The first bytes of the answer get through: by then the message has been published.
    fates = iter([Fate(ending, Way.TO_CLIENT, 20), Fate(ending, Way.TO_CLIENT, 100)])
    async with ChaosProxy(server.port, lambda: next(fates, Fate())) as proxy:
        with Publisher(f"http://127.0.0.1:{proxy.port}", token=publisher_token()) as publisher:
            report = await asyncio.to_thread(publisher.broadcast_to_patient, 1, {"n": 1})
    assert (report.duplicate, report.delivered) == (True, 1)
    assert proxy.met[ending] == 2
    assert [message["n"] for message in await watcher.published()] == [1]


async def test_from_threads_over_bad_lines_each_message_arrives_once(server: LiveServer) -> None:
    watcher = await server.enter("u1", "doctor", "patient:1")
    count = 60
    fates = Fates(11, 1500, endings=(Ending.CLOSE, Ending.RESET, Ending.HALF_CLOSE))
    few = asyncio.Semaphore(6)

    async def publish(publisher: Publisher, n: int) -> BroadcastReport:
        async with few:
            return await asyncio.to_thread(publisher.broadcast_to_patient, 1, {"n": n})

    async with ChaosProxy(server.port, fates) as proxy:
        with Publisher(f"http://127.0.0.1:{proxy.port}", token=publisher_token(), timeout=5) as publisher:
            reports = await asyncio.gather(*(publish(publisher, n) for n in range(count)))
    assert len({report.message_id for report in reports}) == count
    assert len(fates.drawn) > 10
    assert sum(proxy.met.values()) > 10
    assert sorted(message["n"] for message in await watcher.published()) == list(range(count))


async def test_a_server_that_is_overloaded_is_waited_for(start_server: StartServer) -> None:
    server = await start_server(rate_limit={"requests_per_second": 5, "request_burst": 1})
    with Publisher(f"http://127.0.0.1:{server.port}", token=publisher_token()) as publisher:
        for n in range(3):
            await asyncio.to_thread(publisher.broadcast_to_all, {"n": n})


async def test_a_server_that_comes_back_is_found_again(start_server: StartServer) -> None:
    first = await start_server()
    async with ChaosProxy(first.port) as proxy:
        with Publisher(f"http://127.0.0.1:{proxy.port}", token=publisher_token()) as publisher:
            await asyncio.to_thread(publisher.broadcast_to_all, {"n": 1})
            await first.end()
            publishing = asyncio.ensure_future(asyncio.to_thread(publisher.broadcast_to_all, {"n": 2}))
            await until(lambda: proxy.met[Ending.RESET] > 0 or publishing.done(), "an attempt in vain")
            second = await start_server()
            proxy.target = second.port
            assert (await publishing).duplicate is False
