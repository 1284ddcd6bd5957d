"""Peers: the same messages to the same crowd by what people would use instead, in the same rounds.

Each peer is a process on the server's processor with as many clients of its own, all connected at the same
time; it is stopped by a signal while it is not its turn, as nothing it does by itself is to be measured with
the others. The clock of a round starts before the server is told to publish and stops when the kernel has the
last message for the last of its clients. What a peer needs to be told is part of it. Its processor time is
read from outside.
"""

import gc
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.clients.load_client import load_client
from benchmarks.contest.contestants import (
    JOINED,
    MESSAGE_SIZE,
    Audience,
    Contestant,
    Floor,
    Ours,
    frame_start,
)
from benchmarks.contest.rounds import SENDS_PER_CONNECTION, SENDS_PER_ROUND
from benchmarks.contest.series import Series, client_fault, note, spread
from benchmarks.machine import facts, pin, resident_bytes
from benchmarks.peers.peer import Peer
from benchmarks.peers.registry import usable
from benchmarks.peers.turn import Arrived, Fell, PeerContestant, bring, play
from benchmarks.progress import say
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, aim_at, figure
from benchmarks.servers.real_server import (
    SUBSCRIBE,
    WARD,
    RealServer,
    load_profile,
    real_server,
    write_tokens,
)
from wsserver.loop.garbage import leave_the_living_alone

OURS, FLOOR = "ours", "C loop of send"
MODES = {"one at a time": 1, f"bursts of {JOINED}": JOINED}

AHEAD = 1.0
"""What of the deliveries of the best peer this server has to have."""
NEAR = 0.95
"""What of the deliveries of a bare loop of ``send`` it has to have."""
AIM_AT = 10_000
"""Subscribers for whom that is demanded, or more."""


@dataclass(slots=True)
class _Entry:
    """A contestant in one mode, and what it did; it has fallen when it has fewer rounds than the others."""

    name: str
    mode: str
    contestant: Contestant
    series: Series
    wire_bytes: list[float] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)


async def peers(size: int, rounds: int, contenders: Sequence[Peer], *, install: bool) -> dict[str, Any]:
    """Run the benchmark; ``install`` makes the environments that are missing.

    What cannot be used is left out with its reason; so is a peer, once it has died or lost messages.
    """
    usable_peers, skipped = usable(contenders, install=install)
    core = pin()
    machine = facts()
    loaded = load_profile()
    async with AsyncExitStack() as stack:
        tokens = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tokens"
        write_tokens(tokens, size, loaded, ward=WARD)
        server = await stack.enter_async_context(real_server(loaded))
        leave_the_living_alone()
        audience, own_facts = await _own_crowd(server, size, tokens, core, stack)
        start = await frame_start(server, audience)
        side = {OURS: own_facts}
        fallen: dict[str, str] = {}
        arrived: dict[str, Arrived] = {}
        for peer in usable_peers:
            say(f"{size:,} clients connect to {peer.name}")
            try:
                arrived[peer.name] = await bring(peer, size, core, stack)
            except Fell as fault:
                _fall(fallen, peer.name, str(fault))
            else:
                side[peer.name] = arrived[peer.name].facts
        entries = _entries(server, audience, start, arrived)
        gc.collect()
        for number in range(-1, rounds):
            say(f"round {number + 1} of {rounds}" if number >= 0 else "a round that does not count")
            await _round(entries, number, fallen)
    return {
        "benchmark": "peers",
        "machine": machine,
        "pinned": core is not None,
        "subscribers": size,
        "rounds": rounds,
        "message_bytes": MESSAGE_SIZE,
        "versions": {peer.name: peer.environment.versions() for peer in usable_peers},
        "skipped": skipped,
        "fallen": fallen,
        "side": side,
        "modes": {mode: _summary([one for one in entries if one.mode == mode]) for mode in MODES},
    }


async def _own_crowd(
    server: RealServer, size: int, tokens: Path, core: int | None, stack: AsyncExitStack
) -> tuple[Audience, dict[str, Any]]:
    client = await stack.enter_async_context(
        load_client(server.port, SUBSCRIBE, core=core, tokens=tokens, kernel_time=True)
    )
    say(f"{size:,} clients connect to this server")
    gc.collect()
    before = resident_bytes()
    connected = await client.connect(size)
    await client.subscribe()
    grown = resident_bytes() - before
    side = {"bytes_per_connection": grown / size, "connects_per_second": size / connected["wall"]}
    return Audience(client, size), side


def _entries(
    server: RealServer, audience: Audience, start: bytes, arrived: Mapping[str, Arrived]
) -> list[_Entry]:
    entries = []
    for mode, joined in MODES.items():
        contestants: dict[str, Contestant] = {
            OURS: Ours(server, audience, joined),
            FLOOR: Floor(server, audience, start, joined),
        }
        for name, one in arrived.items():
            contestants[name] = PeerContestant(name, one.running, one.audience, start, joined)
        entries += [_Entry(name, mode, one, Series(name)) for name, one in contestants.items()]
    return entries


async def _round(entries: Sequence[_Entry], number: int, fallen: dict[str, str]) -> None:
    shift = number % len(entries)
    for place in [*range(shift, len(entries)), *range(shift)]:
        one = entries[place]
        if one.name in fallen:
            continue
        size, joined = one.contestant.audience.size, one.contestant.joined
        sends = max(1, min(SENDS_PER_CONNECTION, SENDS_PER_ROUND // size))
        # Bursts are as many as make that, but at least one.
        count = max(1, sends // joined) * joined
        try:
            turn = await play(one.contestant, count)
        except Fell as fault:
            if one.name in (OURS, FLOOR):
                raise
            _fall(fallen, one.name, f"{one.mode}, round {number + 1}: {fault}")
            continue
        for fault_name, times in turn.faults.items():
            one.faults[fault_name] = one.faults.get(fault_name, 0) + times
        if number >= 0:
            note(one.series, turn.rate, turn.cost, turn.client_share)
            one.wire_bytes.append(turn.wire_bytes)


def _fall(fallen: dict[str, str], name: str, reason: str) -> None:
    fallen[name] = reason
    say(f"{name} is out: {reason}")


def _summary(entries: Sequence[_Entry]) -> dict[str, Any]:
    """Of one mode. A peer that has fallen is in it with the rounds that it had."""
    by_name = {one.name: one.series for one in entries}
    floor, ours = by_name[FLOOR], by_name[OURS]
    contestants = {}
    for one in entries:
        played = len(one.series.rates)
        if not played:
            continue
        # Whoever falls misses the rounds at the end, so the first ones are those of the same turns.
        reference = Series(FLOOR, floor.rates[:played], floor.costs[:played])
        contestants[one.name] = {
            **one.series.summary(reference),
            "rounds": played,
            "wire_bytes": statistics.mean(one.wire_bytes),
            "faults": one.faults,
            "rates": one.series.rates,
        }
    result: dict[str, Any] = {
        "contestants": contestants,
        "ours_to_floor": [a / b for a, b in zip(ours.rates, floor.rates, strict=True)],
    }
    rivals = _rivals(result)
    if rivals is not None:
        result["best_peer"] = rivals.best
        result["ours_to_best_peer"] = rivals.ratios
    return result


@dataclass(frozen=True, slots=True)
class _Rivals:
    """The fastest peers, against which ours is held."""

    best: str
    """The one with the highest median of the rounds that it had."""
    ratios: list[float]
    """Ours to whichever was the fastest of its round; of the rounds in which there was one."""
    fastest: set[str]
    """Who that was, in one round or another."""


def _rivals(stage: Mapping[str, Any]) -> _Rivals | None:
    """Of a mode, by the rates in it; None without any peer.

    A peer that has fallen counts in the rounds that it had: to leave it out would be to our advantage.
    """
    rates = {name: one["rates"] for name, one in stage["contestants"].items()}
    ours = rates[OURS]
    peers = {name: many for name, many in rates.items() if name not in (OURS, FLOOR)}
    ratios, fastest = [], set()
    for number, own in enumerate(ours):
        played = {name: many[number] for name, many in peers.items() if number < len(many)}
        if not played:
            break
        first = max(played, key=lambda name: played[name])
        fastest.add(first)
        ratios.append(own / played[first])
    if not ratios:
        return None
    return _Rivals(max(peers, key=lambda name: statistics.median(peers[name])), ratios, fastest)


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{result['subscribers']:,} subscribers each, {result['rounds']} rounds, "
        f"a message of {result['message_bytes']} bytes"
    ]
    for mode, stage in result["modes"].items():
        lines.append(
            f"  {mode:26}{'deliveries/s':>13}{'min':>12}{'max':>12}{'/ C loop':>10}{'by CPU':>8}"
            f"{'µs CPU':>8}{'on wire':>8}{'client':>8}"
        )
        for name, one in _ranked(stage):
            rate = one["deliveries_per_second"]
            remarks = "  client-limited" if one["rounds_limited_by_client"] else ""
            if one["faults"]:
                remarks += "  " + ", ".join(f"{fault} {times}" for fault, times in one["faults"].items())
            lines.append(
                f"  {name:26}{rate['median']:13,.0f}{rate['min']:12,.0f}{rate['max']:12,.0f}"
                f"{one['ratio_to_floor']['median']:10.2f}{one['cpu_ratio_to_floor']['median']:8.2f}"
                f"{one['server_cpu_us_per_delivery']['median']:8.2f}{one['wire_bytes']:8.0f}"
                f"{one['client_cpu_share']:8.0%}{remarks}"
            )
        lines.append(f"  ours / C loop of send: {_ratio(stage['ours_to_floor'])}; {NEAR} is the aim")
        if (rivals := _rivals(stage)) is not None:
            lines.append(f"  ours / the best peer of the round: {_ratio(rivals.ratios)} ({rivals.best})")
        lines.append("")
    lines.append(f"  {'':26}{'bytes/connection':>17}{'connects/s':>12}")
    for name, one in result["side"].items():
        lines.append(f"  {name:26}{one['bytes_per_connection']:17,.0f}{one['connects_per_second']:12,.0f}")
    lines += [f"  {name} was skipped: {reason}" for name, reason in result["skipped"].items()]
    lines += [f"  {name} fell out: {reason}" for name, reason in result["fallen"].items()]
    return "\n".join(lines) + "\n"


def _ranked(stage: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The contestants of a mode, the fastest first."""
    return sorted(stage["contestants"].items(), key=lambda one: -one[1]["deliveries_per_second"]["median"])


def _ratio(values: Sequence[float]) -> str:
    found = spread(values)
    return f"{found['median']:.2f} (min {found['min']:.2f}, max {found['max']:.2f})"


def figures(result: dict[str, Any]) -> list[Figure]:
    """Ours against the floor and the best peer, and everybody's deliveries."""
    found = []
    for mode, stage in result["modes"].items():
        size, contestants = result["subscribers"], stage["contestants"]
        what = f"{size:,} subscribers, {mode}"
        # A burst is one send of ours and sixteen of the loop's: there the aim is the fan-out benchmark's.
        near = aim_at(NEAR, size, AIM_AT) if MODES.get(mode) == 1 else {}
        invalid = client_fault(contestants[OURS], contestants[FLOOR])
        ratios = stage["ours_to_floor"]
        found.append(figure(f"{what}: ours / C loop of send", "", ratios, "more", invalid=invalid, **near))
        if (rivals := _rivals(stage)) is not None:
            invalid = client_fault(contestants[OURS], *(contestants[name] for name in rivals.fastest))
            ahead = aim_at(AHEAD, size, AIM_AT)
            found.append(
                figure(f"{what}: ours / best peer", "", rivals.ratios, "more", invalid=invalid, **ahead)
            )
        for name, one in contestants.items():
            fault = client_fault(one)
            found.append(figure(f"{what}: {name}", "deliveries/s", one["rates"], "more", invalid=fault))
    return found


def charts(result: dict[str, Any]) -> list[Chart]:
    """Bars of deliveries per second, a chart for each mode."""
    drawn = []
    for mode, stage in result["modes"].items():
        ranked = _ranked(stage)
        rates = [one["deliveries_per_second"] for _, one in ranked]
        bars = Line(
            "deliveries per second",
            [rate["median"] for rate in rates],
            [rate["min"] for rate in rates],
            [rate["max"] for rate in rates],
        )
        sentence = f"Ours makes {spread(stage['ours_to_floor'])['median']:.2f} of a bare C loop of send"
        if (rivals := _rivals(stage)) is not None:
            sentence += f" and {statistics.median(rivals.ratios):.2f} of the best peer, {rivals.best}"
        drawn.append(
            Chart(
                name=f"peers-{mode.replace(' ', '-')}",
                title=f"A broadcast to {result['subscribers']:,} subscribers, {mode}",
                x_label="",
                y_label="deliveries/s",
                places=[name for name, _ in ranked],
                lines=[bars],
                sentence=f"{sentence}.",
            )
        )
    return drawn
