"""The whole server in the test's own loop and process, on a free port, with a registry of its own."""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
from aiohttp import web
from documented import check_answer
from http_request import Answer, request
from raw_socket import RawSocket
from ward_client import WardClient

from wsserver.access.provider import AccessProvider
from wsserver.connection_manager import ConnectionManager
from wsserver.service import Service
from wsserver.settings import Settings
from wsserver.settings import sections as section_types
from wsserver.web.app import setup
from wsserver.web.listener import BACKLOG

SECRET = "a-secret-of-the-integration-tests-that-is-long-enough"
ALL_SCOPES = "broadcast:patient broadcast:type broadcast:all metrics:read admin:read admin:write"
PATIENCE = 10.0


def settings_of(**sections: Any) -> Settings:
    """Settings from one dict per section; the secret is there unless ``auth`` says otherwise."""
    sections["auth"] = {"secret": SECRET, **sections.get("auth", {})}
    built = {
        name: members
        if not isinstance(members, dict)
        else getattr(section_types, "".join(map(str.title, name.split("_"))) + "Settings")(**members)
        for name, members in sections.items()
    }
    return Settings(**built)


def sign(claims: dict[str, Any], key: Any = SECRET, algorithm: str = "HS256", **header: Any) -> str:
    return jwt.encode(claims, key, algorithm, headers=header or None)


def claims_of(user: str = "u1", role: str = "doctor", **changed: Any) -> dict[str, Any]:
    """The claims of an ordinary token; a value of None leaves the claim out."""
    now = int(time.time())
    claims = {"sub": user, "role": role, "iat": now, "exp": now + 3600, "patients": "*", **changed}
    return {name: value for name, value in claims.items() if value is not None}


def token_of(user: str = "u1", role: str = "doctor", **changed: Any) -> str:
    return sign(claims_of(user, role, **changed))


class Faults(logging.Handler):
    """Everything that the server should not have to say: errors in its log, faults of its loop."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(f"{record.name}: {record.getMessage()}")

    def of_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.seen.append(f"loop: {context.get('message')} {context.get('exception')!r}")


class LiveServer:
    """A running server and the ways to talk to it."""

    def __init__(
        self,
        settings: Settings,
        *,
        provider: AccessProvider | None = None,
        dev: bool = False,
        tls: ssl.SSLContext | None = None,
        keepalive: float = 10.0,
        prepare: Callable[[web.Application], None] | None = None,
    ) -> None:
        self.settings = settings
        self.manager = ConnectionManager(settings)
        self.app = web.Application(client_max_size=settings.broadcast.max_message_size + 1024)
        if prepare is not None:
            prepare(self.app)
        self.service: Service = setup(self.app, settings, manager=self.manager, provider=provider, dev=dev)
        self.tls = tls
        self.faults = Faults()
        self.clients: list[WardClient | RawSocket] = []
        self.port = 0
        self._runner = web.AppRunner(
            self.app, access_log=None, keepalive_timeout=keepalive, shutdown_timeout=1.0
        )

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self.faults.of_loop)
        logging.getLogger().addHandler(self.faults)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls, backlog=BACKLOG)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def end(self) -> None:
        """End the application under its clients."""
        await self._runner.cleanup()

    async def stop(self) -> None:
        """Stop it with its clients. Whatever they left behind in an index is a leak and a failure."""
        for client in self.clients:
            await client.abort()
        await self.end()
        logging.getLogger().removeHandler(self.faults)
        assert self.manager.broadcasts.accounts.check(self.manager.records, recount=True) == []
        assert self.manager.broadcasts.accounts.violations == 0
        assert not self.manager.connections
        assert not any(self.manager.index.sizes().values()), self.manager.index.sizes()
        assert len(self.manager.subscription_manager) == 0
        assert len(self.manager.subscription_manager.filters) == 0
        assert self.manager.limits.total == 0
        assert not self.manager.limits.by_user
        assert not self.manager.limits.by_role
        assert self.manager.hub.open_count == 0
        assert len(self.service.admission) == 0

    # -- clients

    async def connect(self, token: str | None = None, **how: Any) -> WardClient:
        """A client of the ``websockets`` library that brings its token in ``Authorization``."""
        headers = how.pop("headers", {})
        if token is not None:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        client = await WardClient.open(self.port, headers=headers, **how)
        self.clients.append(client)
        return client

    async def enter(self, user: str = "u1", role: str = "doctor", *topics: str, **claims: Any) -> WardClient:
        """A client that is in, has these subscriptions, and has heard so."""
        client = await self.connect(token_of(user, role, **claims))
        assert (await client.receive())["type"] == "connected"
        for topic in topics:
            assert (await client.ask("subscribe", topic=topic))["type"] == "subscription_confirmed"
        return client

    async def raw(self, token: str | None = None, **how: Any) -> RawSocket:
        """A bare socket on which the handshake is done."""
        socket = await RawSocket.open(self.port, token, **how)
        self.clients.append(socket)
        return socket

    async def dial(self, **how: Any) -> RawSocket:
        """A bare TCP connection, on which nothing has been said."""
        socket = await RawSocket.dial(self.port, **how)
        self.clients.append(socket)
        return socket

    # -- HTTP

    async def http(
        self, method: str, target: str, body: Any = None, *, token: str | None = None, **how: Any
    ) -> Answer:
        answer = await request(self.port, method, target, body, token=token, **how)
        check_answer(method, target, answer.status, answer.headers, answer.body)
        return answer

    async def publish(self, door: str, message: Any, **claims: Any) -> dict[str, Any]:
        """Broadcast over REST with every right; returns the report."""
        token = token_of("backend", "service", **{"scope": ALL_SCOPES, **claims})
        answer = await self.http("POST", f"/ws/broadcast/{door}", message, token=token)
        assert answer.status == 200, answer
        return answer.json["data"]

    async def metrics(self) -> dict[str, Any]:
        answer = await self.http("GET", "/ws/metrics", token=token_of("ops", "admin", scope="metrics:read"))
        assert answer.status == 200, answer
        return answer.json["data"]


async def until(
    condition: Callable[[], Any], what: str = "the condition", patience: float = PATIENCE
) -> None:
    """Let the loop run until something is so; fails when it does not come about."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.005)


StartServer = Callable[..., Awaitable[LiveServer]]
"""What the fixture ``start_server`` gives."""
