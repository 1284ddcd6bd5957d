"""``GET /metrics`` of a server on real sockets: who may scrape, what formats, and sums under churn."""

import asyncio
import random

import pytest
from live_server import LiveServer, token_of, until
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from scrape import Series, check_growth, check_sums, series_of, total, value

SCRAPER = token_of("prometheus", "service", scope="metrics:read")


async def scraped(server: LiveServer) -> Series:
    answer = await server.http("GET", "/metrics", token=SCRAPER)
    assert answer.status == 200, answer
    return series_of(answer.body.decode())


async def test_only_a_token_with_the_scope_may_scrape(server: LiveServer) -> None:
    assert (await server.http("GET", "/metrics")).status == 401
    other = token_of("ops", "admin", scope="admin:read")
    assert (await server.http("GET", "/metrics", token=other)).error["details"] == {"scope": "metrics:read"}
    assert (await server.http("GET", "/metrics?name[]=x", token=SCRAPER)).status == 400
    assert (await server.http("POST", "/metrics", token=SCRAPER)).status == 405


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "text/plain;version=0.0.4",
        "application/openmetrics-text;version=x.y",
        "application/openmetrics-text;version=" + "9" * 5000,
        "text/plain;version=1..0;escaping=nonsense",
        "application/openmetrics-text;version=1.0.0\x80",
    ],
)
async def test_whatever_is_accepted_there_is_an_answer_that_can_be_read(
    server: LiveServer, accept: str | None
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = await server.http("GET", "/metrics", token=SCRAPER, headers=headers)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert value(series_of(answer.body.decode()), "wsserver_connections_limit") == 10_000


async def test_prometheus_gets_openmetrics_when_it_asks_for_it(server: LiveServer) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
    answer = await server.http("GET", "/metrics", token=SCRAPER, headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0;")
    families = {family.name: family for family in read_openmetrics(answer.body.decode())}
    assert families["wsserver_connects"].type == "counter"
    assert families["wsserver_broadcast_write_seconds"].type == "histogram"


async def test_the_sums_hold_in_scrapes_in_the_middle_of_churn(server: LiveServer) -> None:
    dice = random.Random(7)
    going = True

    async def come_and_go(number: int) -> None:
        while going:
            client = await server.enter(f"u{number}", dice.choice(["doctor", "nurse"]), "patient:5")
            await asyncio.sleep(dice.random() * 0.05)
            if dice.random() < 0.5:
                await client.abort()
            else:
                await client.close()

    async def publish() -> None:
        while going:
            await server.publish("patient/5", {"type": "vitals", "hr": 60})

    crowd = [asyncio.ensure_future(come_and_go(number)) for number in range(6)]
    crowd.append(asyncio.ensure_future(publish()))
    before = await scraped(server)
    for _ in range(15):
        after = await scraped(server)
        check_sums(after)
        check_growth(before, after)
        before = after
    going = False
    await asyncio.gather(*crowd)
    await until(lambda: not server.manager.connections)
    last = await scraped(server)
    check_sums(last)
    assert total(last, "wsserver_connections") == 0
    assert total(last, "wsserver_connects_total") == total(last, "wsserver_disconnects_total") >= 6
    assert total(last, "wsserver_sockets_closed_total") <= total(last, "wsserver_disconnects_total")
    assert value(last, "wsserver_flush_slice_seconds_count") > 0
    assert value(last, "wsserver_loop_lag_seconds_count") > 0
