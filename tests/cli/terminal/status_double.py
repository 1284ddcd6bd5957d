"""A server's ``/ws/admin`` and its REST routes, saying what a test puts into them."""

import asyncio
from typing import Any

from aiohttp import web
from terminal.panels import ALERTS, METRICS, consumer, overview, slow


class StatusDouble:
    """Speaks as the status page's socket does."""

    def __init__(self) -> None:
        self.url = ""
        self.handshakes: list[str | None] = []
        self.topics: list[str] = []
        self.refuse: int | None = None
        self.messages: list[dict[str, Any]] = [slow(consumer(1)), overview()]
        self.later: asyncio.Queue[dict[str, Any]] | None = None
        """What is said when a test puts it there."""
        self.close_code: int | None = None
        self.rest: dict[str, Any] = {
            "metrics": METRICS, "alerts": ALERTS, "connections": {"connections": [consumer(2)]},
        }  # fmt: skip
        self.asked: list[str] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/ws/admin", self._admin)
        app.router.add_get("/ws/{name}", self._ask)
        return app

    async def _admin(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(request.headers.get("Authorization"))
        if self.refuse is not None:
            return web.Response(status=self.refuse)
        socket = web.WebSocketResponse(protocols=("wsserver.v1.json",))
        await socket.prepare(request)
        await socket.send_json({"type": "connected", "subscriptions": [], "errors": []})
        for _ in range(2):
            self.topics.append((await socket.receive_json())["topic"])
        for message in self.messages:
            await socket.send_json({**message, "_meta": {"id": "m_1"}})
        if self.later is not None:
            while True:
                await socket.send_json({**await self.later.get(), "_meta": {"id": "m_2"}})
        if self.close_code is not None:
            await socket.close(code=self.close_code)
        else:
            await socket.receive()
        return socket

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append(request.path_qs)
        data = self.rest.get(name)
        if isinstance(data, int):
            error = {"code": 1011, "name": "refused", "message": "No."}
            return web.json_response({"status": "error", "error": error}, status=data)
        await asyncio.sleep(0)
        return web.json_response({"status": "success", "data": data})
