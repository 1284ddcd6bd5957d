"""Who competes, and who does not for want of what it needs."""

from collections.abc import Sequence
from typing import Final

from benchmarks.clients.dialect import Dialect
from benchmarks.peers.centrifugo import Centrifugo
from benchmarks.peers.environments import NodeEnvironment, NotInstalled, OwnPython, PythonEnvironment
from benchmarks.peers.nats import Nats
from benchmarks.peers.peer import NodePeer, Peer, PythonPeer, Speech
from benchmarks.progress import say

_AIOHTTP = OwnPython(("aiohttp", "uvloop"))

_ENGINE_IO: Final = Speech(
    path="/socket.io/?EIO=4&transport=websocket",
    subscribe="40",
    dialect=Dialect(greeting='0{"sid":', confirmation='40{"sid":', published='42["message",'),
)

PEERS: Final[Sequence[Peer]] = (
    PythonPeer("aiohttp, await send_str", "aiohttp_server", _AIOHTTP, ("loop",)),
    PythonPeer("aiohttp, gather", "aiohttp_server", _AIOHTTP, ("gather",)),
    PythonPeer("websockets, broadcast", "websockets_server", PythonEnvironment("websockets")),
    PythonPeer("picows", "picows_server", PythonEnvironment("picows")),
    PythonPeer("uvicorn + Starlette", "starlette_server", PythonEnvironment("starlette")),
    PythonPeer("python-socketio", "socketio_server", PythonEnvironment("socketio"), speech=_ENGINE_IO),
    NodePeer("Node.js ws", "ws_server.mjs", NodeEnvironment("ws")),
    PythonPeer("socketify (uWebSockets)", "socketify_server", PythonEnvironment("socketify")),
    Centrifugo(),
    Nats(),
)


def usable(peers: Sequence[Peer], *, install: bool) -> tuple[list[Peer], dict[str, str]]:
    """Which can be started, and why the others cannot; ``install`` is for what is missing."""
    found: list[Peer] = []
    skipped: dict[str, str] = {}
    for peer in peers:
        reason = peer.environment.missing()
        if reason is not None and install:
            say(f"installing what {peer.name} needs")
            try:
                peer.environment.install()
                reason = None
            except NotInstalled as fault:
                reason = str(fault)
        if reason is None:
            found.append(peer)
        else:
            skipped[peer.name] = reason
            say(f"{peer.name} is skipped: {reason}")
    return found, skipped
