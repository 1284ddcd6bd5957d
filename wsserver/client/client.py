"""The client: a WebSocket that comes back, and goes on where it was."""

import asyncio
import contextlib
import random
import ssl as ssl_module
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Literal, Self

from wsserver.client import events
from wsserver.client.aiohttp_transport import AiohttpConnector
from wsserver.client.clock import SystemClock
from wsserver.client.codec import Codec
from wsserver.client.consumer import Consumer
from wsserver.client.credentials import Credentials, GetToken
from wsserver.client.emitter import Emitter, Listener
from wsserver.client.errors import ClientError, ConnectionLost, InvalidOption
from wsserver.client.identity import Identity, Url, websocket_url
from wsserver.client.inbox import Drained
from wsserver.client.json_text import encode_json
from wsserver.client.link import Link
from wsserver.client.memory import Memory
from wsserver.client.message import Gap, Message
from wsserver.client.reconnection_config import ReconnectionConfig
from wsserver.client.report import BroadcastReport
from wsserver.client.state import State
from wsserver.client.subscriptions import Subscription
from wsserver.client.supervisor import Supervisor, Surroundings
from wsserver.client.topic import Topic

QueueOutcome = Literal["sent", "queued", "dropped"]


class WebSocketClient:
    """Connects to a wsserver, comes back when the connection is lost, and misses nothing silently.

    ::

        async with WebSocketClient("wss://host/ws/connect", token=token) as client:
            await client.subscribe("patient", "123", {"data_type": "ecg"})
            async for item in client:
                if isinstance(item, Gap):
                    show_hole(item)
                else:
                    draw(item["data"])

    Iterating gives ``Message`` (a dict) and ``Gap``. You are done with a message when you ask for the next
    one; what you were not done with is asked for again after a cut. While you are busy the socket is
    read up to ``max_pending_messages`` ahead and no further.

    The iteration ends when you disconnect. It raises ConnectionEnded when the server does not want this
    client any more (AuthenticationFailed), or when all attempts have failed (ReconnectFailed).
    For one event loop; not for several threads.
    """

    def __init__(
        self,
        url: Url,
        *,
        token: str | None = None,
        get_token: GetToken | None = None,
        user_id: str | int | None = None,
        role: str | None = None,
        patient_id: str | int | None = None,
        subscriptions: Iterable[str] = (),
        ssl: ssl_module.SSLContext | None = None,
        config: ReconnectionConfig | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        """``token``, or ``get_token`` that gives one whenever it is needed, or both: one to begin with.

        ``get_token`` is called with the reason (``first``, ``expiring``, ``expired``, ``refused``) and may
        be a coroutine function. ``user_id`` and ``role`` must be those of the token. ``patient_id`` says
        whom this is about and subscribes to nothing. ``subscriptions`` are topics such as ``patient:123``.
        Raises InvalidOption.
        """
        if not callable(url):
            websocket_url(url)
        self._config = config = config or ReconnectionConfig()
        Codec(config.max_message_size).protocols(config.codec)
        topics = tuple(Topic.of(text) for text in subscriptions)
        identity = Identity(url, user_id, role, patient_id, topics, ssl)
        self._surroundings = surroundings or Surroundings(AiohttpConnector(), SystemClock(), random.random)
        self._emitter = Emitter(events.EVENTS, self._listener_failed)
        self._credentials = Credentials(token, get_token)
        self._memory = Memory(config, self._credentials, self._surroundings.clock, self._emit)
        for topic in topics:
            self._memory.subscriber.wanted.want(topic, {})
        self._supervisor = Supervisor(self._memory, identity, config, self._surroundings)
        self._consumer = Consumer(self._memory.inbox, self._memory.cursor, self._emitter)
        self._run: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()

    # -- connecting

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *fault: object) -> None:
        await self.disconnect()

    async def connect(self) -> Self:
        """Connect, and return when the server has let this client in; from then on it comes back by itself.

        Raises ConnectionEnded if that is no use. After ``disconnect`` or ReconnectFailed it connects anew.
        """
        if self._run is None or self._run.done():
            self._run = asyncio.ensure_future(self._supervisor.run())
            self._run.add_done_callback(_look_at)
            self._consumer.attend(self._spawn)
            # The first state is the supervisor's to set, before anybody asks for it.
            await asyncio.sleep(0)
        try:
            await self._supervisor.entered()
        except asyncio.CancelledError:
            if self._memory.lost_at is None:
                await self.disconnect()
            raise
        return self

    async def disconnect(self) -> None:
        """End the session and the connection: the server forgets what this client had."""
        run = self._run
        if run is not None:
            run.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await run
        self._consumer.stop()
        self._memory.session_id = None

    def reconnect(self) -> None:
        """Connect anew now: over a new connection, without waiting, also after a final end."""
        if self._run is not None and not self._run.done():
            self._supervisor.hurry()
        elif self._supervisor.outcome is not None:
            self._spawn(self._connect_again())

    async def _connect_again(self) -> None:
        with contextlib.suppress(ClientError):
            await self.connect()

    @property
    def state(self) -> State:
        """Where this client stands."""
        return self._supervisor.state

    # -- receiving

    def __aiter__(self) -> AsyncIterator[Message | Gap]:
        return self

    async def __anext__(self) -> Message | Gap:
        try:
            return await self.receive()
        except Drained:
            raise StopAsyncIteration from None

    async def receive(self) -> Message | Gap:
        """The next message, or word of missing ones; with it you are done with the one before.

        Raises ConnectionLost once the client was disconnected, and what ended it otherwise.
        """
        if self.state is State.IDLE:
            raise ConnectionLost("not connected yet: use 'async with', or call connect()")
        return await self._consumer.receive()

    async def messages(self, on_gap: Callable[[Gap], object]) -> AsyncIterator[Message]:
        """Only messages; ``on_gap`` is called for each gap, in its place among them."""
        async for item in self:
            if isinstance(item, Message):
                yield item
            elif isinstance(result := on_gap(item), Awaitable):
                await result

    def on(self, event: str, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every ``event`` of this name; returns what takes it away again.

        Listeners of ``message`` and ``gap`` are waited for, one message after the other; the cursor
        moves when they are done. One that raises is reported to the event loop's exception handler, and
        to ``error``; it stops no other. The events are in ``wsserver.client.events``.
        """
        if event == "message":
            self._consumer.check_listener()
        off = self._emitter.on(event, listener)
        if self._run is not None:
            self._consumer.attend(self._spawn)

        def take_away() -> None:
            off()
            self._consumer.heed()

        return take_away

    def once(self, event: str, listener: Listener) -> Callable[[], None]:
        """The same for one time."""

        def first(payload: Any) -> object:
            off()
            return listener(payload)

        off = self.on(event, first)
        return off

    def off(self, event: str, listener: Listener) -> None:
        """Take a listener away, if it is there."""
        self._emitter.off(event, listener)
        self._consumer.heed()

    # -- subscriptions and commands

    async def subscribe(
        self,
        subscription_type: str,
        target_id: str | int | None = None,
        filters: Mapping[str, Any] | None = None,
        *,
        break_glass: str | None = None,
    ) -> Subscription:
        """Subscribe, and return when the server has confirmed it; a second time replaces the filters.

        ``subscribe("patient", "123")`` and ``subscribe("patient:123")`` are the same. It holds over
        reconnects, and may be called before there is a connection. ``break_glass`` states why the user
        must see a patient whom the user may not see; such a subscription ends with the connection, or
        before, and is not asked for again. Raises RequestRefused, after which what was before still
        holds, and InvalidOption.
        """
        topic = Topic.of(subscription_type, target_id)
        wanted = dict(filters or {})
        encode_json(wanted)
        return await self._memory.subscriber.subscribe(self._supervisor.link, topic, wanted, break_glass)

    async def unsubscribe(self, subscription_type: str, target_id: str | int | None = None) -> bool:
        """End a subscription; returns whether it was there. Twice is no error."""
        topic = Topic.of(subscription_type, target_id)
        return await self._memory.subscriber.unsubscribe(self._supervisor.link, topic)

    async def broadcast(
        self,
        target_type: str,
        message: Mapping[str, Any],
        target_id: str | int | None = None,
        *,
        echo: bool = False,
    ) -> BroadcastReport:
        """Publish a message over this connection, if the role may; ``target_type`` is ``all`` or as above.

        Raises RequestRefused, and ConnectionLost if there is no connection, or if it breaks before
        the answer: then the message may have been published.
        """
        command: dict[str, Any] = {"type": "broadcast", "target_type": target_type, "message": message}
        if target_id is not None:
            command["target_id"] = target_id
        if echo:
            command["echo"] = True
        return BroadcastReport.of(await self._link().ask(command))

    async def request(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Send a command such as ``{"type": "health_check"}`` and return the server's answer.

        Raises RequestRefused, ConnectionLost as ``broadcast`` does, and TimeoutError.
        """
        return await self._link().ask(command)

    async def acknowledge(self, message: Message) -> None:
        """Tell the server that somebody has handled this message, for those who look into its fate."""
        await self._link().send({"type": "ack", "message_id": message.meta.id})

    async def authenticate(self, token: str) -> None:
        """Show a new token, on the open connection too if there is one. Raises RequestRefused."""
        self._credentials.replace(token)
        if self._supervisor.link is not None:
            await self._supervisor.link.ask({"type": "auth", "token": token})

    def queue_message(self, message: Mapping[str, Any], *, ttl: float | None = None) -> QueueOutcome:
        """Send a command when there is a connection, in the order of the calls; its answer is not waited for.

        ``sent`` is on its way now, ``queued`` waits, ``dropped`` went for want of room. It waits ``ttl``
        seconds at the most. ``subscribe`` and ``unsubscribe`` count as the methods of these names do, and
        hold over reconnects. Raises InvalidOption, and OutboxFull with ``queue_overflow="throw"``.
        """
        encode_json(message)
        outbox, link = self._memory.outbox, self._supervisor.link
        if message.get("type") in ("subscribe", "unsubscribe"):
            self._memory.subscriber.take(link, message)
            return "queued" if link is None else "sent"
        if message.get("type") == "connect":
            raise InvalidOption("message", "is connect, which the client says itself")
        goes_now = link is not None and len(outbox) == 0
        if not outbox.put(dict(message), ttl):
            return "dropped"
        self._supervisor.outgoing.set()
        self._emit("queue", events.QueueChanged(len(outbox), outbox.dropped))
        return "sent" if goes_now else "queued"

    def get_metrics(self) -> dict[str, Any]:
        """What this client has counted, its state and its round trips. Times are in seconds."""
        memory, supervisor, link = self._memory, self._supervisor, self._supervisor.link
        metrics, now = memory.metrics, self._surroundings.clock.monotonic()
        return {
            "state": str(supervisor.state),
            "attempts": supervisor.attempts,
            "reconnects": metrics.reconnects,
            "uptime": 0.0 if supervisor.opened_at is None else now - supervisor.opened_at,
            "downtime": metrics.downtime,
            "rtt": None if link is None else link.heartbeat.rtt,
            "sent": metrics.sent,
            "received": metrics.received,
            "bytes_sent": metrics.bytes_sent,
            "bytes_received": metrics.bytes_received,
            "queued": len(memory.outbox),
            "dropped": memory.outbox.dropped,
            "pending": len(memory.inbox),
            "pending_bytes": memory.inbox.bytes,
            "replayed": metrics.replayed,
            "duplicates": metrics.duplicates,
            "gaps": metrics.gaps,
            "subscriptions": len(memory.subscriber.wanted),
            "last_close_code": metrics.last_close_code,
            "last_error": metrics.last_error,
        }

    # -- inside

    def _link(self) -> Link:
        if self._supervisor.link is None:
            raise ConnectionLost("there is no connection")
        return self._supervisor.link

    def _emit(self, event: str, payload: Any) -> None:
        for left in self._emitter.emit(event, payload):
            self._spawn(_awaited(left))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _listener_failed(self, event: str, fault: Exception) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"a listener of {event!r} failed", "exception": fault}
        )
        if event != "error":
            self._memory.report(fault)


async def _awaited(left: Awaitable[None]) -> None:
    await left


def _look_at(run: "asyncio.Task[None]") -> None:
    # What it raised is told to whoever iterates or waits; here it only counts as seen.
    if not run.cancelled():
        run.exception()
