"""Centrifugo with its JSON protocol over WebSocket, told by its HTTP API what to publish."""

import asyncio
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.clients.dialect import Dialect
from benchmarks.peers.environments import Program
from benchmarks.peers.peer import Running, Speech
from benchmarks.peers.process import PeerDied, free_port, listening, start

_CHANNEL = "ecg"
_SPEECH = Speech(
    path="/connection/websocket",
    subscribe=f'{{"id":2,"subscribe":{{"channel":"{_CHANNEL}"}}}}',
    dialect=Dialect(
        greeting='"connect":{',
        confirmation='"subscribe":{',
        published='{"push":{',
        hello='{"id":1,"connect":{}}',
        # What is due together goes out in one frame.
        in_lines=True,
    ),
)


def _configuration(port: int) -> dict[str, object]:
    return {
        "http_server": {"address": "127.0.0.1", "port": port},
        "http_api": {"insecure": True},
        "client": {
            # Whoever comes may subscribe: it is not its tokens that are measured.
            "allow_anonymous_connect_without_token": True,
            # What it does by itself within a run would be measured as well.
            # The first ones are spread over the whole interval.
            "ping_interval": "8760h",
            "presence_update_interval": "24h",
        },
        "channel": {
            "without_namespace": {
                "allow_subscribe_for_client": True,
                "allow_subscribe_for_anonymous": True,
            }
        },
        "log": {"level": "error"},
        "usage_stats": {"disabled": True},
    }


class _HttpApi:
    """A request per message, or one batch for those that are sent at once; one connection."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api"
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=240))

    async def publish(self, template: bytes, first: int, count: int, joined: int) -> None:
        """Publish, and wait for the answer to each request. Raises PeerDied."""
        for number in range(first, first + count, joined):
            published = [
                b'{"channel":"%b","data":%b}' % (_CHANNEL.encode(), template.replace(b"%d", b"%d" % each))
                for each in range(number, min(number + joined, first + count))
            ]
            if joined == 1:
                await self._ask("publish", published[0])
            else:
                commands = b",".join(b'{"publish":%b}' % one for one in published)
                await self._ask("batch", b'{"commands":[%b]}' % commands)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._session.close()

    async def _ask(self, method: str, body: bytes) -> None:
        kind = {"Content-Type": "application/json"}
        try:
            async with self._session.post(f"{self._url}/{method}", data=body, headers=kind) as answer:
                said = await answer.read()
                if answer.status != 200 or b'"error"' in said:
                    raise PeerDied(f"it answered {answer.status}: {said[:200]!r}")
        except aiohttp.ServerDisconnectedError:
            # It gives up an answer that took it longer than some seconds; what counts is what arrives.
            return
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise PeerDied(f"its API does not answer: {fault}") from None


@dataclass(frozen=True, slots=True)
class Centrifugo:
    """The server of that name, where it is on PATH, on one processor."""

    name: str = "Centrifugo"
    environment: Program = field(default_factory=lambda: Program("centrifugo", ("version",)))
    speech: Speech = _SPEECH

    async def start(self) -> Running:
        """Start it on the processors of this process. Raises PeerDied."""
        port = free_port()
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "config.json"
            await asyncio.to_thread(path.write_text, json.dumps(_configuration(port)))
            process = await start(
                [self.environment.name, "--config", str(path)], {"GOMAXPROCS": "1"}, talks=False
            )
            try:
                await listening(process, port)
            except BaseException:
                await process.end()
                raise
        return Running(process, port, _HttpApi(port))
