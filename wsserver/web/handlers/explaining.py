"""Why a message reaches somebody or does not; nothing here changes anything."""

from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from wsserver.errors import INVALID_MESSAGE, NOT_FOUND, ConnectionNotFound, ServerError
from wsserver.protocol.topic import Topic
from wsserver.publishing.delivery_explainer import DeliveryExplainer
from wsserver.service import Service
from wsserver.subscriptions.match_explainer import MatchExplainer
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import asked_id, check_query
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


class ExplainingHandlers:
    """Handlers of ``/ws/trace`` and ``/ws/explain``."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door
        self._explainer = MatchExplainer(service.manager)
        self._deliveries = DeliveryExplainer(service.manager)

    async def trace(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/trace``: who would get this message, and why not the others. Never delivers."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "reveal")
        show = self._door.sight(request, operator)
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
                f"No such message is kept: the server keeps the newest {records.size} and as many alerts, "
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
        show = self._door.sight(request, operator, connection_id=connection_id, patient_id=record.patient_id)
        return success(
            show({"message": record.as_dict(), "connections": [verdict.as_dict() for verdict in verdicts]})
        )
