"""What operators ask of a running server over HTTP; nothing here changes anything."""

import re
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from wsserver.errors import INVALID_MESSAGE, NOT_FOUND, ConnectionNotFound, ServerError
from wsserver.ids import InvalidId, canonical_id
from wsserver.observe.event_history import EVENT_KINDS, EventKind
from wsserver.protocol.topic import Topic
from wsserver.publishing.delivery_explainer import DeliveryExplainer
from wsserver.service import Service
from wsserver.subscriptions.match_explainer import MatchExplainer
from wsserver.web.bearer import Bearer
from wsserver.web.request_body import decode_body, read_body
from wsserver.web.responses import success

MAX_LIMIT: Final = 1000
MAX_TRACED: Final = 100
"""Subscriptions of each outcome in a trace: to explain a filter with many patterns takes 4 ms."""
DEFAULT_LIMIT: Final = 100


class TraceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /ws/trace``."""

    message: dict[str, Any]
    topic: str | None = None
    connection_id: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_TRACED)] = 20


class Inspection:
    """Handlers of routes that need ``admin:read``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._bearer = Bearer(service)
        self._explainer = MatchExplainer(service.manager)
        self._deliveries = DeliveryExplainer(service.manager)

    async def trace(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/trace``: who would get this message, and why not the others. Never delivers."""
        await self._bearer.require(request, "admin:read")
        check_query(request)
        limit = self._service.manager.settings.broadcast.max_message_size
        asked = decode_body(await read_body(request, 2 * limit), TraceRequest)
        if asked.topic is None:
            topic = self._service.manager.natural_topic(asked.message)
        else:
            topic = Topic.parse(asked.topic)
        if asked.connection_id is not None:
            return success({"subscriptions": self._explain(asked.connection_id, asked, topic)})
        return success(self._explainer.trace(topic, asked.message, limit=asked.limit).as_dict())

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
        principal = await self._bearer.require(request, "admin:read")
        check_query(request, "connection_id", "user_id")
        message_id, records = request.match_info["message_id"], self._service.manager.records
        connection_id, user_id = _id_asked(request, "connection_id"), _id_asked(request, "user_id")
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
            verdict = self._deliveries.explain(record, connection_id, principal)
            if verdict is None:
                raise ServerError(NOT_FOUND, "No such connection is open, and none has ended lately.")
            verdicts = [verdict]
        elif user_id is not None:
            verdicts = self._deliveries.explain_user(record, user_id, principal, MAX_TRACED)
            if not verdicts:
                raise ServerError(NOT_FOUND, "This user has no connection, and none has ended lately.")
        return success(
            {"message": record.as_dict(), "connections": [verdict.as_dict() for verdict in verdicts]}
        )

    async def subscriptions(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/subscriptions``: figures by type, by target and by filter."""
        await self._bearer.require(request, "admin:read")
        check_query(request, "limit")
        limit = page_limit(request)
        manager = self._service.manager.subscription_manager
        return success({**manager.get_metrics(), **manager.get_analytics(limit)})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/events``: what happened to subscriptions lately, newest first."""
        await self._bearer.require(request, "admin:read")
        check_query(request, "limit", "kind", "connection_id")
        manager = self._service.manager
        history, connection_id = manager.subscription_manager.history, _id_asked(request, "connection_id")
        limit, kind = page_limit(request), _kind(request)
        events = history.latest(limit, kind=kind, connection_id=connection_id)
        if connection_id is not None and not events and not self._is_known(connection_id):
            raise ServerError(NOT_FOUND, "No such connection is open, and none has ended lately.")
        return success({"events": [event.as_dict() for event in events], "counts": history.counts})

    def _is_known(self, connection_id: str) -> bool:
        manager = self._service.manager
        return (
            connection_id in manager.connections
            or manager.records.ended(connection_id) is not None
            or bool(manager.subscription_manager.history.latest(1, connection_id=connection_id))
        )


def check_query(request: web.Request, *names: str) -> None:
    """Raise ServerError 1003 for query parameters other than these, and for one that is given twice.

    Whoever misspells one would take the answer to another question for the answer to theirs.
    """
    for name in request.query:
        if name not in names:
            known = f"known are {', '.join(names)}" if names else "there are none"
            raise ServerError(INVALID_MESSAGE, f"An unknown query parameter; {known}.")
        if len(request.query.getall(name)) > 1:
            raise ServerError(INVALID_MESSAGE, f"{name} must be given once.")


def _id_asked(request: web.Request, name: str) -> str | None:
    given = request.query.get(name)
    try:
        return None if given is None else canonical_id(given, name)
    except InvalidId as error:
        raise ServerError(INVALID_MESSAGE, str(error)) from None


def _kind(request: web.Request) -> EventKind | None:
    given = request.query.get("kind")
    for kind in EVENT_KINDS:
        if given == kind:
            return kind
    if given is not None:
        raise ServerError(INVALID_MESSAGE, f"kind must be one of {', '.join(EVENT_KINDS)}.")
    return None


def page_limit(request: web.Request) -> int:
    """The query parameter ``limit``; raises ServerError 1003 for what is no number from 1 to 1000."""
    given = request.query.get("limit", str(DEFAULT_LIMIT))
    # The length first: thousands of digits are more than int() takes.
    if not re.fullmatch("[0-9]{1,4}", given) or not 1 <= int(given) <= MAX_LIMIT:
        raise ServerError(INVALID_MESSAGE, f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return int(given)
