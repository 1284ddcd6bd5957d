"""A small server that speaks the protocol to the demonstration's page, and misbehaves on request.

It serves the page's own files and the client's, streams the real DemoWard to whoever subscribed, and records
what it was sent (``frames``). It keeps no sessions: whoever comes back is new. To make it misbehave:
``await publish(message, topic)`` for a message with the next number, ``await tell(frame)`` for any frame,
``await close_all(code)``, other ``patients`` (of whom nothing streams), another
``user`` and ``role``, other members of ``connected`` in ``welcome``,
``muted = True`` to stop the stream, ``refuse_with = code`` (and ``refusal`` for the error before it) to close
newcomers after their first frame, and ``await stop()`` then ``await start()``, which keeps the port. To teach
it another command, add a branch to ``_answer``.
"""

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import WSMsgType, web

from wsserver.clock import SystemClock
from wsserver.demo.page import HEADERS, load_page
from wsserver.demo.ward import PATIENTS, DemoWard, SimulatedPatient
from wsserver.web.client_files import CLIENT_FILES


class FakeWard:
    """Patients, page and socket in the test's own event loop."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.tokens_given = 0
        self.muted = False
        self.refuse_with: int | None = None
        self.refusal: dict[str, Any] | None = None
        self.user, self.role = "demo", "nurse"
        self.patients: list[SimulatedPatient] = list(PATIENTS)
        self.welcome: dict[str, Any] = {}
        self.port = 0
        self._sequence = 0
        self._sockets: dict[web.WebSocketResponse, set[str]] = {}
        self._transports: set[asyncio.Transport] = set()
        self._ward = DemoWard(self, SystemClock())
        self._runner: web.AppRunner | None = None
        self._stream: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application()
        for path, file in load_page().items():
            app.router.add_get(path, self._serve(file.body, file.content_type))
        for name, module in CLIENT_FILES.items():
            app.router.add_get(f"/ws/client/{name}", self._serve(module.body, module.content_type))
        app.router.add_get("/demo/config.json", self._config)
        app.router.add_get("/ws/connect", self._connect)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._stream = asyncio.create_task(self._ward.run())

    async def stop(self) -> None:
        """Go away without a word, as a killed process does."""
        if self._stream is not None:
            self._stream.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._stream
        for transport in self._transports:
            transport.abort()
        self._transports.clear()
        if self._runner is not None:
            await self._runner.cleanup()

    async def broadcast_to_patient(self, patient_id: str, message: dict[str, Any]) -> int:
        return 0 if self.muted else await self.publish(message, f"patient:{patient_id}")

    async def publish(self, message: dict[str, Any], topic: str) -> int:
        """To all who have the topic; says how many they are."""
        self._sequence += 1
        meta = {
            "id": f"m_{self._sequence}", "topic": topic, "log": "fake", "seq": self._sequence,
            "ts": "2026-01-01T00:00:00.000Z",
        }  # fmt: skip
        frame = json.dumps({"_meta": meta, **message})
        sent = 0
        for socket, topics in list(self._sockets.items()):
            if topic in topics:
                with contextlib.suppress(ConnectionError):
                    await socket.send_str(frame)
                    sent += 1
        return sent

    async def tell(self, message: dict[str, Any]) -> None:
        for socket in list(self._sockets):
            await socket.send_json(message)

    async def close_all(self, code: int, reason: str = "") -> None:
        for socket in list(self._sockets):
            await socket.close(code=code, message=reason.encode())

    @staticmethod
    def _serve(body: bytes, content_type: str) -> Any:
        async def handler(_: web.Request) -> web.Response:
            return web.Response(body=body, headers={**HEADERS, "Content-Type": content_type})

        return handler

    async def _config(self, request: web.Request) -> web.Response:
        self.tokens_given += 1
        assert request.query.get("user_id", self.user) == self.user
        patients = [{"id": patient.id, "label": patient.label} for patient in self.patients]
        return web.json_response(
            {
                "url": "/ws/connect",
                "token": f"token-{self.tokens_given}",
                "user_id": self.user,
                "role": self.role,
                "patients": patients,
            }
        )

    async def _connect(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=["wsserver.v1.json"], compress=False)
        await socket.prepare(request)
        transport = request.transport
        assert transport is not None
        self._transports.add(transport)
        try:
            async for frame in socket:
                if frame.type is not WSMsgType.TEXT:
                    break
                message = json.loads(frame.data)
                self.frames.append(message)
                await self._answer(socket, message)
        finally:
            self._sockets.pop(socket, None)
            self._transports.discard(transport)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            await socket.send_json({"type": "pong", "t": message["t"], "cursor": {}})
        elif message["type"] == "connect":
            if self.refuse_with is not None:
                if self.refusal is not None:
                    await socket.send_json(self.refusal)
                await socket.close(code=self.refuse_with)
                return
            topics = message["subscriptions"]
            parted = [topic.partition(":") for topic in topics]
            subscriptions = [
                {"subscription_id": f"s_{n}", "subscription_type": kind, "target_id": target, "filters": {}}
                for n, (kind, _, target) in enumerate(parted)
            ]
            await socket.send_json(
                {
                    "type": "connected",
                    "connection_id": "c_1",
                    "session_id": "secret",
                    "user_id": message["user_id"],
                    "role": message["role"],
                    "protocol": "wsserver.v1.json",
                    "heartbeat_interval": 30,
                    "session": {"resumed": False, "replayed": 0, "gaps": []},
                    "cursor": {"fake": self._sequence},
                    "subscriptions": subscriptions,
                    "errors": [],
                    **self.welcome,
                }
            )
            self._sockets[socket] = set(topics)
        elif message["type"] == "auth":
            await socket.send_json(
                {"type": "authenticated", "expires_in": 3600, "request_id": message["request_id"]}
            )
