"""nats-server with its protocol over WebSocket, told over a plain TCP connection what to publish."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.clients.dialect import Dialect
from benchmarks.peers.environments import Program
from benchmarks.peers.peer import Running, Speech
from benchmarks.peers.process import PeerDied, free_port, listening, start

_SUBJECT = "ecg"
_GREETING = b'CONNECT {"verbose":false,"pedantic":false}\r\n'
_ANSWER = 240.0
_SPEECH = Speech(
    path="/",
    subscribe=f"{_GREETING.decode()}SUB {_SUBJECT} 1\r\nPING\r\n",
    # A frame holds what is due, a head and a text for each message, each a line.
    dialect=Dialect(greeting="INFO {", confirmation="PONG", published='{"_meta":', in_lines=True),
)


def _configuration(port: int, websocket_port: int) -> str:
    # Pings within a run would be measured as well.
    return f"""
        listen: "127.0.0.1:{port}"
        max_connections: 100000
        ping_interval: "24h"
        websocket {{ listen: "127.0.0.1:{websocket_port}", no_tls: true, compression: false }}
    """


class _Connection:
    """A publisher: a PUB for each message, and a PING whose answer says that they are through."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def publish(self, template: bytes, first: int, count: int, joined: int) -> None:
        """Publish; what is sent at once is written at once. Raises PeerDied."""
        for number in range(first, first + count, joined):
            numbers = range(number, min(number + joined, first + count))
            texts = [template.replace(b"%d", b"%d" % each) for each in numbers]
            published = (b"PUB %b %d\r\n%b\r\n" % (_SUBJECT.encode(), len(text), text) for text in texts)
            self._writer.write(b"".join(published))
            await self.passed()

    async def passed(self) -> None:
        """Wait until all that was written has been taken. Raises PeerDied."""
        self._writer.write(b"PING\r\n")
        try:
            async with asyncio.timeout(_ANSWER):
                while (line := await self._reader.readline()) != b"PONG\r\n":
                    if not line or line.startswith(b"-ERR"):
                        raise PeerDied(f"it said {line!r}")
        except (TimeoutError, OSError) as fault:
            raise PeerDied(f"it does not answer: {fault}") from None

    async def close(self) -> None:
        """Let go of the connection."""
        self._writer.close()


@dataclass(frozen=True, slots=True)
class Nats:
    """The server of that name, where it is on PATH, on one processor."""

    name: str = "nats-server"
    environment: Program = field(default_factory=lambda: Program("nats-server", ("--version",)))
    speech: Speech = _SPEECH

    async def start(self) -> Running:
        """Start it on the processors of this process. Raises PeerDied."""
        port, websocket_port = free_port(), free_port()
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "nats.conf"
            await asyncio.to_thread(path.write_text, _configuration(port, websocket_port))
            # Its log goes to standard error: of no interest unless it ends.
            command = [self.environment.name, "--config", str(path), "--log", f"{directory}/log"]
            process = await start(command, {"GOMAXPROCS": "1"}, talks=False)
            try:
                await listening(process, port)
                await listening(process, websocket_port)
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                publisher = _Connection(reader, writer)
                writer.write(_GREETING)
                await publisher.passed()
            except OSError as fault:
                await process.end()
                raise PeerDied(f"it cannot be told what to publish: {fault}") from None
            except BaseException:
                await process.end()
                raise
        return Running(process, websocket_port, publisher)
