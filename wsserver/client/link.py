"""One connection: its commands and their answers, and its heartbeat."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from wsserver.client.clock import Clock, within
from wsserver.client.codec import Codec, NotOurs
from wsserver.client.errors import ConnectionLost, RequestRefused
from wsserver.client.frame_shape import is_frame
from wsserver.client.heartbeat import Heartbeat, Pulse
from wsserver.client.inbox import Inbox
from wsserver.client.json_text import encode_json
from wsserver.client.metrics import Metrics
from wsserver.client.reconnection_config import ReconnectionConfig
from wsserver.client.transport import Closed, Transport

FIRST_PING: Final = 2.0
"""Seconds until the first ping: its round trip is the network's then, and not that of the start's rush."""

Members = dict[str, Any]


class Link:
    """Knows which answer belongs to which command, and whether the line is still there."""

    def __init__(
        self,
        transport: Transport,
        codec: Codec,
        clock: Clock,
        config: ReconnectionConfig,
        inbox: Inbox,
        metrics: Metrics,
        on_beat: Callable[[float], object],
    ) -> None:
        self.transport = transport
        self._codec = codec
        self._clock = clock
        self._config = config
        self._inbox = inbox
        self._metrics = metrics
        self._on_beat = on_beat
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Members]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False
        self.heartbeat = Heartbeat(
            config.heartbeat_interval, config.heartbeat_timeout, clock.monotonic, first=FIRST_PING
        )

    # -- frames

    async def send(self, command: Mapping[str, Any]) -> None:
        """Send a command that has no answer, or whose answer nobody waits for. Raises Closed."""
        text = encode_json(command)
        await self.transport.send(text)
        self._metrics.sent += 1
        self._metrics.bytes_sent += len(text)

    async def room(self) -> None:
        """Return when the inbox takes more. Until then the socket fills up, and the server holds back."""
        if self._inbox.is_full:
            self.heartbeat.reading(False)
            await self._inbox.room()
            self.heartbeat.reading(True)

    async def read(self) -> tuple[Members, int]:
        """The next message and its size; what answers a command goes there as well. Raises Closed."""
        frame = await self.transport.receive()
        self.heartbeat.heard()
        self._metrics.received += 1
        self._metrics.bytes_received += len(frame)
        members = self._codec.decode(frame)
        if not is_frame(members):
            raise NotOurs
        waiting = self._waiting.pop(members.get("request_id", ""), None) if "_meta" not in members else None
        if waiting is not None and not waiting.done():
            waiting.set_result(members)
        return members, len(frame)

    async def ask(self, command: Mapping[str, Any]) -> Members:
        """Send a command and return its answer.

        Raises RequestRefused for an error, ConnectionLost when the connection ends before, and
        TimeoutError.
        """
        if self._is_over:
            raise ConnectionLost("the connection is lost")
        request_id = f"p{next(self._numbers)}"
        answer: asyncio.Future[Members] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        try:
            # The answer comes behind the messages; see STRETCH.
            with self._inbox.stretched():
                members = await within(
                    self._clock, self._config.connection_timeout, self._exchange(command, request_id, answer)
                )
        except Closed:
            raise ConnectionLost("the connection was lost before the answer came") from None
        finally:
            self._waiting.pop(request_id, None)
        if members.get("type") == "error":
            raise RequestRefused.of(members)
        return members

    async def _exchange(
        self, command: Mapping[str, Any], request_id: str, answer: "asyncio.Future[Members]"
    ) -> Members:
        await self.send({**command, "request_id": request_id})
        return await answer

    # -- what goes on beside reading

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on as long as the connection does. It may end with it at any point."""
        if self._is_over:
            work.close()
            return
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            # A fault of this client: what it was to do is done on the next connection, or told.
            task.get_loop().call_exception_handler({"message": "a connection failed", "exception": fault})
            self.transport.abort()

    async def beat(self) -> None:
        """Ping at intervals, and end the connection when nothing comes back."""
        if not self._config.heartbeat_interval:
            return
        while True:
            await self._clock.sleep(max(0.0, self.heartbeat.next_look - self._clock.monotonic()))
            match self.heartbeat.look():
                case Pulse.PING:
                    try:
                        await self.ping()
                    except Closed:
                        return
                case Pulse.DEAD:
                    self.transport.abort()
                    return
                case Pulse.NOTHING:
                    pass

    async def ping(self) -> None:
        """Ask for the position and the round trip. Raises Closed."""
        await self.send({"type": "ping", "t": self._clock.monotonic()})

    def pong(self, t: object) -> None:
        """The answer to a ping has come."""
        if isinstance(t, int | float):
            rtt = self._clock.monotonic() - t
            self.heartbeat.round_trip(rtt)
            self._on_beat(rtt)

    async def end(self, code: int) -> None:
        """Close, and end what went on. Never raises."""
        self._is_over = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionLost("the connection was lost before the answer came"))
                # Nobody may be waiting any more.
                answer.exception()
        await self.transport.close(code, "")
        await asyncio.gather(*tasks, return_exceptions=True)
