"""One connection: how it begins, what each frame of the server means, and how it ends."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from wsserver.client import events
from wsserver.client.clock import Clock, within
from wsserver.client.close_codes import ABNORMAL, COMING_BACK, NO_STATUS, NORMAL, TOKEN_REFUSED
from wsserver.client.codec import Codec, NotOurs
from wsserver.client.errors import (
    ClientError,
    ConnectionLost,
    HandshakeRefused,
    RequestRefused,
    UntrustedServer,
)
from wsserver.client.identity import Identity
from wsserver.client.link import Link
from wsserver.client.memory import Memory
from wsserver.client.message import Gap, Message
from wsserver.client.pace import Pace
from wsserver.client.reconnection import Ending
from wsserver.client.reconnection_config import ReconnectionConfig
from wsserver.client.subscriber import PERMISSION_DENIED
from wsserver.client.subscriptions import Subscription
from wsserver.client.topic import Topic
from wsserver.client.transport import Address, Closed, Connector, Transport

MOST_TOPICS: Final = 4096
"""Bytes of topics that ``connect`` takes along: with a large token the whole must stay under 16 KiB."""

_HEEDED: Final = range(4100, 4200)
"""Closes after which the ``retry_after_ms`` of the error right before them counts."""

Members = dict[str, Any]


class Connection:
    """Lives once."""

    def __init__(
        self,
        memory: Memory,
        identity: Identity,
        config: ReconnectionConfig,
        connector: Connector,
        clock: Clock,
        *,
        on_entered: Callable[[Link, bool, int, bool], object],
        on_slot: Callable[[float | None], object],
        outgoing: asyncio.Event,
    ) -> None:
        """``on_entered`` is called when the server has let it in: with the link, whether the session was
        resumed, how much is replayed and whether something is missing. ``on_slot``: it says when to be back.

        ``outgoing`` is set when the outbox has got something.
        """
        self._memory = memory
        self._identity = identity
        self._config = config
        self._connector = connector
        self._clock = clock
        self._on_entered = on_entered
        self._on_slot = on_slot
        self._outgoing = outgoing
        self._codec = Codec(config.max_message_size)
        self._retry_after: float | None = None
        self._replay_left = 0

    async def live(self) -> Ending:
        """Connect, stay, and return how it ended. Cancelled, it closes with 1000, which ends the session."""
        deadline = self._clock.monotonic() + self._config.connection_timeout
        try:
            transport = await within(self._clock, self._config.connection_timeout, self._open())
        except (ClientError, TimeoutError) as fault:
            return self._failed(fault)
        memory = self._memory
        link = Link(
            transport, self._codec, self._clock, self._config, memory.inbox, memory.metrics, self._beaten
        )
        code = NORMAL
        try:
            ending = await self._stay(link, deadline)
            if not ending.was_clean:
                # Nobody is there to say goodbye to, and the next attempt need not wait for that.
                link.transport.abort()
            code = COMING_BACK if ending.code in (NO_STATUS, ABNORMAL) else ending.code
        finally:
            await link.end(code)
        return ending

    async def _open(self) -> Transport:
        self._token = await self._memory.credentials.current()
        if self._memory.credentials.is_refused(self._token):
            raise Closed(TOKEN_REFUSED, "the same token was refused before")
        return await self._connector.open(
            Address(
                await self._identity.address(),
                self._codec.protocols(self._config.codec),
                self._config.max_message_size,
                self._identity.tls,
            )
        )

    async def _stay(self, link: Link, deadline: float) -> Ending:
        entered = False
        try:
            await within(self._clock, deadline - self._clock.monotonic(), self._enter(link))
            entered = True
            while True:
                await link.room()
                self._take(link, *await link.read())
        except Closed as closed:
            if not entered or isinstance(closed, NotOurs):
                self._memory.report(closed)
            heeded = self._retry_after if closed.code in _HEEDED else None
            return Ending(closed.code, closed.reason, closed.was_clean, retry_after=heeded)
        except (ClientError, TimeoutError) as fault:
            return self._failed(fault)

    def _failed(self, fault: Exception) -> Ending:
        self._memory.report(fault)
        # For a client that was in before it is a fault of others, which will be mended.
        first = self._memory.lost_at is None
        if isinstance(fault, HandshakeRefused):
            return Ending(reason=str(fault), is_final=first and fault.is_final, retry_after=fault.retry_after)
        if isinstance(fault, UntrustedServer):
            return Ending(reason=str(fault), is_final=first)
        return Ending(fault.code if isinstance(fault, Closed) else ABNORMAL, str(fault))

    # -- how it begins

    async def _enter(self, link: Link) -> None:
        memory, config = self._memory, self._config
        shown: dict[str, int] | None = None
        command: Members = {"type": "connect", "token": self._token, **self._identity.members()}
        if memory.session_id is not None and config.enable_session_restore and config.enable_message_replay:
            shown = dict(memory.cursor.handled)
            command["session"] = {"id": memory.session_id, "cursor": shown}
        if memory.lost_at is not None and not config.enable_session_restore:
            memory.subscriber.wanted.keep(self._identity.subscriptions)
        asked = memory.subscriber.wanted.topics_for_connect(MOST_TOPICS)
        if asked:
            command["subscriptions"] = asked
        await link.send(command)
        while (members := (await link.read())[0]).get("type") != "connected":
            self._take_control(link, members)
        self._welcomed(link, members, shown, asked)

    def _welcomed(
        self, link: Link, members: Members, shown: Mapping[str, int] | None, asked: list[str]
    ) -> None:
        memory = self._memory
        session = members.get("session") or {}
        places: dict[str, int] = members["cursor"]
        held = [Subscription.of(one) for one in members.get("subscriptions") or ()]
        errors: list[Members] = members.get("errors") or []
        resumed = bool(session.get("resumed"))
        self._replay_left = replayed = session.get("replayed") or 0
        told = [Gap.of(one) for one in session.get("gaps") or ()]
        if shown is None:
            # Nothing was shown, so the server cannot know what is missing.
            told = memory.cursor.missed(places)
        gaps = [one for one in map(memory.cursor.without_what_is_here, told) if one is not None]
        position = memory.cursor.begin(places, shown)
        for gap in gaps:
            memory.tell_gap(gap)
        memory.inbox.put(position)
        memory.session_id = members.get("session_id")
        memory.credentials.accepted()
        memory.emit(
            "connected",
            events.Connected(
                connection_id=members["connection_id"],
                user_id=members["user_id"],
                role=members["role"],
                protocol=members["protocol"],
                resumed=resumed,
                replayed=replayed,
                subscriptions=held,
                errors=errors,
            ),
        )
        self._on_entered(link, resumed, replayed, bool(gaps))
        memory.subscriber.restore(link, held, asked, errors, gaps)
        link.spawn(link.beat())
        link.spawn(self._flush(link))

    # -- what the server says

    def _take(self, link: Link, members: Members, size: int) -> None:
        if "_meta" not in members:
            self._take_control(link, members)
            return
        self._retry_after = None
        memory, message = self._memory, Message(members)
        meta = message.meta
        if self._replay_left:
            self._replay_left -= 1
            memory.metrics.replayed += 1
        if memory.cursor.arrived(meta):
            memory.inbox.put(message, size)
        else:
            memory.metrics.duplicates += 1

    def _take_control(self, link: Link, members: Members) -> None:
        memory, kind = self._memory, members.get("type")
        if kind == "error":
            self._take_error(link, members)
        else:
            self._retry_after = None
        match kind:
            case "pong":
                link.pong(members.get("t"))
                memory.inbox.put(memory.cursor.position(members.get("cursor") or {}))
                return
            case "gap":
                memory.tell_gap(Gap.of(members))
            case "system_shutdown":
                milliseconds = members.get("reconnect_after_ms")
                seconds = None if milliseconds is None else milliseconds / 1000
                self._on_slot(seconds)
                memory.emit(
                    "server_shutdown", events.ServerShutdown(seconds, str(members.get("message", "")))
                )
            case "token_expiring":
                memory.emit("token_expiring", events.TokenExpiring(float(members["expires_in"])))
                if memory.credentials.can_renew:
                    link.spawn(self._renew(link))
            case "subscription_expiring":
                link.spawn(self._refresh(link, members.get("subscription_id")))
            case "subscription_expired":
                memory.subscriber.ended(link, Topic.told(members), None)
            case _:
                pass
        memory.emit("control", members)

    def _take_error(self, link: Link, members: Members) -> None:
        error = RequestRefused.of(members)
        self._retry_after = error.retry_after
        if "request_id" in members:
            # Whoever asked is told.
            return
        topic = Topic.told(error.details)
        if error.code == PERMISSION_DENIED and topic is not None:
            self._memory.subscriber.ended(link, topic, error)
        else:
            self._memory.report(error)

    async def _renew(self, link: Link) -> None:
        try:
            token = await within(
                self._clock, self._config.connection_timeout, self._memory.credentials.renew("expiring")
            )
            await link.ask({"type": "auth", "token": token})
        except ConnectionLost:
            pass
        except (ClientError, TimeoutError) as fault:
            # The old token counts until it ends; the close then brings another attempt.
            self._memory.report(fault)

    async def _refresh(self, link: Link, subscription_id: Any) -> None:
        try:
            await link.ask({"type": "refresh", "subscription_id": subscription_id})
        except (ClientError, TimeoutError):
            # If it ends it is asked for again.
            return

    # -- what waits to be sent

    async def _flush(self, link: Link) -> None:
        outbox, pace = self._memory.outbox, Pace(self._config.max_send_rate, self._clock.monotonic)
        while True:
            command = outbox.first()
            if command is None:
                self._outgoing.clear()
                await self._outgoing.wait()
                continue
            await self._clock.sleep(pace.wait())
            try:
                await link.send(command)
            except Closed:
                return
            outbox.sent(command)
            self._memory.emit("queue", events.QueueChanged(len(outbox), outbox.dropped))

    def _beaten(self, rtt: float) -> None:
        self._memory.emit("heartbeat", events.Beat(rtt))
