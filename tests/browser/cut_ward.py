"""Our server behind a proxy that treats connections badly; a page of another origin that watches a patient.

The page keeps what its client tells in ``told``, in order: the number of each message, and ``gap: reason``;
in ``states`` where the connection went. ``publish()`` publishes the next number. The server can be followed
by another one (``await restart()``) that knows nothing of the first.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import jwt
from aiohttp import web
from chaos_proxy import ChaosProxy, Ending, Fate

from wsserver.connection_manager import ConnectionManager
from wsserver.settings import AuthSettings, HistorySettings, ServerSettings, Settings
from wsserver.web.app import setup

SECRET = "a secret of thirty-two bytes and more"
PATIENT = "123"
# Not this machine's address: a client does not wait for the network if the server is on the same machine.
HOST = "ward.test"

PAGE = """<!doctype html><link rel="icon" href="data:,"><title>watching</title>"""
ELSEWHERE = """<!doctype html><link rel="icon" href="data:,"><title>elsewhere</title>"""
WATCH = """
import { WebSocketReconnectService } from "%(server)s/ws/client/index.js";

window.told = [];
window.states = [];
window.ends = [];
window.sessions = [];
window.reasons = [];
window.shows = [];
addEventListener("pageshow", ({ persisted }) => shows.push(persisted));

export async function watch(tokens, options) {
  const service = (window.service = new WebSocketReconnectService({
    codec: "binary",
    maxAttempts: 0,
    initialDelay: 50,
    maxDelay: 400,
    jitterMode: "full",
    heartbeatInterval: 500,
    heartbeatTimeout: 2_000,
    getToken: ({ reason }) => {
      reasons.push(reason);
      return tokens.length > 1 ? tokens.shift() : tokens[0];
    },
    ...options,
  }));
  service.on("message", ({ data }) => told.push(data.n));
  service.on("gap", ({ reason }) => told.push(`gap: ${reason}`));
  service.on("state", ({ state }) => states.push(state));
  service.on("disconnected", ({ code, terminal }) => ends.push([code, terminal]));
  service.on("connected", ({ resumed, connectionId }) => sessions.push([resumed, connectionId]));
  await service.connect("%(socket)s/ws/connect", { userId: "dr1", subscriptions: ["patient:123"] });
}
"""


class CutWard:
    """Page, proxy and server in the test's own event loop."""

    def __init__(self) -> None:
        self.published: list[int] = []
        self.dialled = 0
        self.pages_url = self.socket_url = ""
        self.settings = Settings()
        self.manager = ConnectionManager(self.settings)
        self._runners: list[web.AppRunner] = []

    async def start(self) -> None:
        pages = web.Application()
        pages.router.add_get("/", self._answer("text/html", lambda: PAGE))
        pages.router.add_get("/elsewhere", self._answer("text/html", lambda: ELSEWHERE))
        pages.router.add_get("/watch.js", self._answer("text/javascript", self._script))
        self.pages_url = f"http://127.0.0.1:{await self._serve(pages)}"
        self.settings = Settings(
            auth=AuthSettings(secret=SECRET),
            server=ServerSettings(allowed_origins=(self.pages_url,)),
            # Nothing is let go of, however long a slow machine takes.
            history=HistorySettings(size=1_000_000, ttl=3600.0),
        )
        self.port = await self._serve(self._make_server())
        self.proxy = ChaosProxy(self.port, self.fate)
        self.fates: Iterable[Fate] = ()
        await self.proxy.__aenter__()
        self.socket_url = f"ws://{HOST}:{self.proxy.port}"

    async def stop(self) -> None:
        await self.proxy.__aexit__()
        for runner in reversed(self._runners):
            await runner.cleanup()

    async def restart(self) -> None:
        """Another server in the place of the first, which is gone without a word."""
        self.proxy.target = self.port = await self._serve(self._make_server())
        self.proxy.end_all(Ending.RESET)

    def fate(self) -> Fate:
        """What befalls the next connection."""
        self.dialled += 1
        return next(iter(self.fates), Fate())

    def publish(self) -> None:
        """The next number, to whoever watches the patient."""
        number = len(self.published) + 1
        self.published.append(number)
        self.manager.broadcast_to_patient(PATIENT, {"type": "count", "n": number})

    def token(self, seconds: float = 3600) -> str:
        claims = {"sub": "dr1", "role": "doctor", "exp": int(time.time() + seconds), "patients": [PATIENT]}
        return jwt.encode(claims, SECRET, "HS256")

    def operator(self) -> str:
        claims = {"sub": "ops", "role": "admin", "exp": int(time.time()) + 3600, "scope": "admin:write"}
        return jwt.encode(claims, SECRET, "HS256")

    def _make_server(self) -> web.Application:
        self.manager = ConnectionManager(self.settings)
        app = web.Application()
        setup(app, self.settings, manager=self.manager)
        return app

    def _script(self) -> str:
        return WATCH % {"server": f"http://127.0.0.1:{self.port}", "socket": self.socket_url}

    async def _serve(self, app: web.Application) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    @staticmethod
    def _answer(content_type: str, text: Any) -> Any:
        async def handle(_: web.Request) -> web.Response:
            return web.Response(text=text(), content_type=content_type)

        return handle


def untold(told: list[int | str], published: list[int]) -> list[int]:
    """What was published and did not come, with no gap in its place. Fails if anything came twice or late."""
    last, lost, excused = 0, [], False
    for item in told:
        if isinstance(item, str):
            excused = True
            continue
        assert item > last, f"{item} after {last} in {told}"
        if not excused:
            lost += [number for number in published if last < number < item]
        last, excused = item, False
    return lost if excused else lost + [number for number in published if number > last]


async def until(condition: Any, patience: float = 30) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.01)
