"""The protocols that clients may speak: what is said is the same, the bytes are not.

Each connection has one of these objects, which all connections of a kind share. It alone decides
how a control message is said and how a command is read.
"""

from typing import Final, Protocol

from wsserver.errors import BINARY_PROTOCOL_ERROR, ServerError
from wsserver.protocol.commands import Command, decode_command
from wsserver.protocol.control import Control
from wsserver_core.frames import TEXT, encode_frame
from wsserver_core.outgoing import Frame

JSON_PROTOCOL: Final = "wsserver.v1.json"
BINARY_PROTOCOL: Final = "wsserver.v1.bin"
PROTOCOLS: Final = (JSON_PROTOCOL, BINARY_PROTOCOL)
"""The subprotocols that this server speaks."""


class Encoding(Protocol):
    """How one kind of connection is spoken to."""

    @property
    def protocol(self) -> str:
        """The name of the subprotocol."""
        ...

    @property
    def is_binary(self) -> bool:
        """Whether its connections get the binary form of a frame."""
        ...

    def control(self, message: Control, subject: str | None = None) -> Frame:
        """A control message for one connection; ``subject`` is the patient whom it is about."""
        ...

    def command(self, opcode: int, payload: bytes, max_size: int) -> Command:
        """The command in a text or binary message of a client.

        Raises ServerError: 1003 for a command that is wrong, 1009 for one that is not said in
        this protocol. No more than ``max_size`` bytes are unpacked.
        """
        ...

    def unpacked(self, opcode: int, payload: bytes) -> int:
        """The bytes that a message claims to hold beyond those that were received."""
        ...


class JsonEncoding:
    """``wsserver.v1.json``: text frames, each with one JSON object."""

    protocol: Final = JSON_PROTOCOL
    is_binary: Final = False

    def control(self, message: Control, subject: str | None = None) -> Frame:
        """A text frame."""
        return Frame(encode_frame(TEXT, message.encode()), subject)

    def command(self, opcode: int, payload: bytes, max_size: int) -> Command:
        """The command in a text frame; raises ServerError."""
        if opcode != TEXT:
            raise ServerError(BINARY_PROTOCOL_ERROR, "This connection speaks JSON in text frames.")
        return decode_command(payload)

    def unpacked(self, opcode: int, payload: bytes) -> int:
        """None: nothing is compressed."""
        return 0


JSON: Final = JsonEncoding()
