"""What is subscribed to, and what happened to subscriptions lately."""

from typing import Any

from aiohttp import web

from wsserver.errors import NOT_FOUND, ServerError
from wsserver.observe.event_history import EVENT_KINDS
from wsserver.service import Service
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import asked_choice, asked_id, check_query, page_limit
from wsserver.web.responses import success


class SubscriptionHandlers:
    """Handlers of ``/ws/subscriptions`` and ``/ws/events``."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door

    async def subscriptions(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/subscriptions``: figures by type, by target and by filter."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "limit", "reveal")
        limit, show = page_limit(request), self._door.sight(request, operator)
        manager = self._service.manager.subscription_manager
        return success(show({**manager.get_metrics(), **manager.get_analytics(limit)}))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/events``: what happened to subscriptions lately, newest first."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "limit", "kind", "connection_id", "reveal")
        manager = self._service.manager
        history, connection_id = manager.subscription_manager.history, asked_id(request, "connection_id")
        kind: Any = asked_choice(request, "kind", EVENT_KINDS)
        events = history.latest(page_limit(request), kind=kind, connection_id=connection_id)
        if connection_id is not None and not events and not self._is_known(connection_id):
            raise ServerError(NOT_FOUND, "No such connection is open, and none has ended lately.")
        show = self._door.sight(request, operator, connection_id=connection_id)
        return success(show({"events": [event.as_dict() for event in events], "counts": history.counts}))

    def _is_known(self, connection_id: str) -> bool:
        manager = self._service.manager
        return (
            connection_id in manager.connections
            or manager.records.ended(connection_id) is not None
            or bool(manager.subscription_manager.history.latest(1, connection_id=connection_id))
        )
