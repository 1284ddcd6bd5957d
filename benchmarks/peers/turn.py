"""A peer's turn in a round: what it sends, what arrived, and what becomes of it when it fails."""

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import msgspec

from benchmarks.clients.load_client import FAULTS, LoadClient, ReceivedWrong, load_client
from benchmarks.contest.contestants import Audience, Contestant, message
from benchmarks.peers.peer import Peer, Running
from benchmarks.peers.process import PeerDied

_ARRIVAL = 30.0
"""Seconds after which what has been sent and has not arrived is lost."""


class Fell(Exception):
    """A peer is out of the contest; the message is one line that says why."""


@dataclass(slots=True)
class Turn:
    """What one contestant did in one round."""

    rate: float
    """Deliveries per second."""
    cost: float
    """Processor seconds of the server per delivery."""
    client_share: float
    wire_bytes: float
    """Bytes that a client got per message."""
    faults: dict[str, int] = field(default_factory=dict)
    """What came twice, out of order or otherwise wrong in this round."""


class PeerContestant:
    """A peer that has started and whose clients have connected; ``joined`` messages are sent at once."""

    def __init__(
        self, name: str, running: Running, audience: Audience, start: bytes, joined: int = 1
    ) -> None:
        """``start`` is how a frame's text begins, so that it is as long as everybody else's."""
        self.name = name
        self.audience = audience
        self.joined = joined
        self.running = running
        self._start = start

    async def publish(self, first: int, count: int) -> float:
        """Have it send; its processor seconds are read when all has arrived. Raises PeerDied."""
        text = (self._start + msgspec.json.encode(message(first))[1:]).replace(b'"n":%d,' % first, b'"n":%d,')
        await self.running.publisher.publish(text, first, count, self.joined)
        return 0.0


@dataclass(slots=True)
class Arrived:
    """A peer with all its clients."""

    running: Running
    audience: Audience
    facts: dict[str, Any]


async def bring(peer: Peer, size: int, core: int | None, stack: AsyncExitStack) -> Arrived:
    """Start a peer and connect its clients, then stop it until it is its turn. Raises Fell."""
    try:
        running = await peer.start()
    except (PeerDied, OSError) as fault:
        raise Fell(str(fault) or type(fault).__name__) from None
    stack.push_async_callback(running.end)
    speech = peer.speech
    client = await stack.enter_async_context(
        load_client(
            running.port,
            speech.subscribe,
            core=core,
            path=speech.path,
            dialect=speech.dialect,
            kernel_time=True,
        )
    )
    try:
        before = running.process.resident_bytes()
        connected = await client.connect(size)
        await client.subscribe()
        grown = running.process.resident_bytes() - before
    except (ReceivedWrong, PeerDied, OSError, RuntimeError, msgspec.MsgspecError) as fault:
        await running.end()
        raise Fell(f"while its clients connected: {str(fault) or type(fault).__name__}") from None
    running.process.rest()
    facts = {"bytes_per_connection": grown / size, "connects_per_second": size / connected["wall"]}
    return Arrived(running, Audience(client, size), facts)


async def play(contestant: Contestant, count: int) -> Turn:
    """One round of ``count`` messages. Raises Fell when the peer has died or messages were lost.

    With a peer whatever else goes wrong is Fell too: it must not cost the others their rounds.
    """
    audience, client = contestant.audience, contestant.audience.client
    peer = contestant.running.process if isinstance(contestant, PeerContestant) else None
    if peer is not None:
        peer.wake()
    try:
        before = await client.report()
        await client.expect(audience.sent + count)
        used = peer.processor_seconds() if peer is not None else 0.0
        began = time.monotonic()
        cost = await contestant.publish(audience.sent, count)
        done = await client.done_with_losses(timeout=_ARRIVAL)
        if peer is not None:
            cost = peer.processor_seconds() - used
    except PeerDied as fault:
        raise Fell(str(fault)) from None
    except TimeoutError:
        raise Fell(f"not all has arrived in {_ARRIVAL:g} s: {await _so_far(client)}") from None
    except (OSError, RuntimeError, msgspec.MsgspecError) as fault:
        if peer is None:
            raise
        raise Fell(str(fault) or type(fault).__name__) from None
    finally:
        if peer is not None:
            peer.rest()
    faults = {name: done[name] - before[name] for name in FAULTS if done[name] != before[name]}
    if faults.keys() & {"lost", "missing"}:
        raise Fell(f"messages or connections were lost: {_told(done)}")
    audience.sent += count
    deliveries = audience.size * count
    wire = (done["bytes"] - before["bytes"]) / deliveries
    return Turn(deliveries / (done["at"] - began), cost / deliveries, done["cpu_share"], wire, faults)


async def _so_far(client: LoadClient) -> str:
    """What has arrived, if the load client still says it."""
    try:
        return _told(await client.report())
    except (OSError, RuntimeError, msgspec.MsgspecError) as fault:
        return f"the load client does not answer ({str(fault) or type(fault).__name__})"


def _told(report: Mapping[str, Any]) -> str:
    wrong = [f"{name} {report[name]}" for name in FAULTS if report[name]]
    return ", ".join([*wrong, str(report["first_error"])]) if wrong else "nothing came wrong"
