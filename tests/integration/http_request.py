"""HTTP without a library: what is written here is what the server gets, dots and percent signs included."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

PATIENCE = 10.0


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error of the envelope, which must be one."""
        document = self.json
        assert document["status"] == "error", document
        assert set(document) == {"status", "error"}
        return document["error"]


async def request(
    port: int,
    method: str,
    target: str,
    body: Any = None,
    *,
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Send one request and read the answer; ``body`` is bytes, or anything that becomes JSON."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = {"Host": f"127.0.0.1:{port}", "Connection": "close", **(headers or {})}
    if token is not None:
        lines["Authorization"] = f"Bearer {token}"
    if raw and "Transfer-Encoding" not in lines:
        lines.setdefault("Content-Length", str(len(raw)))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in lines.items()
    )
    return await exchange(port, head.encode() + b"\r\n" + raw)


async def exchange(port: int, wire: bytes) -> Answer:
    """Send bytes as they are and read one answer until the server closes."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        try:
            writer.write(wire)
            head = await reader.readuntil(b"\r\n\r\n")
            first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)
            }
            length = "0" if wire.startswith(b"HEAD ") else headers.get("content-length")
            body = await reader.read() if length is None else await reader.readexactly(int(length))
            return Answer(int(first.split(" ")[1]), headers, body)
        finally:
            writer.transport.abort()
