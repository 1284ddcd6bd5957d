"""A TCP proxy that treats connections badly: late, slow, cut in the middle, reset, half closed, swallowed.

What happens to a connection is its ``Fate``; ``Fates`` draws one for each by a seed, so that a
campaign can be run again. Bytes are counted, not packets: a cut falls within headers, frames and
handshakes alike.
"""

import asyncio
import contextlib
import enum
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

CHUNK = 1 << 16
NEVER = 1 << 62


class Ending(enum.Enum):
    """What comes after the last byte that is let through."""

    CLOSE = enum.auto()
    """Both ends see the end of the stream."""
    RESET = enum.auto()
    """Both ends see RST; what they had not read yet is gone."""
    HALF_CLOSE = enum.auto()
    """The reader of this direction sees the end of the stream; the other direction goes on."""
    BLACKHOLE = enum.auto()
    """Neither end sees anything: nothing passes any more in either direction."""


class Way(enum.Enum):
    """A direction."""

    TO_SERVER = enum.auto()
    TO_CLIENT = enum.auto()


@dataclass(frozen=True)
class Fate:
    """What befalls one connection: ``ending`` once ``after`` bytes have gone ``way``."""

    ending: Ending = Ending.CLOSE
    way: Way = Way.TO_CLIENT
    after: int = NEVER
    delay: float = 0.0
    """Seconds by which every piece is late."""
    rate: float = 0.0
    """Bytes per second in each direction; 0 is as fast as it goes."""


KIND = Fate()
"""Nothing happens."""


class Fates:
    """Draws fates by a seed: cuts of all kinds within so many bytes, some of them late or slow."""

    def __init__(self, seed: int, most: int, *, endings: tuple[Ending, ...] = tuple(Ending)) -> None:
        self._dice = random.Random(seed)
        self._most = most
        self._endings = endings
        self.drawn: list[Fate] = []

    def __call__(self) -> Fate:
        dice = self._dice
        way = dice.choice(tuple(Way))
        # A client says little: cut by the same bound, most of its connections would never be.
        most = self._most if way is Way.TO_CLIENT else max(1, self._most // 4)
        fate = Fate(
            dice.choice(self._endings),
            way,
            dice.randrange(most),
            dice.choice((0.0, 0.0, 0.0, 0.002)),
            dice.choice((0.0, 0.0, 0.0, 200_000.0)),
        )
        self.drawn.append(fate)
        return fate


class ChaosProxy:
    """Passes TCP on to a port of this machine, each connection by the fate that ``fate()`` gives it."""

    def __init__(self, port: int, fate: Callable[[], Fate] = lambda: KIND) -> None:
        self.target = port
        """Where new connections go; may be changed."""
        self.fate = fate
        self.port = 0
        self.met: dict[Ending, int] = dict.fromkeys(Ending, 0)
        """How many connections have met which end."""
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        listener = socket.socket()
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        self._listener = listener
        self.port = listener.getsockname()[1]
        self._spawn(self._accept())
        return self

    async def __aexit__(self, *fault: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()
        for link in list(self._links):
            link.close()

    @property
    def open_count(self) -> int:
        """Connections of which at least one end is not closed."""
        return len(self._links)

    def swallow(self) -> None:
        """Nothing passes any more on the connections there are, and none of them ends."""
        for link in self._links:
            link.swallow()

    def end_all(self, ending: Ending = Ending.CLOSE) -> None:
        """End every connection there is now."""
        for link in list(self._links):
            link.end(ending, Way.TO_CLIENT)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._listener)
            client.setblocking(False)
            self._spawn(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        server = socket.socket()
        server.setblocking(False)
        link = _Link(self, client, server, self.fate())
        self._links.add(link)
        try:
            await asyncio.get_running_loop().sock_connect(server, ("127.0.0.1", self.target))
        except OSError:
            link.end(Ending.RESET, Way.TO_CLIENT)
            return
        except asyncio.CancelledError:
            link.close()
            raise
        link.start()

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Link:
    """Two sockets and the two pumps between them."""

    def __init__(self, proxy: ChaosProxy, client: socket.socket, server: socket.socket, fate: Fate) -> None:
        self._proxy = proxy
        self._sockets = {Way.TO_CLIENT: client, Way.TO_SERVER: server}
        self._fate = fate
        self._pumps: dict[Way, asyncio.Task[None]] = {}
        self._closed = False

    def start(self) -> None:
        if self._closed:
            # Ended from outside while it was being connected.
            return
        for one in self._sockets.values():
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for way in Way:
            self._pumps[way] = self._proxy._spawn(self._pump(way))

    def end(self, ending: Ending, way: Way) -> None:
        """End as told, whoever calls: one of the pumps, or somebody outside."""
        self._proxy.met[ending] += 1
        if ending is Ending.BLACKHOLE:
            self.swallow()
        elif ending is Ending.HALF_CLOSE:
            self._finish(way)
        else:
            if ending is Ending.RESET:
                for one in self._sockets.values():
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()

    def swallow(self) -> None:
        self._stop()

    def close(self) -> None:
        self._closed = True
        self._stop()
        for one in self._sockets.values():
            # Behind the readers of the pumps that were just stopped: they let go in the loop's next turn.
            asyncio.get_running_loop().call_soon(one.close)
        self._proxy._links.discard(self)

    def _stop(self) -> None:
        for pump in self._pumps.values():
            if pump is not asyncio.current_task():
                pump.cancel()

    def _finish(self, way: Way) -> None:
        """The reader of this direction sees the end of the stream."""
        with contextlib.suppress(OSError):
            self._sockets[way].shutdown(socket.SHUT_WR)

    async def _pump(self, way: Way) -> None:
        loop = asyncio.get_running_loop()
        sink = self._sockets[way]
        source = self._sockets[Way.TO_SERVER if way is Way.TO_CLIENT else Way.TO_CLIENT]
        fate = self._fate
        left = fate.after if fate.way is way else NEVER
        try:
            if left == 0:
                self.end(fate.ending, way)
                return
            while data := await loop.sock_recv(source, CHUNK):
                piece = data[:left]
                if fate.delay:
                    await asyncio.sleep(fate.delay)
                if fate.rate:
                    await asyncio.sleep(len(piece) / fate.rate)
                await loop.sock_sendall(sink, piece)
                left -= len(piece)
                if left == 0:
                    self.end(fate.ending, way)
                    return
        except OSError:
            if not self._closed:
                self.end(Ending.RESET, way)
            return
        self._finish(way)
        other = self._pumps[Way.TO_SERVER if way is Way.TO_CLIENT else Way.TO_CLIENT]
        if other.done() and not self._closed:
            self.close()
