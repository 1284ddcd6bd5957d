"""Alerts over HTTP: what is wrong and since when, and the operator's hand on the emergency switch."""

from typing import Annotated

import msgspec
from aiohttp import web

from wsserver.errors import NOT_FOUND, ServerError
from wsserver.overload import Cause
from wsserver.service import Service
from wsserver.web.alert_webhook import AlertWebhook
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import check_query, page_limit
from wsserver.web.request_body import COMMAND_BODY, decode_body, read_body
from wsserver.web.responses import success


class EmergencyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /ws/emergency``."""

    active: bool
    reason: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class AlertHandlers:
    """Handlers of the routes about alerts and overload."""

    def __init__(self, service: Service, door: OperatorDoor, webhook: AlertWebhook) -> None:
        self._service = service
        self._webhook = webhook
        self._door = door

    async def alerts(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/alerts``: what is raised, every value with its thresholds, and the latest changes."""
        await self._door.require(request, "admin:read")
        check_query(request, "limit")
        limit = page_limit(request)
        alerts, overload = self._service.alerts, self._service.overload
        return success(
            {
                "active": alerts.active(),
                "current": alerts.current(),
                "overload": {
                    "active": overload.active,
                    "causes": overload.causes,
                    "entered": overload.entered,
                },
                "history": [change.as_dict() for change in alerts.history(limit)],
                "webhook": self._webhook.figures(),
            }
        )

    async def acknowledge(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/alerts/{alert}/acknowledge``: somebody looks after it."""
        operator = await self._door.require(request, "admin:write")
        check_query(request)
        name = request.match_info["alert"]
        found = self._service.alerts.acknowledge(name, operator.name)
        if found is None:
            raise ServerError(NOT_FOUND, "No such alert is raised.")
        acknowledgement, is_new = found
        if is_new:
            self._door.note(operator, "acknowledge_alert", details={"alert": name})
        return success({"alert": name, "acknowledged": acknowledgement.as_dict(), "changed": is_new})

    async def emergency(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/emergency``: ``{active, reason?}`` enters or ends an overload by hand."""
        operator = await self._door.require(request, "admin:write")
        check_query(request)
        asked = decode_body(await read_body(request, COMMAND_BODY), EmergencyRequest)
        overload = self._service.overload
        changed = overload.enter(Cause.OPERATOR, asked.reason) if asked.active else overload.leave_by_hand()
        details = {"active": asked.active, **({} if asked.reason is None else {"reason": asked.reason})}
        self._door.note(operator, "emergency", details=details)
        return success({"active": overload.active, "changed": changed, "causes": overload.causes})
