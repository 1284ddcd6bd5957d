"""A real server for the examples, and a client for them."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import websockets
from aiohttp import web
from websockets.asyncio.client import ClientConnection

from wsserver.settings import AuthSettings

SECRET = "at least 32 bytes, from your vault ..."
AUTH = AuthSettings(secret=SECRET)
SCOPES = "broadcast:patient broadcast:type broadcast:all metrics:read admin:read admin:write audit:read"


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[int]:
    """Run an application on a free port, which is given back."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def token(user: str = "dr1", role: str = "doctor", **changed: Any) -> str:
    """A token; a claim of None is left out."""
    now = int(time.time())
    claims = {"sub": user, "role": role, "iat": now, "exp": now + 3600, "patients": ["123", "124"], **changed}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, SECRET, "HS256")


@asynccontextmanager
async def client(port: int, bearer: str | None = None) -> AsyncIterator[ClientConnection]:
    """A WebSocket of the ``websockets`` library, closed at the end."""
    headers = None if bearer is None else {"Authorization": f"Bearer {bearer}"}
    async with websockets.connect(
        f"ws://127.0.0.1:{port}/ws/connect", additional_headers=headers, compression=None, proxy=None
    ) as socket:
        yield socket


async def ask(socket: ClientConnection, command: dict[str, Any]) -> dict[str, Any]:
    """Send a command and return the next message."""
    await socket.send(json.dumps(command))
    return json.loads(await socket.recv())


CHANGING = frozenset(
    {
        *("connection_id", "session_id", "subscription_id", "message_id", "id", "log", "seq", "cursor"),
        *("ts", "server_time", "expires_in", "took_ms", "connected_at", "ended_at"),
        *("trace_id", "armed_at"),
        *("sent", "bytes_sent", "received", "bytes_received"),
    }
)


def stable(value: Any) -> Any:
    """The value with everything that differs from run to run replaced by the name of its type."""
    if isinstance(value, dict):
        return {
            name: type(member).__name__ if name in CHANGING else stable(member)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [stable(member) for member in value]
    return value
