"""``GET /metrics``, for Prometheus and whatever else reads its formats."""

from typing import Final

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder

from wsserver.prometheus.collector import ServiceCollector
from wsserver.service import Service
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import check_query

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class PrometheusRoute:
    """The handler of ``/metrics``; its token needs the scope ``metrics:read``."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._door = door
        self._collector = ServiceCollector(service)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """All figures of this moment, in the format that ``Accept`` asks for: text or OpenMetrics."""
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
