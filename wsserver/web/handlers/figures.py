"""Figures of the server: the specification's documents, and all of them for Prometheus."""

from typing import Final

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder

from wsserver.prometheus.collector import ServiceCollector
from wsserver.service import Service
from wsserver.specification_metrics import specification_metrics
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import check_query
from wsserver.web.responses import success

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class FigureHandlers:
    """Handlers of ``/ws/metrics``, ``/ws/health`` and ``/metrics``."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door
        self._collector = ServiceCollector(service)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/metrics``: the specification's document."""
        await self._door.require(request, "metrics:read")
        check_query(request)
        return success(specification_metrics(self._service))

    async def health(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/health``: how the connections are doing, by their heartbeats."""
        await self._door.require(request, "admin:read")
        check_query(request)
        return success(self._service.health.get_health_metrics())

    async def prometheus(self, request: web.Request) -> web.StreamResponse:
        """``GET /metrics``: all figures of now, as text or OpenMetrics, whichever ``Accept`` asks for."""
        await self._door.require(request, "metrics:read")
        check_query(request)
        accepted = ",".join(request.headers.getall(hdrs.ACCEPT, []))
        try:
            encode, content_type = choose_encoder(accepted)
        except (TypeError, ValueError):
            # A version that is none: whoever sends it gets what everybody can read.
            encode, content_type = choose_encoder("")
        return web.Response(
            body=encode(self._collector), headers={**_HEADERS, hdrs.CONTENT_TYPE: content_type}
        )
