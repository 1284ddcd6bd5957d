"""``wsserver.client`` in a ward: what its handlers get is written down, and what passes on its wire."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable
from typing import Any

from laws.journal import Arrival, Cursor, GapTold, Journal, Opened, Rest, Watch, checksum
from laws.resuming_client import PATIENCE, Refused, Wanted
from wsserver.client import ConnectionLost, Gap, Message, ReconnectionConfig, RequestRefused, WebSocketClient
from wsserver.client.aiohttp_transport import AiohttpConnector
from wsserver.client.clock import SystemClock
from wsserver.client.errors import ClientError
from wsserver.client.events import Connected, Disconnected
from wsserver.client.supervisor import Surroundings
from wsserver.client.transport import Address, Transport
from wsserver_core.envelope import decode

PERMISSION_DENIED = 1011
PING_PAUSE = 0.05
"""Seconds between two pings at the least: a server refuses who sends too often."""

SLOW_EVERY = 40
SLOW_SECONDS = 0.3
"""One message of so many takes its handler so long."""


class PythonClient:
    """One client of a ward, over however many connections; the face of ``ResumingClient``."""

    def __init__(
        self,
        name: str,
        token: Callable[[], str],
        port: Callable[[], int],
        wanted: list[Wanted],
        journal: Journal,
        *,
        quiet: float = 0.4,
        pause: float = 0.005,
        codec: Any = "json",
    ) -> None:
        self.name = self.user = name
        self.wanted = wanted
        self.journal = journal
        self.token = token
        self.quiet = quiet
        self.connection = self.dialed = self.replayed = 0
        self.denied: set[str] = set()
        self._dialed_at = 0.0
        self._received = 0
        self._handling = False
        self._faults: list[Exception] = []
        self._watched = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client = client = WebSocketClient(
            lambda: f"ws://127.0.0.1:{port()}",
            get_token=lambda reason: self.token(),
            surroundings=Surroundings(_Tap(self), SystemClock(), random.random),
            config=ReconnectionConfig(
                max_attempts=0,
                initial_delay=pause,
                max_delay=10 * pause,
                heartbeat_interval=quiet,
                heartbeat_timeout=max(quiet, 1.0),
                connection_timeout=max(2 * quiet, 2.0),
                codec=codec,
            ),
        )
        client.on("message", self._arrive)
        client.on("gap", self._told)
        client.on("error", self._fault)
        client.on("connected", self._connected)
        client.on("disconnected", self._disconnected)

    # -- what a test does with it

    def start(self) -> None:
        """Begin, and go on coming back until ``stop``."""
        self._task = asyncio.get_running_loop().create_task(self._begin())

    async def watching(self, patience: float = PATIENCE) -> None:
        """Wait until every subscription holds."""
        async with asyncio.timeout(patience):
            await self._watched.wait()

    async def settle(self, until: Cursor, patience: float = 30.0) -> None:
        """Wait until it has come as far as ``until``: everything published so far is here or told missing."""
        asked = time.monotonic()
        cursor: Cursor = {}
        try:
            async with asyncio.timeout(patience):
                while any(cursor.get(log, 0) < seq for log, seq in until.items()):
                    cursor = await self._ping()
                while self._handling or self._client.get_metrics()["pending"]:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{self.name} stays at {cursor} and does not get to {until}") from None
        self.journal.write(Rest(client=self.name, asked=asked, at=time.monotonic(), cursor=cursor))

    async def stop(self) -> None:
        """End for good; raises what went wrong meanwhile."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ClientError):
                await self._task
        await self._client.disconnect()
        if self._faults:
            raise self._faults[0]

    async def _begin(self) -> None:
        await self._client.connect()
        for wanted in self.wanted:
            try:
                await self._client.subscribe(wanted.topic, None, wanted.filters)
            except RequestRefused as refusal:
                if refusal.code != PERMISSION_DENIED:
                    self._faults.append(refusal)
                self.denied.add(wanted.topic)
        position = await self._ping()
        for wanted in self.wanted:
            if wanted.topic not in self.denied:
                self.journal.write(
                    Watch(
                        client=self.name,
                        topic=wanted.topic,
                        filters=wanted.filters,
                        at=time.monotonic(),
                        position=position,
                    )
                )
        self._watched.set()

    async def _ping(self) -> Cursor:
        """The server's position for this client, once it says it."""
        while True:
            if self._faults:
                raise self._faults[0]
            try:
                pong = await self._client.request({"type": "ping"})
                return dict(pong["cursor"])
            except (ConnectionLost, RequestRefused, TimeoutError):
                await asyncio.sleep(PING_PAUSE)
            finally:
                await asyncio.sleep(PING_PAUSE)

    # -- what it is told

    async def _arrive(self, message: Message) -> None:
        self._handling = True
        self._received += 1
        if self._received % SLOW_EVERY == 0:
            # What comes meanwhile waits for this one, and is not handled yet when the line breaks.
            await asyncio.sleep(SLOW_SECONDS)
        body = {name: _plain(value) for name, value in message.items() if name != "_meta"}
        meta = message.meta
        self.journal.write(
            Arrival(
                client=self.name,
                connection=self.connection,
                at=time.monotonic(),
                log=meta.log,
                seq=meta.seq,
                id=meta.id,
                topic=meta.topic,
                key=body.get("key", ""),
                crc=checksum(body),
                handled=True,
            )
        )
        self._handling = False

    def _told(self, gap: Gap) -> None:
        self.journal.write(
            GapTold(
                client=self.name,
                connection=self.connection,
                at=time.monotonic(),
                reason=gap.reason,
                log=gap.log,
                topic=gap.topic,
                first=gap.first,
                last=gap.last,
                count=gap.count,
            )
        )

    def _connected(self, connected: Connected) -> None:
        self.replayed += connected.replayed

    def _disconnected(self, ended: Disconnected) -> None:
        if ended.terminal:
            self._faults.append(Refused(f"{self.name}: {ended}"))

    def _fault(self, fault: Exception) -> None:
        # Lines break here, and a server may refuse what comes too fast or not now. Nothing else it may.
        if isinstance(fault, RequestRefused) and fault.code not in {1002, 1010, PERMISSION_DENIED, 1013}:
            self._faults.append(fault)

    # -- what passes on its wire

    def dials(self) -> None:
        self.dialed += 1
        self._dialed_at = time.monotonic()

    def is_let_in(self, connected: dict[str, Any], given: Cursor | None) -> None:
        self.connection += 1
        session = connected.get("session")
        self.journal.write(
            Opened(
                client=self.name,
                user=self.user,
                connection=self.connection,
                dialed=self._dialed_at,
                at=time.monotonic(),
                given=given,
                resumed=bool(session and session["resumed"]),
                cursor=connected["cursor"],
            )
        )


class _Tap:
    """A connector whose transports are listened to."""

    def __init__(self, client: PythonClient) -> None:
        self._client = client
        self._connector = AiohttpConnector()

    async def open(self, address: Address) -> Transport:
        self._client.dials()
        return _TappedTransport(self._client, await self._connector.open(address))


class _TappedTransport:
    def __init__(self, client: PythonClient, transport: Transport) -> None:
        self._client = client
        self._transport = transport
        self._given: Cursor | None = None
        self._is_in = False

    @property
    def protocol(self) -> str | None:
        return self._transport.protocol

    async def send(self, frame: str | bytes) -> None:
        if not self._is_in and isinstance(frame, str):
            session = json.loads(frame).get("session")
            self._given = session and dict(session["cursor"])
        await self._transport.send(frame)

    async def receive(self) -> str | bytes:
        frame = await self._transport.receive()
        if not self._is_in:
            said = json.loads(frame) if isinstance(frame, str) else decode(frame, max_size=1 << 24).body
            if said.get("type") == "connected":
                self._is_in = True
                self._client.is_let_in(said, self._given)
        return frame

    async def close(self, code: int, reason: str) -> None:
        await self._transport.close(code, reason)

    def abort(self) -> None:
        self._transport.abort()


def _plain(value: Any) -> Any:
    """Samples as JSON has them."""
    return value.tolist() if hasattr(value, "tolist") else value
