"""A client as a ward would run it: the ``websockets`` library, and JSON or binary frames."""

import asyncio
import itertools
import json
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import websockets
from binary_frames import BinaryFrame, read_frame
from documented import check_message
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket

PATIENCE = 10.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WardClient:
    """Sends commands, receives messages, and knows the difference between an answer and the rest."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.latest: BinaryFrame | None = None
        """The last frame of a client that speaks the binary protocol."""
        self.waiting: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)

    @classmethod
    async def open(
        cls,
        port: int,
        *,
        headers: dict[str, str] | None = None,
        protocols: list[str] | None = None,
        query: str = "",
        tls: ssl.SSLContext | None = None,
        path: str = "/ws/connect",
        **options: Any,
    ) -> Self:
        scheme = "ws" if tls is None else "wss"
        socket = await open_websocket(
            f"{scheme}://127.0.0.1:{port}{path}{query}",
            additional_headers=headers,
            subprotocols=protocols,
            ssl=tls,
            ping_interval=None,
            compression=options.pop("compression", None),
            max_size=None,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            proxy=None,
            **options,
        )
        return cls(socket)

    async def send(self, kind: str, **members: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **members}))

    async def send_text(self, text: str | bytes) -> None:
        await self.socket.send(text, text=True)

    async def send_bytes(self, data: bytes) -> None:
        await self.socket.send(data, text=False)

    async def receive(self) -> dict[str, Any]:
        """The next message, of whatever kind."""
        if self.waiting:
            return self.waiting.pop(0)
        return await self._read()

    async def ask(self, kind: str, **members: Any) -> dict[str, Any]:
        """Send a command and return its answer; what came in between waits for ``receive``."""
        request_id = f"r{next(self._numbers)}"
        await self.send(kind, request_id=request_id, **members)
        while (message := await self._read()).get("request_id") != request_id:
            self.waiting.append(message)
        return message

    async def everything(self) -> list[dict[str, Any]]:
        """All that the server has for this client up to now: a pong comes behind whatever was queued."""
        assert (await self.ask("ping"))["type"] == "pong"
        waiting, self.waiting = self.waiting, []
        return waiting

    async def published(self) -> list[dict[str, Any]]:
        """The published messages among ``everything``."""
        return [message for message in await self.everything() if "_meta" in message]

    async def closing(self) -> tuple[int, str]:
        """Read on until the server closes; returns the code and the reason."""
        try:
            while True:
                self.waiting.append(await self._read())
        except websockets.ConnectionClosed:
            return self.socket.close_code or 0, self.socket.close_reason or ""

    async def refused(self) -> tuple[dict[str, Any], int]:
        """The error that the server sends last, and the code with which it closes then."""
        code, _ = await self.closing()
        assert self.waiting, f"closed with {code} and no error"
        return self.waiting[-1], code

    async def close(self) -> None:
        await self.socket.close()

    async def abort(self) -> None:
        if self.socket.transport is not None:
            self.socket.transport.abort()
        await self.socket.wait_closed()

    @property
    def path(self) -> str:
        """Where it is connected."""
        return "" if self.socket.request is None else self.socket.request.path

    async def _read(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            data = await self.socket.recv()
        # A server says everything in the protocol that was chosen.
        if self.socket.subprotocol != "wsserver.v1.bin":
            assert isinstance(data, str)
            message = json.loads(data)
            assert isinstance(message, dict)
            if not self.path.startswith("/ws/echo"):
                check_message(message, self.path)
            return message
        assert isinstance(data, bytes)
        self.latest = frame = read_frame(data)
        if frame.topic is not None:
            # What JSON has in _meta, the header has.
            moment = EPOCH + timedelta(microseconds=frame.time)
            frame.body["_meta"] |= {
                "topic": frame.topic,
                "seq": frame.seq,
                "ts": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            }
        check_message(frame.body)
        return frame.body
