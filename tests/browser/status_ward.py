"""A real server with operators and a crowd of clients, for the status page: most keep up, some do not.

``await start(crowd)``; then the page is at ``url``. The crowd follows its patients with filters of several
kinds, and vitals are published all the time. ``await join(user, ...)`` adds a client that a test can talk to.
"""

import asyncio
import contextlib
import socket
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, web
from operator_accounts import ACCOUNTS

from wsserver.access.tokens import mint_token
from wsserver.connection_manager import ConnectionManager
from wsserver.service import Service
from wsserver.settings import (
    AuthSettings,
    BackpressureSettings,
    ConnectionSettings,
    OperatorsSettings,
    Settings,
)
from wsserver.web.app import setup

SECRET = "a-secret-of-the-browser-tests-that-is-long-enough"
SETTINGS = Settings(
    auth=AuthSettings(secret=SECRET),
    operators=OperatorsSettings(accounts=ACCOUNTS),
    connection=ConnectionSettings(
        max_connections=2_500,
        max_connections_per_role={"doctor": 2_500, "nurse": 2_500},
        heartbeat_interval=5.0,
    ),
    # The sleepers are slow at once, and stay.
    backpressure=BackpressureSettings(
        max_queue_bytes=64 * 1024 * 1024, slow_share=0.002, slow_timeout=600.0, send_buffer=16_384
    ),
)
FILTERS: tuple[dict[str, Any], ...] = ({}, {"heart_rate": {"$gt": 90}}, {"severity": "high"})
PATIENTS = 40
SLOW = 3
REFUSED = 4
WIDE = "x" * 20_000


class StatusWard:
    """The server and its crowd in the test's own event loop."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.manager = ConnectionManager(settings)
        self.app = web.Application()
        self.service: Service = setup(self.app, settings, manager=self.manager, demo=True)
        self.port = 0
        self._auth = settings.auth
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.1)
        self._tasks: list[asyncio.Task[None]] = []
        self._sleepers: list[socket.socket] = []
        self._joined: list[ClientWebSocketResponse] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ws/status"

    async def start(self, crowd: int) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._clients = ClientSession(connector=TCPConnector(limit=0))
        for first in range(0, crowd, 100):
            await asyncio.gather(*(self._arrive(number) for number in range(first, min(first + 100, crowd))))
        for number in range(SLOW):
            await self._fall_asleep(f"sleepy{number}")
        for _ in range(REFUSED):
            await self._be_refused()
        self._tasks.append(asyncio.create_task(self._publish()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sleeper in self._sleepers:
            sleeper.close()
        await asyncio.gather(*(client.close() for client in self._joined))
        await self._clients.close()
        await self._runner.cleanup()

    def token(self, user: str, role: str = "doctor", **claims: Any) -> str:
        return mint_token(
            self._auth, self.service.clock, user_id=user, role=role, patients="*", lifetime=3600, **claims
        )

    async def join(
        self, user: str, role: str = "doctor", *topics: str, agent: str = "", filters: Any = None
    ) -> ClientWebSocketResponse:
        """A client that has subscribed; whoever asked for it reads from it."""
        headers = {
            "Authorization": f"Bearer {self.token(user, role)}",
            **({"User-Agent": agent} if agent else {}),
        }
        client = await self._clients.ws_connect(f"http://127.0.0.1:{self.port}/ws/connect", headers=headers)
        self._joined.append(client)
        told = await client.receive_json()
        assert told["type"] == "connected", told
        for topic in topics:
            await client.send_json({"type": "subscribe", "topic": topic, "filters": filters or {}})
        return client

    async def _arrive(self, number: int) -> None:
        role = "doctor" if number % 3 else "nurse"
        topic = f"patient:{number % PATIENTS}"
        client = await self.join(f"staff{number}", role, topic, filters=FILTERS[number % len(FILTERS)])
        self._tasks.append(asyncio.create_task(self._read(client)))

    @staticmethod
    async def _read(client: ClientWebSocketResponse) -> None:
        async for _ in client:
            pass

    async def _fall_asleep(self, user: str) -> None:
        """Somebody with a small buffer who reads nothing after the handshake."""
        sleeper = socket.socket()
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sleeper.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sleeper, ("127.0.0.1", self.port))
        handshake = (
            f"GET /ws/connect?subscriptions=type:wide HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Authorization: Bearer {self.token(user)}\r\n\r\n"
        )
        await loop.sock_sendall(sleeper, handshake.encode())
        self._sleepers.append(sleeper)

    async def _be_refused(self) -> None:
        headers = {"Authorization": "Bearer nobody.knows.me"}
        client = await self._clients.ws_connect(f"http://127.0.0.1:{self.port}/ws/connect", headers=headers)
        with contextlib.suppress(TypeError):
            await client.receive_json()
        await client.close()

    async def _publish(self) -> None:
        beat = 0
        while True:
            patient = beat % PATIENTS
            self.manager.broadcast_to_patient(patient, {"type": "vitals", "heart_rate": 60 + beat % 60})
            if beat % 5 == 0:
                self.manager.broadcast_to_type("wide", {"type": "wide", "text": WIDE})
            beat += 1
            await asyncio.sleep(0.02)
