"""One client that comes back: from its session to ``connected``, and to what it missed."""

from collections.abc import Iterable
from typing import Any

from wsserver.clock import utc_text
from wsserver.connection_manager import ConnectionManager
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.errors import PERMISSION_DENIED, ServerError
from wsserver.message_router import MessageRouter
from wsserver.protocol import commands, control
from wsserver.protocol.topic import Topic
from wsserver.rate_limiter import RateLimiter
from wsserver.sessions.session import Beginning, Held, Resumed, Session
from wsserver.subscriptions.subscription import Subscription


def send_connected(
    manager: ConnectionManager,
    metadata: ConnectionMetadata,
    request_id: str | None,
    state: control.SessionState | None,
    subscriptions: Iterable[Subscription],
    errors: list[dict[str, Any]],
    session_id: str | None,
) -> None:
    """Tell a client that it is in, and how to come back."""
    settings = manager.settings
    metadata.say(
        control.Connected(
            request_id=request_id,
            connection_id=metadata.connection_id,
            session_id=session_id,
            session_ttl=manager.sessions.ttl if session_id is not None else None,
            user_id=metadata.user_id,
            role=metadata.role,
            protocol=metadata.protocol,
            heartbeat_interval=settings.connection.heartbeat_interval,
            max_message_size=settings.inbound.max_message_size,
            server_time=utc_text(manager.clock.time()),
            session=state,
            cursor=manager.broadcasts.logs.cursor(manager.position_of(metadata)),
            subscriptions=[
                control.SubscriptionView(
                    subscription_id=one.subscription_id,
                    subscription_type=one.subscription_type,
                    target_id=one.target_id,
                    filters=one.filters,
                )
                for one in subscriptions
            ],
            errors=errors,
        )
    )


class Resumption:
    """Restores a session for a connection that has just been registered."""

    def __init__(
        self,
        manager: ConnectionManager,
        router: MessageRouter,
        rates: RateLimiter,
        metadata: ConnectionMetadata,
        request_id: str | None,
    ) -> None:
        self._manager = manager
        self._router = router
        self._rates = rates
        self._metadata = metadata
        self._request_id = request_id
        self._session_id: str | None = None
        self._gaps: list[control.Gap] = []
        self._errors: list[dict[str, Any]] = []

    def begin(self, former: Session, shown: commands.Session, topics: Iterable[str]) -> None:
        """Take the session up: its subscriptions with the rights of now, then ``connected``, then the rest.

        Nothing that is published meanwhile overtakes it. ``topics`` are subscribed to besides. Its
        commands wait until ``connected`` has been sent, which takes a few turns if there is much
        to count.
        """
        manager, metadata = self._manager, self._metadata
        beginning = manager.sessions.take_up(former, shown.id, shown.cursor, metadata)
        manager.hub.set_out(metadata.handle, beginning.cursor, True)
        # From here on it is a session again, whatever becomes of this connection.
        self._session_id = manager.sessions.open(metadata)
        self._gaps += (gap for gap in beginning.gaps if self._may_know(gap))
        if isinstance(metadata.resumed, Resumed):
            metadata.resumed.gaps = self._gaps
        for held in former.subscriptions:
            self._restore(held, beginning)
        catch_up = manager.catch_ups.prepare(metadata, beginning.start, self._welcome)
        self._subscribe(topics)
        self._router.hold(metadata)
        manager.catch_ups.begin(catch_up)

    def _may_know(self, gap: control.Gap) -> bool:
        if gap.reason == "forbidden":
            # It says nothing but that, of a topic that the client had asked for itself.
            return True
        patient = None if gap.topic is None else Topic.parse(gap.topic).patient_id
        return patient is None or self._metadata.principal.may_see(patient)

    def _restore(self, held: Held, beginning: Beginning) -> None:
        topic = held.topic
        try:
            self._manager.subscription_manager.subscribe(
                self._metadata, topic, held.program.source, restored=True
            )
        except ServerError as error:
            self._errors.append({**error.as_dict(), "topic": topic.text})
            for log, start in zip(self._manager.broadcasts.logs, beginning.start, strict=True):
                if start == log.head:
                    continue
                if error.kind is PERMISSION_DENIED:
                    self._gaps.append(control.Gap(log=log.name, topic=topic.text, reason="forbidden"))
                else:
                    self._gaps.append(
                        control.Gap(
                            log=log.name, topic=topic.text, from_=start + 1, to=log.head, reason="limit"
                        )
                    )

    def _subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe to what the client names besides; what it has been given back keeps its filter."""
        metadata, subscriptions = self._metadata, self._manager.subscription_manager
        held = {
            (one.subscription_type, one.target_id)
            for one in subscriptions.get_connection_subscriptions(metadata.connection_id)
        }
        fresh = [text for text in topics if _address(text) not in held]
        within, refused = self._rates.take_topics(metadata, fresh)
        _, errors = subscriptions.initialize_subscriptions(metadata.connection_id, within)
        self._errors += errors + refused

    def _welcome(self, replayed: int, trimmed: list[control.Gap]) -> None:
        manager, metadata = self._manager, self._metadata
        if replayed:
            logs = manager.broadcasts.logs
            manager.access_notes.replayed(
                metadata.connection_id,
                metadata.principal,
                replayed,
                after=logs.cursor(manager.position_of(metadata)),
                upto=logs.cursor(logs.heads()),
            )
        self._gaps += trimmed
        for gap in self._gaps:
            metadata.note_told(manager.clock.time(), gap)
        state = control.SessionState(resumed=True, replayed=replayed, gaps=self._gaps)
        subscriptions = manager.subscription_manager.get_connection_subscriptions(metadata.connection_id)
        send_connected(
            manager, metadata, self._request_id, state, subscriptions, self._errors, self._session_id
        )
        if isinstance(metadata.resumed, Resumed):
            metadata.resumed.was_told = True
        self._router.release(metadata)


def _address(text: str) -> Topic | None:
    try:
        return Topic.parse(text)
    except ServerError:
        return None
