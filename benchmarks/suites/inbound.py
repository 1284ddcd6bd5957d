"""Inbound: commands that clients send, and messages that they publish, per second.

Three kinds of work: ``ping``, which is parsing, checking and an answer; ``subscribe`` and ``unsubscribe`` in
turn, which is the index too; ``broadcast`` of 200 bytes to a topic with four receivers. Each in JSON and in
the binary protocol, by one connection that waits for every answer, by one that has many commands
under way, and by a crowd. Beside them aiohttp on uvloop sends back the frames of ``ping`` as they came,
in turns: what it costs to parse, to check and to answer, over that.
"""

import json
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.clients.inbound_client import (
    BINARY_MARK,
    JSON_MARK,
    PLACE,
    Command,
    InboundClient,
    Speech,
    command,
    inbound_client,
)
from benchmarks.contest.contestants import message, naive_server
from benchmarks.contest.series import BUSY_CLIENT, client_fault, spread
from benchmarks.machine import facts, pin, processor_seconds
from benchmarks.progress import say
from benchmarks.reports.figure import Figure, spread_figure
from benchmarks.servers.real_server import load_profile, write_tokens
from benchmarks.servers.server_process import server_process
from wsserver.protocol.encoding import BINARY_PROTOCOL

RECEIVERS: Final = 4
"""Of each published message."""

PIPELINED: Final = 32
"""Commands under way of the one connection that does not wait."""

ROLE: Final = "nurse"

_ROLES: Final = {
    ROLE: {"subscribe": ["*"], "wildcard": True, "publish": ["type"], "publish_types": ["*"]},
}
_NO_LIMITS: Final = {
    # The most that the settings take; of a user as much as of a connection.
    **{
        f"WSSERVER_RATE_LIMIT__{name}": "1000000"
        for name in (
            "MESSAGES_PER_SECOND",
            "USER_MESSAGES_PER_SECOND",
            "SUBSCRIBES_PER_SECOND",
            "USER_SUBSCRIBES_PER_SECOND",
        )
    },
    **{
        f"WSSERVER_RATE_LIMIT__{name}": "10000000"
        for name in ("BURST", "USER_BURST", "SUBSCRIBE_BURST", "USER_SUBSCRIBE_BURST")
    },
    **{
        f"WSSERVER_RATE_LIMIT__{name}": str(2**40)
        for name in ("BYTES_PER_SECOND", "BYTE_BURST", "USER_BYTES_PER_SECOND", "USER_BYTE_BURST")
    },
    "WSSERVER_ACCESS__ROLES": json.dumps(_ROLES),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Who speaks."""

    name: str
    speakers: int
    window: int


@dataclass
class Speaker:
    """One client and what it has measured, a value per round."""

    name: str
    client: InboundClient
    pid: int
    """Of its server."""
    rates: list[float] = field(default_factory=list)
    """Commands per second."""
    costs: list[float] = field(default_factory=list)
    """Processor seconds of the server per command."""
    client_shares: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    commands: int = 0
    copies: int = 0

    async def speak(self, seconds: float, *, counts: bool) -> None:
        """One round. Raises AnsweredWrong."""
        before = processor_seconds(self.pid)
        done = await self.client.run(seconds)
        cost = processor_seconds(self.pid) - before
        if not counts:
            return
        self.rates.append(done["answers"] / done["wall"])
        self.costs.append(cost / done["answers"])
        self.client_shares.append(done["cpu_share"])
        self.p50_us.append(done["p50_us"])
        self.p99_us.append(done["p99_us"])
        self.commands += done["answers"]
        self.copies += done["copies"]

    def summary(self, echo: "Speaker") -> dict[str, Any]:
        """Medians and spreads, and ratios to the echo of the same round; more is better of both."""
        return {
            "commands_per_second": spread(self.rates),
            "server_cpu_us_per_command": spread([cost * 1e6 for cost in self.costs]),
            "p50_us": spread(self.p50_us),
            "p99_us": spread(self.p99_us),
            "rate_to_echo": spread([own / other for own, other in zip(self.rates, echo.rates, strict=True)]),
            "cpu_to_echo": spread([other / own for own, other in zip(self.costs, echo.costs, strict=True)]),
            "commands": self.commands,
            "copies": self.copies,
            "client_cpu_share": max(self.client_shares),
            "rounds_limited_by_client": sum(share > BUSY_CLIENT for share in self.client_shares),
        }


ECHO: Final = "aiohttp's echo"


def speeches(*, binary: bool) -> dict[str, Speech]:
    """What our server is told, by name."""
    protocol = BINARY_PROTOCOL if binary else None
    mark = BINARY_MARK if binary else JSON_MARK
    patient, topic = f"patient:patient-{PLACE}-a", f"ecg:bed-{PLACE}"
    kind, _, bed = topic.partition(":")
    published = {"type": "broadcast", "target_type": kind, "target_id": bed, "message": message(0)}
    return {
        "ping": Speech([_ping(binary=binary)], protocol=protocol, mark=mark),
        "subscribe, unsubscribe": Speech(
            [
                command({"type": "subscribe", "topic": patient}, "subscription_confirmed", binary=binary),
                command({"type": "unsubscribe", "topic": patient}, "unsubscribed", binary=binary),
            ],
            protocol=protocol,
            mark=mark,
        ),
        f"broadcast to {RECEIVERS}": Speech(
            [command(published, "broadcast_ack", binary=binary)],
            [command({"type": "subscribe", "topic": topic}, "subscription_confirmed", binary=binary)],
            protocol=protocol,
            mark=mark,
            message=b"\xb1\x01" if binary else b'{"_meta":',
            group=RECEIVERS + 1,
            copies=RECEIVERS,
        ),
    }


def echo(*, binary: bool) -> Speech:
    """The same frames as of ``ping``, which come back as they are."""
    ping = _ping(binary=binary)
    word = b"\xa4ping" if binary else b'"type":"ping"'
    return Speech([Command(ping.opcode, ping.payload, word)], mark=BINARY_MARK if binary else JSON_MARK)


def _ping(*, binary: bool) -> Command:
    return command({"type": "ping", "t": 1_767_225_600_000}, "pong", binary=binary)


async def inbound(connections: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure ``rounds`` after a warm-up, in which each client speaks for ``seconds``.

    Raises AnsweredWrong when a command is refused, not answered in order, or a message did not come.
    """
    core = pin()
    machine = facts()
    shapes = [
        Shape("1 connection, one command at a time", 1, 1),
        Shape(f"1 connection, {PIPELINED} commands under way", 1, PIPELINED),
        Shape(f"{connections:,} connections, one command each at a time", connections, 1),
    ]
    stages = []
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        write_tokens(tokens, connections, load_profile(), ward=1, role=ROLE)
        async with server_process(probed=False, **_NO_LIMITS) as ours, naive_server() as naive:
            for shape in shapes:
                async with AsyncExitStack() as stack:
                    speakers = []
                    for binary in (False, True):
                        form = "binary" if binary else "JSON"
                        for name, speech in speeches(binary=binary).items():
                            client = await _open(stack, ours.port, shape, speech, core, tokens)
                            speakers.append(Speaker(f"{name}, {form}", client, ours.pid))
                        client = await _open(
                            stack, naive.port, shape, echo(binary=binary), core, tokens, path="/ws/echo"
                        )
                        speakers.append(Speaker(f"{ECHO}, {form}", client, naive.pid))
                    for number in range(-1, rounds):
                        say(f"inbound: {shape.name}: round {number + 1} of {rounds}")
                        for speaker in in_turn(speakers, number):
                            # Short, where it does not count.
                            await speaker.speak(seconds if number >= 0 else seconds / 2, counts=number >= 0)
                    stages.append(_stage(shape, speakers))
    return {
        "benchmark": "inbound",
        "machine": machine,
        "rounds": rounds,
        "seconds": seconds,
        "receivers": RECEIVERS,
        "stages": stages,
    }


def in_turn(speakers: Sequence[Speaker], number: int) -> Sequence[Speaker]:
    """Who speaks when in this round: each before and behind each other one as often."""
    return speakers if number % 2 else speakers[::-1]


async def _open(
    stack: AsyncExitStack,
    port: int,
    shape: Shape,
    speech: Speech,
    core: int | None,
    tokens: Path,
    path: str = "/ws/connect",
) -> InboundClient:
    # A lone speaker of messages needs somebody to listen.
    every = speech.group if shape.speakers == 1 else 1
    client = await stack.enter_async_context(
        inbound_client(
            port, speech, core=core, path=path, tokens=tokens, window=shape.window, every=every,
        )
    )  # fmt: skip
    crowd = shape.speakers * every
    await client.connect(-(-crowd // speech.group) * speech.group)
    if speech.prologue:
        await client.prepare()
    return client


def _stage(shape: Shape, speakers: Sequence[Speaker]) -> dict[str, Any]:
    half = len(speakers) // 2
    return {
        "shape": shape.name,
        "connections": shape.speakers,
        "window": shape.window,
        "speakers": {
            # The last of each half is the echo in that form.
            speaker.name: speaker.summary(speakers[half - 1] if number < half else speakers[-1])
            for number, speaker in enumerate(speakers)
        },
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"commands of clients, {result['rounds']} rounds of {result['seconds']:g} s each"]
    for stage in result["stages"]:
        lines.append(f"  {stage['shape']}")
        for name, one in stage["speakers"].items():
            rate, cost, ratio = (
                one["commands_per_second"],
                one["server_cpu_us_per_command"],
                one["cpu_to_echo"],
            )
            against = "" if name.startswith(ECHO) else f"; {1 / ratio['median']:.2f} times the echo's"
            lines.append(
                f"    {name:<30} {rate['median']:>8,.0f} per second "
                f"({rate['min']:,.0f} to {rate['max']:,.0f}), "
                f"p50 {one['p50_us']['median']:,.0f} µs, p99 {one['p99_us']['median']:,.0f} µs, "
                f"{cost['median']:.1f} µs of the server's processor{against}; "
                f"client {one['client_cpu_share']:.0%} busy"
            )
    return "\n".join(lines) + "\n"


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run."""
    found = []
    for stage in result["stages"]:
        speakers = stage["speakers"]
        for name, one in speakers.items():
            if name.startswith(ECHO):
                continue
            own = client_fault(one)
            both = client_fault(one, speakers[f"{ECHO}, {name.rpartition(', ')[2]}"])
            where = f"inbound, {stage['shape']}: {name}"
            rate, cost, ratio = (
                one[key] for key in ("commands_per_second", "server_cpu_us_per_command", "rate_to_echo")
            )
            found += [
                spread_figure(where, "commands/s", rate, "more", invalid=own),
                # A client that brings less at a time leaves the server with more turns for the same.
                spread_figure(where, "µs of processor", cost, "less", invalid=own),
                spread_figure(where, "of the echo's rate", ratio, "more", invalid=both),
            ]
    return found
