"""What it costs everybody else when operators look on: status pages and a Prometheus scrape, against nobody.

One server and one crowd; rounds of fan-out with two status pages that watch every panel and a scrape
every five seconds take turns with rounds without them, in a changing order. A ratio is that of two
neighbouring rounds. The pages and the scraper run on the processor of the load client, as those of an
operator run elsewhere. Then the same server is left in peace, and its processor time is taken with no
page, two, fifty, and two with the scraper.
"""

import asyncio
import gc
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.clients.load_client import load_client
from benchmarks.clients.onlookers import onlookers
from benchmarks.contest.contestants import Audience, Ours
from benchmarks.contest.rounds import SENDS_PER_CONNECTION, SENDS_PER_ROUND, check_delivery, check_text
from benchmarks.contest.series import Series, client_fault, note, spread
from benchmarks.machine import facts, pin
from benchmarks.progress import say
from benchmarks.reports.figure import Figure, aim_at, figure, spread_figure
from benchmarks.servers.real_server import SUBSCRIBE, WARD, load_profile, real_server, write_tokens
from wsserver.access.tokens import mint_token
from wsserver.clock import SystemClock
from wsserver.status.reading import read

ENOUGH, ENOUGH_AT = 0.97, 10_000
"""What of the deliveries a second without onlookers there must be with them, from so many subscribers on."""

VIEWERS = 2
SCRAPE_INTERVAL = 5.0
"""Seconds."""

CROWDS = ((0, 0.0), (VIEWERS, 0.0), (50, 0.0), (VIEWERS, SCRAPE_INTERVAL))
"""Pages that look on while nothing is sent, and seconds between two scrapes or 0 for none."""

READINGS = 1000


async def operators(size: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Run the benchmark with so many connections and rounds of so many seconds.

    Raises ReceivedWrong when a message came twice, out of order, or not at all.
    """
    core = pin()
    loaded = load_profile()
    machine = facts()
    operator = mint_token(
        loaded.settings.auth,
        SystemClock(),
        user_id="operator",
        role="admin",
        lifetime=7200,
        scopes=["admin:read", "metrics:read"],
    )
    alone, watched = Series("nobody looks on"), Series("two pages and a scraper")
    seen: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        write_tokens(tokens, size, loaded, ward=WARD)
        async with (
            real_server(loaded) as server,
            load_client(server.port, SUBSCRIBE, core=core, tokens=tokens, kernel_time=True) as client,
            onlookers(server.port, operator, core) as others,
        ):
            await client.connect(size)
            await client.subscribe()
            ours = Ours(server, Audience(client, size))
            gc.collect()
            for number in range(-1, rounds):
                say(f"round {number + 1} of {rounds}" if number >= 0 else "a round that does not count")
                for series in (alone, watched) if number % 2 else (watched, alone):
                    if series is watched:
                        await others.watch(VIEWERS, SCRAPE_INTERVAL)
                    measured = await _play(ours, seconds)
                    if series is watched:
                        seen.append(await others.leave())
                    if number >= 0:
                        note(series, *measured)
            check = await check_delivery(ours)
            idle = []
            for viewers, interval in CROWDS:
                say(f"nothing is sent, {viewers} pages look on")
                await others.watch(viewers, interval)
                began, cpu = time.monotonic(), time.process_time()
                await asyncio.sleep(seconds)
                cost = (time.process_time() - cpu) / (time.monotonic() - began)
                idle.append(
                    {
                        "viewers": viewers,
                        "scrape_interval": interval,
                        "cpu_ms_per_second": cost * 1000,
                        **await others.leave(),
                    }
                )
            reading = _reading_us(server.service)
    return {
        "benchmark": "operators",
        "machine": machine,
        "pinned": core is not None,
        "subscribers": size,
        "rounds": rounds,
        "seconds": seconds,
        "contestants": {one.name: one.summary(alone) for one in (alone, watched)},
        "watched_to_alone": spread([a / b for a, b in zip(watched.rates, alone.rates, strict=True)]),
        "cpu_alone_to_watched": spread([b / a for a, b in zip(watched.costs, alone.costs, strict=True)]),
        "seen": seen,
        "check": check,
        "idle": idle,
        "reading_us": reading,
    }


async def _play(contestant: Ours, seconds: float) -> tuple[float, float, float]:
    """Broadcasts for so long: deliveries per second, processor seconds per delivery, the client's share."""
    audience = contestant.audience
    count = max(1, min(SENDS_PER_CONNECTION, SENDS_PER_ROUND // audience.size))
    began, cpu, published = time.monotonic(), time.process_time(), 0
    busiest, ended = 0.0, began
    while ended - began < seconds:
        await audience.client.expect(audience.sent + count)
        await contestant.publish(audience.sent, count)
        done = await audience.client.done()
        audience.sent += count
        published += count
        busiest, ended = max(busiest, done["cpu_share"]), done["at"]
    deliveries = published * audience.size
    return deliveries / (ended - began), (time.process_time() - cpu) / deliveries, busiest


def _reading_us(service: Any) -> dict[str, float]:
    """Microseconds of one look at all figures, as the series take one every second."""
    times = []
    for _ in range(READINGS):
        began = time.perf_counter()
        read(service, 0.0)
        times.append((time.perf_counter() - began) * 1e6)
    return spread(times)


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run."""
    who = f"{result['subscribers']:,} subscribers, two pages and a scraper"
    invalid = client_fault(*result["contestants"].values())
    ratio, cpu = result["watched_to_alone"], result["cpu_alone_to_watched"]
    aim = aim_at(ENOUGH, result["subscribers"], ENOUGH_AT)
    found = [
        spread_figure(f"{who}: to nobody", "of its deliveries/s", ratio, "more", invalid=invalid, **aim),
        spread_figure(f"{who}: to nobody", "by CPU", cpu, "more"),
        spread_figure("one look at all figures", "µs", result["reading_us"], "less"),
    ]
    for one in result["idle"]:
        name = f"{result['subscribers']:,} idle subscribers, {_crowd(one)}"
        found.append(figure(name, "ms of processor a second", [one["cpu_ms_per_second"]], "less"))
    return found


def _crowd(one: dict[str, Any]) -> str:
    """Who looked on while nothing was sent: who was asked to, not what came of it."""
    # Runs that were kept before tell only how often somebody scraped.
    scraper = " and a scraper" if one.get("scrape_interval", one["scrapes"]) else ""
    return f"{one['viewers']} pages{scraper}"


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{result['subscribers']:,} subscribers, {result['rounds']} rounds of {result['seconds']:g} s each",
        f"  {'':26}{'deliveries/s':>13}{'min':>12}{'max':>12}{'µs CPU':>8}{'client':>8}",
    ]
    for name, one in result["contestants"].items():
        rate = one["deliveries_per_second"]
        invalid = "  client-limited" if one["rounds_limited_by_client"] else ""
        lines.append(
            f"  {name:26}{rate['median']:13,.0f}{rate['min']:12,.0f}{rate['max']:12,.0f}"
            f"{one['server_cpu_us_per_delivery']['median']:8.2f}{one['client_cpu_share']:8.0%}{invalid}"
        )
    ratio, cpu = result["watched_to_alone"], result["cpu_alone_to_watched"]
    lines.append(
        f"  with them / without: {ratio['median']:.3f} (min {ratio['min']:.3f}, max {ratio['max']:.3f}), "
        f"by CPU {cpu['median']:.3f} (min {cpu['min']:.3f}, max {cpu['max']:.3f}); {ENOUGH} is demanded"
    )
    panels, scrapes = (sum(one[name] for one in result["seen"]) for name in ("panels", "scrapes"))
    took = sum(one["scrape_s"] for one in result["seen"]) / max(scrapes, 1)
    lines.append(f"  they saw {panels:,} panels and {scrapes} scrapes, {took * 1000:.0f} ms each")
    lines += [
        f"  nothing sent, {_crowd(one)}: "
        f"{one['cpu_ms_per_second']:.2f} ms of CPU a second, "
        f"{one['panels']} panels, {one['panel_bytes'] / max(one['panels'], 1):,.0f} bytes each"
        for one in result["idle"]
    ]
    reading, check = result["reading_us"], result["check"]
    lines.append(f"  one look at all figures: {reading['median']:.0f} µs (max {reading['max']:.0f})")
    lines.append(f"  check: {check_text(check)}")
    return "\n".join(lines) + "\n"
