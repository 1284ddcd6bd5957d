"""A client that comes back: it keeps its session and its cursor, and writes down all that it sees.

It is the protocol's document read aloud and nothing cleverer. A message whose ``seq`` is beyond
the cursor goes to the handler, and the cursor moves when the handler is done; whatever is not
beyond it is passed over. It comes back after every end, and takes silence for an end.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket

from laws.journal import Arrival, Cursor, GapTold, Journal, Opened, Rest, Watch, checksum

PATIENCE = 10.0
PING_PAUSE = 0.05
"""Seconds between two pings at the least: a server refuses who sends too often."""
ENDS = (OSError, EOFError, TimeoutError, websockets.WebSocketException)
"""How a connection may end that is cut anywhere, the handshake included."""


class Refused(Exception):
    """The server closed for good: a client that comes back would be a fault."""


@dataclass
class Wanted:
    """A subscription that a client is to have."""

    topic: str
    filters: dict[str, Any] = field(default_factory=dict)


class ResumingClient:
    """One client of a ward, over however many connections."""

    def __init__(
        self,
        name: str,
        token: Callable[[], str],
        port: Callable[[], int],
        wanted: list[Wanted],
        journal: Journal,
        *,
        user: str | None = None,
        quiet: float = 0.4,
        pause: float = 0.005,
        ping_after: int = 8,
    ) -> None:
        """``quiet`` seconds without a word bring a ping, as many again the end of the connection.

        ``pause`` is how long it waits before it comes back. It pings after so many messages too,
        but not all the time, because that is how a client learns how far it has come.
        """
        self.name = name
        self.user = user or name
        self.wanted = wanted
        self.journal = journal
        self.token = token
        self._port = port
        self.quiet = quiet
        self._pause = pause
        self._ping_after = ping_after
        self.session_id: str | None = None
        self.cursor: Cursor = {}
        self.connection = 0
        """Connections on which it was told ``connected``."""
        self.dialed = 0
        """Connections that it began."""
        self.ends: list[str] = []
        """How its connections ended."""
        self.replayed = 0
        self.denied: set[str] = set()
        """Topics that it may not subscribe to."""
        self._watched: set[str] = set()
        self._unconfirmed: set[str] = set()
        self._replay_left = 0
        self._position: Cursor = {}
        self._since_ping = 0
        self._pinged = 0.0
        self._asked = 0.0
        self._rest: Cursor | None = None
        self._at_rest = asyncio.Event()
        self._halted = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None

    # -- what a test does with it

    def start(self) -> None:
        """Begin, and go on coming back until ``stop``."""
        self._halted.clear()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def watching(self, patience: float = PATIENCE) -> None:
        """Wait until every subscription holds."""
        async with asyncio.timeout(patience):
            while len(self._watched) < len(self.wanted):
                self._check()
                await asyncio.sleep(0.005)

    async def settle(self, until: Cursor, patience: float = 30.0) -> None:
        """Wait until it has come as far as ``until``: everything published so far is here or told missing."""
        self._at_rest.clear()
        self._rest = until
        self._asked = time.monotonic()
        await self._ping()
        try:
            async with asyncio.timeout(patience):
                while not self._at_rest.is_set():
                    self._check()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{self.name} stays at {self.cursor} and does not get to {until}") from None

    def cut(self) -> None:
        """End the connection that is open, without a word."""
        if self._socket is not None and self._socket.transport is not None:
            self._socket.transport.abort()

    async def stop(self) -> None:
        """End for good; raises what went wrong meanwhile."""
        self._halted.set()
        self.cut()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def has_stopped(self) -> bool:
        """Whether it will not come back."""
        return self._task is None or self._task.done()

    def _check(self) -> None:
        if self._task is not None and self._task.done() and not self._halted.is_set():
            self._task.result()
            raise AssertionError(f"{self.name} has stopped by itself")

    # -- one connection after the other

    async def _run(self) -> None:
        while not self._halted.is_set():
            try:
                await self._live()
            except ENDS as end:
                self.ends.append(type(end).__name__)
                code = end.rcvd.code if isinstance(end, websockets.ConnectionClosed) and end.rcvd else 0
                if 4500 <= code < 5000:
                    raise Refused(f"{self.name}: {end}") from end
            finally:
                self.cut()
                self._socket = None
            await asyncio.sleep(self._pause)

    async def _live(self) -> None:
        dialed = time.monotonic()
        self.dialed += 1
        self._unconfirmed.clear()
        self._replay_left = 0
        socket = await open_websocket(
            f"ws://127.0.0.1:{self._port()}/ws/connect",
            ping_interval=None,
            compression=None,
            max_size=None,
            open_timeout=2 * self.quiet,
            close_timeout=0.1,
            proxy=None,
        )
        self._socket = socket
        given = dict(self.cursor) if self.connection else None
        resume = {"session": {"id": self.session_id, "cursor": given}} if self.session_id else {}
        await self._send("connect", token=self.token(), **resume)
        connected = await self._connected(socket)
        if connected is None:
            return
        self._enter(connected, given, dialed)
        await self._subscribe(connected)
        await self._ping()
        silent = False
        while True:
            try:
                async with asyncio.timeout(self.quiet):
                    message = json.loads(await socket.recv())
            except TimeoutError:
                if silent:
                    raise
                silent = True
                await self._ping()
                continue
            silent = False
            await self._take(message)

    async def _connected(self, socket: ClientConnection) -> dict[str, Any] | None:
        async with asyncio.timeout(2 * self.quiet):
            message = json.loads(await socket.recv())
            if message.get("type") == "error" and message["code"] in {1002, 1010, 1013}:
                # Too many at once, or not now: the close that follows says when.
                return None
            assert message.get("type") == "connected", f"{self.name} was told {message} first"
            return dict(message)

    def _enter(self, connected: dict[str, Any], given: Cursor | None, dialed: float) -> None:
        self.connection += 1
        self.session_id = connected.get("session_id")
        session = connected.get("session")
        resumed = bool(session and session["resumed"])
        self.journal.write(
            Opened(
                client=self.name,
                user=self.user,
                connection=self.connection,
                dialed=dialed,
                at=time.monotonic(),
                given=given,
                resumed=resumed,
                cursor=connected["cursor"],
            )
        )
        for gap in session["gaps"] if session else ():
            self._told(gap)
        if resumed:
            self._replay_left = session["replayed"]
            self._position = connected["cursor"]
            self._caught_up()
        else:
            self.cursor = dict(connected["cursor"])
            self._watched.clear()

    def _caught_up(self) -> None:
        """The position in ``connected`` is that behind the replay."""
        if self._replay_left == 0:
            self._move(self._position)

    async def _subscribe(self, connected: dict[str, Any]) -> None:
        has = {(one["subscription_type"], one["target_id"]) for one in connected["subscriptions"]}
        for wanted in self.wanted:
            if _address(wanted.topic) not in has and wanted.topic not in self.denied:
                self._unconfirmed.add(wanted.topic)
                await self._send(
                    "subscribe", topic=wanted.topic, filters=wanted.filters, request_id=wanted.topic
                )

    async def _take(self, message: dict[str, Any]) -> None:
        if "_meta" in message:
            self._arrive(message)
            self._since_ping += 1
            if self._since_ping >= self._ping_after and time.monotonic() - self._pinged >= PING_PAUSE:
                await self._ping()
            return
        match message["type"]:
            case "pong":
                self._pong(message["cursor"], message["t"])
            case "gap":
                self._told(message)
            case "subscription_confirmed":
                self._unconfirmed.discard(message["request_id"])
            case "error" if message["code"] == 1011:
                # Without a request it is news: a subscription has ended with the right to it.
                if (topic := message.get("request_id")) is not None:
                    self.denied.add(topic)
                    self._unconfirmed.discard(topic)
            case "error":
                raise AssertionError(f"{self.name} was told {message}")

    def _arrive(self, message: dict[str, Any]) -> None:
        meta = message.pop("_meta")
        log, seq = meta["log"], meta["seq"]
        handled = seq > self.cursor.get(log, 0)
        self.journal.write(
            Arrival(
                client=self.name,
                connection=self.connection,
                at=time.monotonic(),
                log=log,
                seq=seq,
                id=meta["id"],
                topic=meta["topic"],
                key=message.get("key", ""),
                crc=checksum(message),
                handled=handled,
            )
        )
        # Only now: a handler that did not come to its end has not handled.
        if handled:
            self.cursor[log] = seq
        if self._replay_left:
            self._replay_left -= 1
            self.replayed += 1
            self._caught_up()

    def _told(self, gap: dict[str, Any]) -> None:
        self.journal.write(
            GapTold(
                client=self.name,
                connection=self.connection,
                at=time.monotonic(),
                reason=gap["reason"],
                log=gap.get("log"),
                topic=gap.get("topic"),
                first=gap.get("from"),
                last=gap.get("to"),
                count=gap.get("count"),
            )
        )
        if gap["reason"] == "restart":
            self.cursor.pop(gap["log"], None)

    def _pong(self, cursor: Cursor, asked: float) -> None:
        self._move(cursor)
        if not self._unconfirmed:
            for wanted in self.wanted:
                if wanted.topic not in self._watched and wanted.topic not in self.denied:
                    self._watched.add(wanted.topic)
                    self.journal.write(
                        Watch(
                            client=self.name,
                            topic=wanted.topic,
                            filters=wanted.filters,
                            at=time.monotonic(),
                            position=cursor,
                        )
                    )
        if self._rest is None or asked < self._asked:
            return
        if all(self.cursor.get(log, 0) >= seq for log, seq in self._rest.items()):
            self.journal.write(
                Rest(client=self.name, asked=self._asked, at=time.monotonic(), cursor=dict(self.cursor))
            )
            self._rest = None
            self._at_rest.set()

    def _move(self, cursor: Cursor) -> None:
        for log, seq in cursor.items():
            self.cursor[log] = max(seq, self.cursor.get(log, 0))

    async def _ping(self) -> None:
        self._since_ping = 0
        self._pinged = time.monotonic()
        with contextlib.suppress(*ENDS):
            await self._send("ping", t=time.monotonic())

    async def _send(self, kind: str, **members: Any) -> None:
        if self._socket is not None:
            await self._socket.send(json.dumps({"type": kind, **members}))


def _address(topic: str) -> tuple[str, str]:
    name, _, target = topic.partition(":")
    if name == "type":
        return target, "*"
    return name, target or "*"
