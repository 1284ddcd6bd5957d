"""Our server and, on another port and so of another origin, somebody's pages that use its client.

``await pages.start(...)`` takes the pages by path, each with its content type; ``{server}`` in them becomes
our server's address. What the browser asked our server for stands in ``asked`` as (path, status).
"""

import time
from typing import Any

import jwt
from aiohttp import web

from wsserver.connection_manager import ConnectionManager
from wsserver.settings import AuthSettings, ServerSettings, Settings
from wsserver.web.app import setup
from wsserver.web.responses import Handler

SECRET = "a secret of thirty-two bytes and more"


class TwoOrigins:
    """Both servers in the test's own event loop."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.url = self.pages_url = ""
        self.manager: ConnectionManager | None = None
        self._runners: list[web.AppRunner] = []

    async def start(self, pages: dict[str, tuple[str, str]]) -> None:
        foreign = web.Application()
        for path, (content_type, text) in pages.items():
            foreign.router.add_get(path, self._page(content_type, text))
        self.pages_url = await self._serve(foreign)
        settings = Settings(
            auth=AuthSettings(secret=SECRET), server=ServerSettings(allowed_origins=(self.pages_url,))
        )
        self.manager = ConnectionManager(settings)
        app = web.Application(middlewares=[self._note])
        setup(app, settings, manager=self.manager)
        self.url = await self._serve(app)

    async def stop(self) -> None:
        for runner in reversed(self._runners):
            await runner.cleanup()

    def token(self, user: str = "dr1") -> str:
        claims = {"sub": user, "role": "doctor", "exp": int(time.time()) + 3600, "patients": ["123"]}
        return jwt.encode(claims, SECRET, "HS256")

    async def _serve(self, app: web.Application) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    def _page(self, content_type: str, text: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = text.replace("{server}", self.url).replace("{socket}", self.url.replace("http", "ws"))
            return web.Response(text=body, content_type=content_type)

        return handle

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        answer = await handler(request)
        self.asked.append((request.path, answer.status))
        return answer
