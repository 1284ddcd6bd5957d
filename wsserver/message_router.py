"""What clients say, done: one method per command.

Errors of commands become ``error`` messages here and nowhere else.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from wsserver.access.authenticator import TokenReader
from wsserver.access.refusal import AuthenticationFailed
from wsserver.clock import utc_text
from wsserver.connection_manager import ConnectionManager
from wsserver.connections.break_glass import BreakGlass
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.errors import (
    AUTHENTICATION_FAILED,
    BINARY_PROTOCOL_ERROR,
    FILTER_ERROR,
    INVALID_MESSAGE,
    PERMISSION_DENIED,
    RATE_LIMIT,
    CloseCode,
    ServerError,
)
from wsserver.incidents import internal_error
from wsserver.loop.turn_budget import TurnBudget
from wsserver.observe.message_trail import Trail
from wsserver.protocol import commands, control
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.report import DeliveryReport
from wsserver.protocol.topic import EVERY_PATIENT, EVERYTHING, InvalidTopic, Topic
from wsserver.rate_limiter import RateLimiter
from wsserver.subscriptions.subscription import Subscription
from wsserver_core.connection import (
    PAUSED_FOR_CATCH_UP,
    PAUSED_FOR_CREDENTIALS,
    PAUSED_FOR_STORE,
    PAUSED_FOR_TURN,
)

MAX_FAULTS: Final = 20
"""Malformed commands a connection may be ahead of its good ones before it is closed with 4503."""

MAX_BINARY_FAULTS: Final = 2
"""Binary messages that are not understood; the last of them closes the connection with 4509."""

_LAST_WORDS: Final = {
    CloseCode.TOO_MANY_ERRORS: "too many errors",
    CloseCode.BINARY_PROTOCOL: "too many errors",
    CloseCode.RATE_LIMIT: RATE_LIMIT.name,
}


class _Overtaking(Exception):
    """A volatile message would be sent before the durable ones that its sender sent first."""


Renewed = Callable[[ConnectionMetadata], None]


class MessageRouter:
    """Takes the frames of authenticated connections and answers them, in order."""

    def __init__(
        self,
        manager: ConnectionManager,
        authenticator: TokenReader,
        rates: RateLimiter,
        *,
        renewed: Renewed,
        glass: BreakGlass | None = None,
    ) -> None:
        """``renewed`` is called when a connection has a new token, so that its expiry is looked after.

        Without ``glass`` nobody can break it.
        """
        self._manager = manager
        self._authenticator = authenticator
        self._rates = rates
        self._renewed = renewed
        self._glass = glass
        self._tasks: set[asyncio.Task[None]] = set()
        self._budget = TurnBudget[ConnectionMetadata](manager.loop_port, self._go_on)
        self._received_at: float | None = None
        self.acknowledged = 0
        """``ack`` commands since the start."""
        self._handlers: dict[type[Any], Callable[[ConnectionMetadata, Any], None]] = {
            commands.Connect: self._connect,
            commands.Subscribe: self._subscribe,
            commands.Unsubscribe: self._unsubscribe,
            commands.Refresh: self._refresh,
            commands.Broadcast: self._broadcast,
            commands.Ping: self._ping,
            commands.Auth: self._auth,
            commands.Ack: self._ack,
            commands.HealthCheck: self._health_check,
            commands.Disconnect: self._disconnect,
        }

    def route(self, metadata: ConnectionMetadata, opcode: int, payload: bytes) -> None:
        """Do what one message of this connection asks for. Never raises."""
        if metadata.held is not None:
            metadata.held.append((opcode, payload))
            return
        if self._budget.is_spent:
            metadata.held = [(opcode, payload)]
            metadata.link.pause_reading(PAUSED_FOR_TURN)
            self._budget.wait(metadata)
            return
        self._budget.charge(self._handle, metadata, opcode, payload)

    def hold(self, metadata: ConnectionMetadata) -> None:
        """Let what this connection asks for wait, until ``release``."""
        metadata.held = []
        metadata.link.pause_reading(PAUSED_FOR_CATCH_UP)

    def release(self, metadata: ConnectionMetadata) -> None:
        """Do what has waited since ``hold``."""
        held, metadata.held = metadata.held or [], None
        metadata.link.resume_reading(PAUSED_FOR_CATCH_UP)
        self._route_again(metadata, held)

    def _go_on(self, metadata: ConnectionMetadata) -> None:
        """Do what a connection asked for when the turn of the loop was over."""
        held, metadata.held = metadata.held or [], None
        metadata.link.resume_reading(PAUSED_FOR_TURN)
        self._route_again(metadata, held)

    def _route_again(self, metadata: ConnectionMetadata, held: Iterable[tuple[int, bytes]]) -> None:
        # One among them may hold back those behind it again.
        for opcode, payload in held:
            if metadata.connection_id in self._manager.connections:
                self.route(metadata, opcode, payload)

    def _handle(self, metadata: ConnectionMetadata, opcode: int, payload: bytes) -> None:
        request_id: str | None = None
        if self._manager.traces.is_armed:
            self._received_at = self._manager.clock.monotonic()
        try:
            limit = self._manager.settings.inbound.max_message_size
            command = metadata.encoding.command(opcode, payload, limit)
            request_id = command.request_id
            if metadata.awaiting is not None and type(command) is not commands.Broadcast:
                self._hold_back(metadata, opcode, payload)
                return
            self._handlers[type(command)](metadata, command)
            if metadata.faults:
                metadata.faults -= 1
        except _Overtaking:
            self._hold_back(metadata, opcode, payload)
        except ServerError as error:
            self._refuse_in_order(metadata, error, request_id or getattr(error, "request_id", None))
        except Exception:
            self._refuse_in_order(metadata, internal_error("handling a command"), request_id)

    # -- the order of answers while the store has not answered

    def _hold_back(self, metadata: ConnectionMetadata, opcode: int, payload: bytes) -> None:
        """Let a command wait until the broadcasts before it are told as stored."""
        metadata.held = [(opcode, payload)]
        metadata.link.pause_reading(PAUSED_FOR_STORE)

    def _refuse_in_order(
        self, metadata: ConnectionMetadata, error: ServerError, request_id: str | None
    ) -> None:
        if metadata.awaiting is None:
            self.refuse(metadata, error, request_id)
        else:
            metadata.awaiting.when_done(lambda _: self._refuse_if_there(metadata, error, request_id))

    def _refuse_if_there(
        self, metadata: ConnectionMetadata, error: ServerError, request_id: str | None
    ) -> None:
        if self._manager.connections.get(metadata.connection_id) is metadata:
            self.refuse(metadata, error, request_id)

    def _answer_when_stored(
        self, metadata: ConnectionMetadata, report: DeliveryReport, request_id: str | None
    ) -> None:
        """Tell a client of its broadcast when that has been stored, and go on when it was the last."""
        metadata.awaiting = report

        def answer(report: DeliveryReport) -> None:
            if metadata.awaiting is report:
                metadata.awaiting = None
            if self._manager.connections.get(metadata.connection_id) is not metadata:
                return
            if isinstance(report.fault, ServerError):
                self.refuse(metadata, report.fault, request_id)
            else:
                self._acknowledge(metadata, report, request_id)
            if metadata.awaiting is None and metadata.held is not None:
                # Not within the delivery of somebody's message.
                self._manager.loop_port.call_soon(lambda: self._go_on_after_store(metadata))

        report.when_done(answer)

    def _go_on_after_store(self, metadata: ConnectionMetadata) -> None:
        held, metadata.held = metadata.held or [], None
        metadata.link.resume_reading(PAUSED_FOR_STORE)
        self._route_again(metadata, held)

    def refuse(self, metadata: ConnectionMetadata, error: ServerError, request_id: str | None = None) -> None:
        """Tell a client of its error, and end the connection of one that makes too many."""
        self._manager.faults += 1
        code = None
        if error.kind is INVALID_MESSAGE:
            metadata.faults += 1
            code = CloseCode.TOO_MANY_ERRORS if metadata.faults >= MAX_FAULTS else None
        elif error.kind is BINARY_PROTOCOL_ERROR:
            metadata.binary_faults += 1
            code = CloseCode.BINARY_PROTOCOL if metadata.binary_faults >= MAX_BINARY_FAULTS else None
        elif error.kind is RATE_LIMIT and self._rates.offend(metadata):
            self._rates.expel(error)
            code = CloseCode.RATE_LIMIT
        elif error.kind is FILTER_ERROR:
            self._rates.charge_refused_filter(metadata)
        metadata.say(control.Error.of(error, request_id))
        if code is not None:
            self._rates.hold_against(metadata.user_id)
            self._manager.disconnect(metadata.connection_id, _LAST_WORDS[code], code=code)

    async def close(self) -> None:
        """Stop renewals under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cursor(self, metadata: ConnectionMetadata) -> dict[str, int]:
        """Up to where a connection has been sent everything: whatever is queued after this comes later."""
        return self._manager.broadcasts.logs.cursor(self._manager.position_of(metadata))

    # -- commands

    def _connect(self, metadata: ConnectionMetadata, command: commands.Connect) -> None:
        raise ServerError(
            INVALID_MESSAGE, "This connection is connected already; use auth to renew its token."
        )

    def _subscribe(self, metadata: ConnectionMetadata, command: commands.Subscribe) -> None:
        self._rates.take_subscribe(metadata)
        topic = command.address()
        subscription, replaced = self._made(metadata, topic, command)
        self._rates.charge_patterns(metadata, subscription.program)
        answer = control.SubscriptionConfirmed(
            request_id=command.request_id,
            subscription_id=subscription.subscription_id,
            subscription_type=subscription.subscription_type,
            target_id=subscription.target_id,
            filters=subscription.filters,
            replaced=replaced,
            hint=self._manager.hints.first(metadata, subscription),
            break_glass=topic.patient_id in metadata.principal.beyond,
        )
        metadata.say(answer)

    def _made(
        self, metadata: ConnectionMetadata, topic: Topic, command: commands.Subscribe
    ) -> tuple[Subscription, bool]:
        if command.break_glass is None:
            return self._manager.subscription_manager.subscribe(metadata, topic, command.filters)
        if self._glass is None:
            raise ServerError(PERMISSION_DENIED)
        return self._glass.subscribe(metadata, topic, command.filters, command.break_glass)

    def _unsubscribe(self, metadata: ConnectionMetadata, command: commands.Unsubscribe) -> None:
        self._rates.take_subscribe(metadata)
        subscriptions = self._manager.subscription_manager
        topic = command.address()
        if topic is None:
            ended = subscriptions.remove_by_id(metadata, command.subscription_id or "")
            if ended is None:
                raise InvalidTopic("subscription_id", "is not a subscription of this connection")
            topic, existed = Topic(ended.subscription_type, ended.target_id), True
        else:
            existed = subscriptions.remove(metadata, topic)
        if self._glass is not None and metadata.principal.beyond:
            self._glass.settle(metadata)
        answer = control.Unsubscribed(
            request_id=command.request_id,
            subscription_type=topic.subscription_type,
            target_id=topic.target_id,
            existed=existed,
        )
        metadata.say(answer)

    def _refresh(self, metadata: ConnectionMetadata, command: commands.Refresh) -> None:
        self._rates.take_subscribe(metadata)
        count, expires_in = self._manager.subscription_manager.refresh(metadata, command.subscription_id)
        if command.subscription_id is not None and not count:
            raise InvalidTopic("subscription_id", "is not a subscription of this connection")
        answer = control.Refreshed(request_id=command.request_id, count=count, expires_in=expires_in)
        metadata.say(answer)

    def _broadcast(self, metadata: ConnectionMetadata, command: commands.Broadcast) -> None:
        traces, received_at = self._manager.traces, self._received_at
        topic = command.address()
        if not traces.is_armed:
            self._publish(metadata, command, topic, None)
            return
        with traces.begin(
            "client",
            publisher=metadata.user_id,
            topic=topic,
            content=command.message,
            started=received_at,
        ) as trail:
            self._publish(metadata, command, topic, trail)

    def _publish(
        self,
        metadata: ConnectionMetadata,
        command: commands.Broadcast,
        topic: Topic,
        trail: Trail | None,
    ) -> None:
        principal = metadata.principal
        given = command.message.get("type")
        message_type = given if isinstance(given, str) else None
        if not all(principal.may_publish(door, message_type) for door in _doors(topic)):
            raise self._may_not_publish(metadata, topic.patient_id, "publish")
        # The sender is the server's word, whatever the client wrote there.
        body = {**command.message, "sender": principal.user_id}
        limit = self._manager.settings.broadcast.max_message_size
        severities = self._manager.subscription_manager.filters.severities
        published = PublishedMessage(body, topic=topic, max_size=limit, severities=severities)
        if published.patient_id is not None and not principal.may_speak_of(published.patient_id):
            raise self._may_not_publish(metadata, published.patient_id, "patients")
        exclude = 0 if command.echo else metadata.handle
        broadcasts = self._manager.broadcasts
        if metadata.awaiting is not None and not broadcasts.is_durable(published):
            raise _Overtaking
        if trail is not None:
            trail.validate(topic, published)
        report = broadcasts.publish(topic, published, exclude=exclude, trail=trail)
        if report.is_pending:
            self._answer_when_stored(metadata, report, command.request_id)
        else:
            self._acknowledge(metadata, report, command.request_id)

    def _may_not_publish(
        self, metadata: ConnectionMetadata, patient_id: str | None, lacking: str
    ) -> ServerError:
        if patient_id is not None:
            self._manager.access_notes.publishing_refused(
                metadata.principal, patient_id, lacking, metadata.connection_id
            )
        return ServerError(PERMISSION_DENIED)

    def _acknowledge(
        self, metadata: ConnectionMetadata, report: DeliveryReport, request_id: str | None
    ) -> None:
        answer = control.BroadcastAck(request_id=request_id, report=report.as_dict())
        metadata.say(answer)

    def _ping(self, metadata: ConnectionMetadata, command: commands.Ping) -> None:
        now = utc_text(self._manager.clock.time())
        answer = control.Pong(
            request_id=command.request_id, t=command.t, server_time=now, cursor=self.cursor(metadata)
        )
        metadata.say(answer)

    def _auth(self, metadata: ConnectionMetadata, command: commands.Auth) -> None:
        # What comes behind is judged by the new rights: held back, with reading paused, so that
        # the kernel's window bounds it.
        metadata.held = []
        metadata.link.pause_reading(PAUSED_FOR_CREDENTIALS)
        task = asyncio.ensure_future(self._renew_in_order(metadata, command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew_in_order(self, metadata: ConnectionMetadata, command: commands.Auth) -> None:
        try:
            await self._renew(metadata, command)
        finally:
            held, metadata.held = metadata.held or [], None
            metadata.link.resume_reading(PAUSED_FOR_CREDENTIALS)
            self._route_again(metadata, held)

    async def _renew(self, metadata: ConnectionMetadata, command: commands.Auth) -> None:
        try:
            principal = await self._authenticator.authenticate(command.token)
            if self._manager.connections.get(metadata.connection_id) is not metadata:
                return
            if principal.user_id != metadata.user_id:
                raise ServerError(AUTHENTICATION_FAILED)
        except AuthenticationFailed as error:
            self.refuse(metadata, error, command.request_id)
            return
        except ServerError as error:
            # A token of somebody else: the connection cannot go on under either identity.
            self.refuse(metadata, error, command.request_id)
            self._manager.disconnect(
                metadata.connection_id, error.kind.name, code=CloseCode.AUTHENTICATION_FAILED
            )
            return
        except Exception:
            self.refuse(metadata, internal_error("checking a token"), command.request_id)
            return
        if self._glass is not None:
            principal = self._glass.kept(metadata, principal)
        for ended in self._manager.replace_principal(metadata, principal):
            self.announce_withdrawn(metadata, Topic(ended.subscription_type, ended.target_id))
        metadata.expiry_warned = False
        self._renewed(metadata)
        expires_in = max(0.0, principal.expires_at - self._manager.clock.time())
        answer = control.Authenticated(request_id=command.request_id, expires_in=round(expires_in, 3))
        metadata.say(answer)

    def announce_withdrawn(self, metadata: ConnectionMetadata, topic: Topic) -> None:
        """Tell a client that a subscription ended because the right to it did."""
        error = ServerError(
            PERMISSION_DENIED,
            "The right to this subscription has ended.",
            details={"subscription_type": topic.subscription_type, "target_id": topic.target_id},
        )
        metadata.say(control.Error.of(error))

    def _ack(self, metadata: ConnectionMetadata, command: commands.Ack) -> None:
        self.acknowledged += 1
        self._manager.records.acknowledge(command.message_id, metadata.handle)

    def _health_check(self, metadata: ConnectionMetadata, command: commands.HealthCheck) -> None:
        sent, bytes_sent, queue_messages, queue_bytes = self._manager.hub.connection_figures(
            metadata.handle
        ) or (0, 0, 0, 0)
        counters = {
            "sent": sent,
            "bytes_sent": bytes_sent,
            "received": getattr(metadata.link, "messages_received", 0),
            "bytes_received": getattr(metadata.link, "bytes_received", 0),
            "subscriptions": self._manager.subscription_manager.count(metadata),
        }
        answer = control.Health(
            request_id=command.request_id,
            counters=counters,
            rtt_ms=None if metadata.rtt is None else round(metadata.rtt * 1000, 3),
            queue_messages=queue_messages,
            queue_bytes=queue_bytes,
        )
        metadata.say(answer)

    def _disconnect(self, metadata: ConnectionMetadata, command: commands.Disconnect) -> None:
        self._manager.disconnect(metadata.connection_id)


def _doors(topic: Topic) -> tuple[str, ...]:
    """The target types that a role must be given to broadcast to a topic."""
    if topic == EVERYTHING:
        return ("all",)
    if topic == EVERY_PATIENT:
        return ("patient", "type")
    return ("type",) if topic.patient_id is None else ("patient",)
