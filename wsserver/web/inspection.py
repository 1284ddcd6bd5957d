"""What operators ask of a running server over HTTP; nothing here changes anything."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from wsserver.errors import INVALID_MESSAGE, NOT_FOUND, ConnectionNotFound, ServerError
from wsserver.observe.event_history import EVENT_KINDS, EventKind
from wsserver.operators.masking import mask_document
from wsserver.operators.operator import Operator
from wsserver.protocol.topic import Topic
from wsserver.publishing.delivery_explainer import DeliveryExplainer
from wsserver.service import Service
from wsserver.subscriptions.match_explainer import MatchExplainer
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import asked_id, check_query, page_limit
from wsserver.web.request_body import decode_body, read_body
from wsserver.web.responses import success

MAX_TRACED: Final = 100
"""Subscriptions of each outcome in a trace: to explain a filter with many patterns takes 4 ms."""


class TraceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /ws/trace``."""

    message: dict[str, Any]
    topic: str | None = None
    connection_id: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_TRACED)] = 20


class Inspection:
    """Handlers of routes that need ``admin:read``."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door
        self._explainer = MatchExplainer(service.manager)
        self._deliveries = DeliveryExplainer(service.manager)

    async def trace(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/trace``: who would get this message, and why not the others. Never delivers."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "reveal")
        show = self._sight(request, operator)
        limit = self._service.manager.settings.broadcast.max_message_size
        asked = decode_body(await read_body(request, 2 * limit), TraceRequest)
        if asked.topic is None:
            topic = self._service.manager.natural_topic(asked.message)
        else:
            topic = Topic.parse(asked.topic)
        if asked.connection_id is not None:
            return success(show({"subscriptions": self._explain(asked.connection_id, asked, topic)}))
        return success(show(self._explainer.trace(topic, asked.message, limit=asked.limit).as_dict()))

    def _explain(self, connection_id: str, asked: TraceRequest, topic: Topic) -> list[dict[str, Any]]:
        try:
            verdicts = self._explainer.explain_match(
                connection_id, asked.message, topic=topic, limit=asked.limit
            )
        except ConnectionNotFound:
            raise ServerError(NOT_FOUND, "There is no such connection.") from None
        return [verdict.as_dict() for verdict in verdicts]

    async def explain(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/explain/{message_id}``: what became of a message, and why at this connection or user."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "connection_id", "user_id", "reveal")
        message_id, records = request.match_info["message_id"], self._service.manager.records
        connection_id, user_id = asked_id(request, "connection_id"), asked_id(request, "user_id")
        if connection_id is not None and user_id is not None:
            raise ServerError(INVALID_MESSAGE, "Give connection_id or user_id, not both.")
        record = records.get(message_id)
        if record is None:
            text = (
                f"No such message is kept: the server keeps the newest {records.size}, "
                f"{len(records)} at the moment."
            )
            raise ServerError(NOT_FOUND, text, details={"kept": len(records), "messages": records.size})
        verdicts = []
        if connection_id is not None:
            verdict = self._deliveries.explain(record, connection_id, operator)
            if verdict is None:
                raise ServerError(NOT_FOUND, "No such connection is open, and none has ended lately.")
            verdicts = [verdict]
        elif user_id is not None:
            verdicts = self._deliveries.explain_user(record, user_id, operator, MAX_TRACED)
            if not verdicts:
                raise ServerError(NOT_FOUND, "This user has no connection, and none has ended lately.")
        show = self._sight(request, operator, connection_id=connection_id, patient_id=record.patient_id)
        return success(
            show({"message": record.as_dict(), "connections": [verdict.as_dict() for verdict in verdicts]})
        )

    async def subscriptions(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/subscriptions``: figures by type, by target and by filter."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "limit", "reveal")
        limit, show = page_limit(request), self._sight(request, operator)
        manager = self._service.manager.subscription_manager
        return success(show({**manager.get_metrics(), **manager.get_analytics(limit)}))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/events``: what happened to subscriptions lately, newest first."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "limit", "kind", "connection_id", "reveal")
        manager = self._service.manager
        history, connection_id = manager.subscription_manager.history, asked_id(request, "connection_id")
        limit, kind = page_limit(request), _kind(request)
        events = history.latest(limit, kind=kind, connection_id=connection_id)
        if connection_id is not None and not events and not self._is_known(connection_id):
            raise ServerError(NOT_FOUND, "No such connection is open, and none has ended lately.")
        show = self._sight(request, operator, connection_id=connection_id)
        return success(show({"events": [event.as_dict() for event in events], "counts": history.counts}))

    def _sight(self, request: web.Request, operator: Operator, **subject: str | None) -> Callable[[Any], Any]:
        """How an answer is shown to an operator: as it is, or with the ids of people masked."""
        return _whole if self._door.reveals(request, operator, **subject) else mask_document

    def _is_known(self, connection_id: str) -> bool:
        manager = self._service.manager
        return (
            connection_id in manager.connections
            or manager.records.ended(connection_id) is not None
            or bool(manager.subscription_manager.history.latest(1, connection_id=connection_id))
        )


def _whole(answer: Any) -> Any:
    return answer


def _kind(request: web.Request) -> EventKind | None:
    given = request.query.get("kind")
    for kind in EVENT_KINDS:
        if given == kind:
            return kind
    if given is not None:
        raise ServerError(INVALID_MESSAGE, f"kind must be one of {', '.join(EVENT_KINDS)}.")
    return None
