"""The benchmarks by name: what each measures with which sizes, and how its result is shown."""

from typing import Any, Final

import uvloop

from benchmarks.benchmark import Benchmark, Options
from benchmarks.descriptors import fitting
from benchmarks.peers.registry import PEERS
from benchmarks.reports import filters_plot
from benchmarks.suites import (
    accept,
    drain,
    durable,
    encodings,
    fanout,
    fanout_figures,
    filters,
    herd,
    idle,
    inbound,
    instructions,
    latency,
    memory,
    mixed,
    operators,
    peers,
    replay,
    slow,
    trace,
    ward,
)
from wsserver.settings import ShutdownSettings


def _fanout(options: Options) -> dict[str, Any]:
    usual = [200, 1_000] if options.quick else [1_000, 5_000, 10_000, 18_000]
    crowds = fitting([options.connections] if options.connections else usual)
    # The largest messages take as long as all others.
    sizes = fanout.SIZES[:2] if options.quick else fanout.SIZES
    return uvloop.run(fanout.fanout(crowds, options.turns(9, 3), sizes))


def _peers(options: Options) -> dict[str, Any]:
    crowd, rounds = options.crowd(10_000, 200), options.turns(5, 2)
    return uvloop.run(peers.peers(crowd, rounds, PEERS, install=options.install or not options.quick))


def _latency(options: Options) -> dict[str, Any]:
    usual = [200, 1_000] if options.quick else list(latency.SIZES)
    crowds = fitting([options.connections] if options.connections else usual)
    return uvloop.run(latency.latency(crowds, options.turns(40, 4), options.duration(5, 0.2)))


def _mixed(options: Options) -> dict[str, Any]:
    return uvloop.run(mixed.mixed(options.crowd(10_000, 1_000), options.turns(7, 2)))


def _memory(options: Options) -> dict[str, Any]:
    return uvloop.run(memory.memory(options.crowd(10_000, 1_000)))


def _accept(options: Options) -> dict[str, Any]:
    return uvloop.run(accept.accept(options.crowd(2_000, 500), options.turns(9, 2)))


def _inbound(options: Options) -> dict[str, Any]:
    crowd, rounds = options.crowd(1_000, 100), options.turns(4, 1)
    return uvloop.run(inbound.inbound(crowd, rounds, options.duration(0.6, 0.15)))


def _idle(options: Options) -> dict[str, Any]:
    return uvloop.run(idle.idle(options.crowd(10_000, 1_000), options.duration(30, 3)))


def _filters(options: Options) -> dict[str, Any]:
    usual = [1_000, 2_000] if options.quick else [12_500, 25_000, 50_000]
    sizes = [options.subscriptions] if options.subscriptions else usual
    result = filters.filters(sizes, options.turns(7, 3))
    if options.plot is not None:
        filters_plot.draw(result, options.plot)
    return result


def _slow(options: Options) -> dict[str, Any]:
    return uvloop.run(slow.slow(options.crowd(10_000, 1_000), options.duration(30, 6)))


def _drain(options: Options) -> dict[str, Any]:
    rate = options.rate or ShutdownSettings().return_rate
    variants = drain.VARIANTS[: 1 if options.quick else None]
    return uvloop.run(drain.drain(options.crowd(10_000, 500), rate, variants))


def _herd(options: Options) -> dict[str, Any]:
    policies = list(herd.POLICIES)[: 1 if options.quick else None]
    return uvloop.run(herd.herd(options.crowd(10_000, 1_000), options.turns(2, 1), policies))


def _operators(options: Options) -> dict[str, Any]:
    crowd, rounds = options.crowd(10_000, 1_000), options.turns(5, 1)
    return uvloop.run(operators.operators(crowd, rounds, options.duration(6, 1)))


def _trace(options: Options) -> dict[str, Any]:
    return uvloop.run(trace.trace(options.crowd(1_000, 200), options.turns(15, 2)))


def _durable(options: Options) -> dict[str, Any]:
    return uvloop.run(durable.durable(options.duration(5, 1), options.folder))


def _replay(options: Options) -> dict[str, Any]:
    clients, messages = options.crowd(1_000, 100), options.turns(1_000, 200)
    return uvloop.run(replay.replay(clients, messages, replay.QUIET / 2 if options.quick else replay.QUIET))


def _instructions(options: Options) -> dict[str, Any]:
    groups = instructions.QUICK_GROUPS if options.quick else instructions.GROUPS
    return instructions.instructions(options.turns(2, 1), groups)


def _ward(options: Options) -> dict[str, Any]:
    viewers, seconds = options.crowd(5_000, 50), options.duration(15, 1.5)
    if options.quick:
        return uvloop.run(ward.ward(viewers, 20, seconds, [0.5, 1.0], 0))
    return uvloop.run(ward.ward(viewers, max(5, viewers // 10), seconds))


def _encodings(options: Options) -> dict[str, Any]:
    return encodings.encodings(options.turns(15, 3))


SUITE: Final = {
    "fanout": Benchmark(
        _fanout,
        fanout.table,
        fanout_figures.figures,
        fanout_figures.charts,
        about=(
            "deliveries per second to 1,000 to 18,000 subscribers, of 200 bytes, 2 kB and 64 kB, one at a "
            "time and in bursts of 16, against a bare C loop of send() over the same sockets and against "
            "await ws.send_str on aiohttp + uvloop; and that all get 20 broadcasts exactly once and in order"
        ),
        seconds=300,
        quick_seconds=13,
    ),
    "latency": Benchmark(
        _latency,
        latency.table,
        latency.figures,
        latency.charts,
        about=(
            "time until the last of 1,000 to 18,000 subscribers has a message: of one broadcast, against a "
            "bare C loop of send(), and at 10 %, 50 % and 90 % of what the server can send, from when each "
            "was due"
        ),
        seconds=200,
        quick_seconds=5,
    ),
    "peers": Benchmark(
        _peers,
        peers.table,
        peers.figures,
        peers.charts,
        about=(
            "the same broadcast to 10,000, one at a time and in bursts of 16, against what people would use "
            "instead: aiohttp by loop and by gather, websockets, picows, uvicorn with Starlette, "
            "python-socketio, Node.js with ws, socketify, Centrifugo and nats-server"
        ),
        seconds=480,
        quick_seconds=15,
    ),
    "mixed": Benchmark(
        _mixed,
        mixed.table,
        mixed.figures,
        mixed.charts,
        about="fan-out to 10,000 of whom half speak the binary protocol, against 10,000 in JSON",
        seconds=60,
        quick_seconds=7,
    ),
    "memory": Benchmark(
        _memory,
        memory.table,
        memory.figures,
        memory.charts,
        about=(
            "resident memory per idle, authenticated connection, without and with a subscription, by owner; "
            "and of a session that waits for its client"
        ),
        seconds=60,
        quick_seconds=8,
    ),
    "accept": Benchmark(
        _accept,
        accept.table,
        accept.figures,
        about=(
            "connections accepted per second, token check included, against aiohttp's bare upgrade; and "
            "the same while as many others leave"
        ),
        seconds=40,
        quick_seconds=6,
    ),
    "inbound": Benchmark(
        _inbound,
        inbound.table,
        inbound.figures,
        about=(
            "commands and published messages of clients per second, by one connection and by 1,000, in JSON "
            "and in binary, against aiohttp's bare echo of the same frames"
        ),
        seconds=120,
        quick_seconds=15,
    ),
    "idle": Benchmark(
        _idle,
        idle.table,
        idle.figures,
        about="the server's share of one core with 10,000 connections that only answer heartbeats",
        seconds=45,
        quick_seconds=8,
    ),
    "filters": Benchmark(
        _filters,
        filters.table,
        filters.figures,
        filters.charts,
        about=(
            "time to find a message's receivers among 12,500 to 50,000 subscriptions with "
            "filters of six kinds, against a scan of them all in plain Python and one of compiled "
            "filters; memory and time per subscription"
        ),
        seconds=150,
        quick_seconds=8,
    ),
    "slow": Benchmark(
        _slow,
        slow.table,
        slow.figures,
        slow.charts,
        about=(
            "what a tenth of 10,000 clients, which stop reading, cost the others, the memory and "
            "their own alerts; and whether every loss is accounted for and told"
        ),
        seconds=75,
        quick_seconds=15,
    ),
    "instructions": Benchmark(
        _instructions,
        instructions.table,
        instructions.figures,
        about=(
            "how many machine instructions each operation of the core takes, counted by callgrind: the "
            "same on a busy machine, so that a change of 5 % is seen"
        ),
        seconds=50,
        quick_seconds=15,
    ),
    "encodings": Benchmark(
        _encodings,
        encodings.table,
        encodings.figures,
        encodings.charts,
        about=("an ECG message as JSON, as a binary frame and with LZ4: bytes, time to write and to read"),
        seconds=8,
        quick_seconds=3,
    ),
    "durable": Benchmark(
        _durable,
        durable.table,
        durable.figures,
        durable.charts,
        about=("publishes per second to a store on disk, many in a commit and one each, against memory"),
        seconds=30,
        quick_seconds=6,
    ),
    "replay": Benchmark(
        _replay,
        replay.table,
        replay.figures,
        about=(
            "a thousand clients that come back to a thousand missed messages each, and what live "
            "messages wait meanwhile"
        ),
        seconds=40,
        quick_seconds=8,
    ),
    "trace": Benchmark(
        _trace,
        trace.table,
        trace.figures,
        trace.charts,
        about=(
            "what the message trace costs publishing and fan-out: with nothing armed, with one "
            "armed for others and for these, against the same server without the tracer"
        ),
        seconds=40,
        quick_seconds=6,
    ),
    "operators": Benchmark(
        _operators,
        operators.table,
        operators.figures,
        about=(
            "fan-out to 10,000 with two status pages and a Prometheus scrape every 5 s, against "
            "the same without them; and what no page, two and fifty cost while nothing is sent"
        ),
        seconds=100,
        quick_seconds=11,
    ),
    "drain": Benchmark(
        _drain,
        drain.table,
        drain.figures,
        about=(
            "clients sent away by TERM: how fast they return, to a successor and to another "
            "instance, how long they are away, how long the process takes to end"
        ),
        seconds=85,
        quick_seconds=9,
    ),
    "herd": Benchmark(
        _herd,
        herd.table,
        herd.figures,
        about=("kill -9 under all clients: how long until all are back, and what that does to the loop"),
        seconds=110,
        quick_seconds=8,
    ),
    "ward": Benchmark(
        _ward,
        ward.table,
        ward.figures,
        ward.charts,
        about=(
            "500 patients with monitors and 5,000 viewers with filters, encodings and habits of their own, "
            "some slow, some coming and going: what load holds with a p99 under 100 ms, growing until it "
            "breaks, and what breaks first"
        ),
        seconds=240,
        quick_seconds=12,
    ),
}
