"""A server without sockets that speaks the protocol: it lets clients in, confirms, and answers pings.

``FakeServer`` is a ``Connector``. Each connection that is opened is a ``FakeSocket`` in ``sockets``, which
remembers what the client sent and takes what a test wants to say: ``say`` for one message,
``publish`` for a published one, ``end`` for the end. What a command is answered with can be replaced:
``server.answers["subscribe"] = lambda socket, command: {...}`` (None: no answer). What the next
attempts to connect come to stands in ``refusals``: an exception, or None for a connection.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from wsserver.client.transport import Address, Closed

Members = dict[str, Any]
Answer = Callable[["FakeSocket", Members], Members | None]


class FakeSocket:
    """One connection, the client's end of which is a ``Transport``."""

    protocol = "wsserver.v1.json"

    def __init__(self, server: "FakeServer") -> None:
        self.server = server
        self.sent: list[Members] = []
        self.closed_with: int | None = None
        self.aborted = False
        self.reads = 0
        self.holds_back = asyncio.Event()
        self.holds_back.set()
        """Cleared: the client cannot send."""
        self._frames: deque[str | bytes | Closed] = deque()
        self._arrived = asyncio.Event()

    # -- what a test does

    def say(self, **members: Any) -> None:
        self.say_frame(json.dumps(members))

    def say_frame(self, frame: str | bytes | Closed) -> None:
        self._frames.append(frame)
        self._arrived.set()

    def publish(
        self, seq: int, *, log: str = "d", topic: str = "patient:1", message_id: str | None = None
    ) -> None:
        meta = {
            "id": message_id or f"m_{log}{seq}", "topic": topic, "log": log, "seq": seq,
            "ts": "2026-01-01T00:00:00.000Z",
        }  # fmt: skip
        self.say_frame(json.dumps({"_meta": meta, "n": seq}))

    def end(self, code: int = 1006, reason: str = "") -> None:
        self.say_frame(Closed(code, reason, was_clean=code != 1006))

    def said(self, kind: str) -> list[Members]:
        """What the client has sent of one kind."""
        return [command for command in self.sent if command["type"] == kind]

    # -- Transport

    async def send(self, frame: str | bytes) -> None:
        await self.holds_back.wait()
        if self.closed_with is not None or self.aborted:
            raise Closed(1006)
        assert isinstance(frame, str)
        command = json.loads(frame)
        self.sent.append(command)
        answer = self.server.answers.get(command["type"])
        if answer is not None and (members := answer(self, command)) is not None:
            if "request_id" in command:
                members = {"request_id": command["request_id"], **members}
            self.say(**members)

    async def receive(self) -> str | bytes:
        while not self._frames:
            self._arrived.clear()
            await self._arrived.wait()
        if isinstance(self._frames[0], Closed):
            raise self._frames[0]
        self.reads += 1
        return self._frames.popleft()

    async def close(self, code: int, reason: str) -> None:
        if self.closed_with is None:
            self.closed_with = code
            self.end()

    def abort(self) -> None:
        self.aborted = True
        self._frames.clear()
        self.end()


class FakeServer:
    """Lets everybody in, and knows the session that it gave out last."""

    def __init__(self) -> None:
        self.sockets: list[FakeSocket] = []
        self.addresses: list[Address] = []
        self.refusals: deque[Exception | None] = deque()
        self.cursor: dict[str, int] = {"d": 0, "v": 0}
        self.resumes = True
        self.restored: list[Members] = []
        """The subscriptions that a resumed session has."""
        self.session: Members = {}
        """More members of ``session``, such as ``gaps`` and ``replayed``."""
        self.answers: dict[str, Answer] = {
            "connect": FakeServer.connected,
            "subscribe": lambda _, command: {
                "type": "subscription_confirmed", **FakeServer.view(command), "replaced": False,
            },
            "unsubscribe": lambda _, command: {"type": "unsubscribed", "existed": True},
            "ping": lambda socket, command: {"type": "pong", "t": command["t"], "cursor": self.cursor},
            "auth": lambda _, command: {"type": "authenticated", "expires_in": 3600.0},
            "refresh": lambda _, command: {"type": "refreshed", "count": 1, "expires_in": 3600.0},
        }  # fmt: skip

    @property
    def last(self) -> FakeSocket:
        return self.sockets[-1]

    async def open(self, address: Address) -> FakeSocket:
        self.addresses.append(address)
        if self.refusals and (refusal := self.refusals.popleft()) is not None:
            raise refusal
        self.sockets.append(FakeSocket(self))
        return self.last

    @staticmethod
    def view(command: Members) -> Members:
        """A subscription as the server shows it: filters in a normal form of their own."""
        return {
            "subscription_id": f"s_{command['subscription_type']}_{command['target_id']}",
            "subscription_type": command["subscription_type"],
            "target_id": command["target_id"],
            "filters": {"normal": command["filters"]} if command.get("filters") else {},
        }

    @staticmethod
    def connected(socket: FakeSocket, command: Members) -> Members:
        server = socket.server
        shown = command.get("session")
        resumed = server.resumes and shown is not None
        topics = [topic.partition(":")[::2] for topic in command.get("subscriptions", [])]
        made = [
            FakeServer.view({"subscription_type": a, "target_id": b} if a != "type" else
                            {"subscription_type": b, "target_id": "*"})
            for a, b in topics
        ]  # fmt: skip
        held = {one["subscription_id"]: one for one in [*made, *(server.restored if resumed else [])]}
        answer: Members = {
            "type": "connected", "connection_id": f"c_{len(server.sockets)}",
            "session_id": f"secret{len(server.sockets)}", "user_id": "u1", "role": "doctor",
            "protocol": "wsserver.v1.json", "cursor": dict(server.cursor),
            "subscriptions": list(held.values()), "errors": [],
        }  # fmt: skip
        if shown is not None:
            answer["session"] = {"resumed": resumed, "replayed": 0, "gaps": [], **server.session}
        return answer
