"""``GET /health`` and ``/ready``: what process supervisors and load balancers ask every few seconds."""

from aiohttp import web

from wsserver.service import Service
from wsserver.web.responses import plain


class ProbeHandlers:
    """Handlers that anybody may ask."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, request: web.Request) -> web.StreamResponse:
        """``GET /health``: 200 while the loop runs in time, else 503. Says nothing else, to anybody."""
        if self._service.overload.loop_is_late:
            return plain({"status": "failing", "reason": "loop_lag"}, 503)
        return plain({"status": "ok"})

    async def ready(self, request: web.Request) -> web.StreamResponse:
        """``GET /ready``: 200 when new clients are welcome, else 503 with the reason."""
        reason = self._unready()
        return (
            plain({"status": "ready"})
            if reason is None
            else plain({"status": "unready", "reason": reason}, 503)
        )

    def _unready(self) -> str | None:
        if not self._service.running:
            return "starting"
        if self._service.draining:
            return "draining"
        if self._service.store_keeper.fault is not None:
            return "store_lost"
        if self._service.overload.active:
            return "overloaded"
        manager = self._service.manager
        if not manager.accepting:
            return "refusing"
        return "full" if manager.limits.total >= manager.limits.max_connections else None
