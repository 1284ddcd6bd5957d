"""A REST server for tests of commands: remembers what it was asked and answers as it is told to."""

from typing import Any

from aiohttp import web


class RestDouble:
    """Answers every path with the data put in for it, else with ``data``."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str | None]] = []
        self.bodies: list[bytes] = []
        self.data: Any = None
        self.by_path: dict[str, Any] = {}
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path_qs, request.headers.get("Authorization")))
        self.bodies.append(await request.read())
        data = self.by_path.get(request.path, self.data)
        if isinstance(data, web.Response):
            # Made anew, as one response answers one request.
            return web.Response(status=data.status, body=data.body, headers=data.headers)
        return web.json_response({"status": "success", "data": data})
