"""A thousand clients lose their server in one moment."""

import asyncio
import random

import pytest
from fake_server import FakeServer
from hand_clock import HandClock, settle

from wsserver.client import ReconnectionConfig, WebSocketClient
from wsserver.client.supervisor import Surroundings
from wsserver.client.transport import Address, Transport

CLIENTS = 1000


class NotingServer(FakeServer):
    """Notes when it is dialled."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__()
        self._clock = clock
        self.dialled: list[float] = []

    async def open(self, address: Address) -> Transport:
        self.dialled.append(self._clock.monotonic())
        return await super().open(address)


@pytest.mark.parametrize(("mode", "first", "last"), [("proportional", 0.9, 1.1), ("full", 0.5, 1.5)])
async def test_they_spread_their_first_retries(mode: str, first: float, last: float) -> None:
    clock = HandClock()
    server = NotingServer(clock)
    surroundings = Surroundings(server, clock, random.Random(11).random)
    config = ReconnectionConfig(jitter_mode=mode, heartbeat_interval=0)
    clients = [
        WebSocketClient("ws://server", token="t", config=config, surroundings=surroundings)
        for _ in range(CLIENTS)
    ]
    await asyncio.gather(*(client.connect() for client in clients))
    server.dialled.clear()
    cut = clock.monotonic()
    for socket in list(server.sockets):
        socket.end()
    await settle()
    await clock.advance(2.0)
    times = sorted(round(at - cut, 3) for at in server.dialled)
    assert len(times) == CLIENTS
    assert first <= times[0]
    assert times[-1] <= last
    # Spread evenly a tenth of the time has a tenth of them: 100, give or take 30 of chance.
    tenth = (last - first) / 10
    counts = [0] * 10
    for at in times:
        counts[min(9, int((at - first) / tenth))] += 1
    assert max(counts) < 150
    assert min(counts) > 50
    await asyncio.gather(*(client.disconnect() for client in clients))
