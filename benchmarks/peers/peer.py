"""A peer: what it needs, how it is started, and how its clients speak."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.clients.dialect import Dialect
from benchmarks.peers.environments import Environment, NodeEnvironment, OwnPython, PythonEnvironment, node
from benchmarks.peers.process import ByLines, PeerProcess, Publisher, start
from benchmarks.servers.real_server import SUBSCRIBE

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Speech:
    """What the clients of a peer say, and to which path they connect."""

    path: str = "/ws/connect"
    subscribe: str = SUBSCRIBE
    dialect: Dialect | None = None
    """None where the peer greets and confirms as this project's server does."""


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that has started."""

    process: PeerProcess
    port: int
    publisher: Publisher

    async def end(self) -> None:
        """End it."""
        await self.publisher.close()
        await self.process.end()


class Peer(Protocol):
    """Something that one could use instead."""

    @property
    def name(self) -> str:
        """As it stands in the table."""

    @property
    def environment(self) -> Environment:
        """What it needs."""

    @property
    def speech(self) -> Speech:
        """What its clients say."""

    async def start(self) -> Running:
        """Start it on the processors of this process. Raises PeerDied."""


@dataclass(frozen=True, slots=True)
class PythonPeer:
    """A server of this directory, run by the interpreter of its environment."""

    name: str
    module: str
    environment: OwnPython | PythonEnvironment
    arguments: tuple[str, ...] = ()
    speech: Speech = field(default_factory=Speech)

    async def start(self) -> Running:
        """Start it on the processors of this process. Raises PeerDied."""
        module = f"benchmarks.peers.{self.module}"
        return await _told_by_lines([str(self.environment.python), "-m", module, *self.arguments])


@dataclass(frozen=True, slots=True)
class NodePeer:
    """A server of this directory, run by Node.js with the packages of its environment."""

    name: str
    script: str
    environment: NodeEnvironment
    speech: Speech = field(default_factory=Speech)

    async def start(self) -> Running:
        """Start it on the processors of this process. Raises PeerDied."""
        return await _told_by_lines([str(node()), str(_HERE / self.script), str(self.environment.folder)])


async def _told_by_lines(command: Sequence[str]) -> Running:
    process = await start(command)
    told = ByLines(process.process)
    try:
        return Running(process, await told.port(), told)
    except BaseException:
        await process.end()
        raise
