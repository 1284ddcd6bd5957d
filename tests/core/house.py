"""An inlet with its connections over fake transports and fake time."""

from recording_sink import RecordingSink
from recording_transport import FakeLoop, RecordingTransport

from wsserver_core.connection import Connection
from wsserver_core.frames import ReadLimits, UnfinishedBudget
from wsserver_core.hub import Hub
from wsserver_core.inlet import Inlet

HELLO = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
"""The masked "Hello" of RFC 6455 section 5.7."""

CLOSE_1000 = b"\x88\x02\x03\xe8"
MASKED_CLOSE_1000 = b"\x88\x82\0\0\0\0\x03\xe8"


class House:
    """``limits`` are those of every connection: 1,000 and 10,000 bytes and 8 fragments."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.hub = Hub(self.loop)
        self.sink = RecordingSink()
        self.budget = UnfinishedBudget(100_000)
        self.inlet = Inlet(self.hub, self.sink, self.budget)
        self.limits = ReadLimits(1000, 10_000, 8)

    def connect(
        self, *, room: int | None = None, half: bool = True, binary: bool = False
    ) -> tuple[Connection, RecordingTransport]:
        connection = Connection(self.inlet, self.limits, None, binary)
        transport = RecordingTransport(self.loop, room=room, can_half_close=half)
        connection.attach(transport, -1)
        return connection, transport

    def feed(self, connection: Connection, data: bytes) -> None:
        """Bytes as a transport reads them: into the connection's own buffer."""
        buffer = connection.get_buffer(-1)
        buffer[: len(data)] = data
        connection.buffer_updated(len(data))
        self.loop.run()
