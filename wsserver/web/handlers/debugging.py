"""The specification's debugging tools over HTTP: the inspector, the self-test, the profiler."""

import msgspec
from aiohttp import web

from wsserver.connections.connection_state import connection_state
from wsserver.errors import INVALID_MESSAGE, ServerError
from wsserver.profiling.core_figures import CoreFigures
from wsserver.profiling.loop_profile import MAX_SECONDS, MIN_SECONDS, LoopProfiler, ProfileRunning
from wsserver.service import Service
from wsserver.subscriptions.subscription_health import subscription_health
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import asked_number, check_query
from wsserver.web.responses import success

DEFAULT_SECONDS = 5


class DebuggingHandlers:
    """Handlers of ``/ws/inspect``, ``/ws/subscriptions/check`` and ``/ws/profile``."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door
        more = {
            "loop_lag": service.overload.signals.lag.lags,
            "heartbeat_round_trip": service.health.round_trips,
        }
        figures = CoreFigures(service.manager, service.inlet.received_totals, more)
        self._profiler = LoopProfiler(figures, service.clock, is_going=lambda: service.running)

    async def inspect(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/inspect``: who is connected by role, subscriptions, heartbeats, and the self-test."""
        await self._door.require(request, "admin:read")
        check_query(request)
        manager = self._service.manager
        state = msgspec.structs.asdict(connection_state(manager))
        return success({**state, "subscription_health": subscription_health(manager, remove=False)})

    async def check_subscriptions(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/subscriptions/check``: the self-test, and orphans end."""
        await self._door.require(request, "admin:write")
        check_query(request)
        return success(subscription_health(self._service.manager, remove=True))

    async def profile(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/profile``: the loop's thread and the core for ``seconds``; one at a time."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "seconds")
        seconds = asked_number(
            request, "seconds", least=MIN_SECONDS, most=MAX_SECONDS, default=DEFAULT_SECONDS
        )
        if self._profiler.is_running:
            raise _already_running()
        self._door.note(operator, "profile", details={"seconds": seconds})
        try:
            return success(await self._profiler.run(seconds))
        except ProfileRunning:
            raise _already_running() from None


def _already_running() -> ServerError:
    return ServerError(INVALID_MESSAGE, "A profile is being taken: one at a time.", http_status=409)
