"""``/ws/drain``: send every client to other instances, and welcome them again."""

import msgspec
from aiohttp import web

from wsserver.errors import INVALID_MESSAGE, SHUTTING_DOWN, ServerError
from wsserver.service import Service
from wsserver.settings.fields import PerSecond, Seconds
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import check_query
from wsserver.web.request_body import COMMAND_BODY, decode_body, read_body
from wsserver.web.responses import success


class DrainRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /ws/drain``; what it leaves out is as in the settings ``shutdown.*``."""

    timeout: Seconds | None = None
    notice: Seconds | None = None
    return_rate: PerSecond | None = None


class Draining:
    """Handlers of ``/ws/drain``."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door

    async def start(self, request: web.Request) -> web.StreamResponse:
        """``POST``: begin; answered at once with 202, again and again while it is in force."""
        operator = await self._door.require(request, "admin:write")
        check_query(request)
        body = await read_body(request, COMMAND_BODY)
        asked = decode_body(body or b"{}", DrainRequest)
        plan = msgspec.structs.replace(
            self._service.settings.shutdown,
            # This process stays, so nobody is to wait for a successor at its address.
            restart_time=None,
            **{name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None},
        )
        if plan.timeout and plan.notice >= plan.timeout:
            raise ServerError(INVALID_MESSAGE, "notice must be below timeout.")
        self._refuse_at_the_end()
        drain = self._service.start_drain(plan)
        self._door.note(operator, "drain", details=msgspec.to_builtins(asked))
        return success(drain.progress(), status=202)

    async def progress(self, request: web.Request) -> web.StreamResponse:
        """``GET``: how far it is."""
        await self._door.require(request, "admin:read")
        check_query(request)
        return success(self._progress())

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """``DELETE``: take clients again; those not closed yet stay."""
        operator = await self._door.require(request, "admin:write")
        check_query(request)
        self._refuse_at_the_end()
        await self._service.cancel_drain()
        self._door.note(operator, "cancel_drain")
        return success(self._progress())

    def _progress(self) -> dict[str, object]:
        departure = self._service.departure
        if departure is not None:
            return departure.progress()
        return {
            "state": "ending" if self._service.draining else "serving",
            "total": 0,
            "closed": 0,
            "open": self._service.manager.hub.open_count,
            "seconds_left": 0.0,
        }

    def _refuse_at_the_end(self) -> None:
        """A process that goes down for good can be neither drained nor kept."""
        service = self._service
        if not service.running or (service.draining and service.departure is None):
            raise ServerError(SHUTTING_DOWN)
