"""Connections under a pulse, over fake transports and fake time."""

from house import House
from recording_transport import RecordingTransport

from wsserver_core.connection import Connection
from wsserver_core.frames import PING, PONG
from wsserver_core.pulse import Pulse

TICK, INTERVAL, TIMEOUT = 0.25, 30.0, 90.0


def masked(opcode: int, payload: bytes) -> bytes:
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


class Clinic(House):
    """Connections under a pulse, and the time."""

    def __init__(self, **settings: float) -> None:
        super().__init__()
        self.hub.now = 1000.0
        self.pulse = Pulse(self.hub, **{"interval": INTERVAL, "timeout": TIMEOUT, "seed": 7, **settings})
        self.token = 0
        self.silent: list[Connection] = []

    def admit(self, **how: bool) -> tuple[Connection, RecordingTransport]:
        connection, transport = self.connect()
        self.pulse.watch(connection.handle, **how)
        return connection, transport

    def step(self, seconds: float = TICK) -> list[Connection]:
        self.inlet.sweep(self.hub.now + seconds)
        self.token += 1
        silent = self.pulse.advance(self.hub.now, self.token)
        self.loop.run()
        self.silent += silent
        return silent

    def run(self, seconds: float) -> list[Connection]:
        """The silent of that time, in steps of a tick."""
        return [one for _ in range(round(seconds / TICK)) for one in self.step()]

    def say(self, connection: Connection) -> None:
        """A frame that answers nothing."""
        self.feed(connection, masked(PONG, b""))

    def run_until_pinged(self, transport: RecordingTransport, known: int = 0) -> bytes:
        while len(pings(transport)) == known:
            self.step()
        return pings(transport)[-1]


def pings(transport: RecordingTransport) -> list[bytes]:
    """The payloads of the pings that were sent."""
    data, found = bytes(transport.sent), []
    while data:
        assert data[:2] == bytes([0x80 | PING, 8])
        found.append(data[2:10])
        data = data[10:]
    return found
