"""RFC 6455 framing for the server's side: bytes in, events out, and frames to send."""

from typing import Final, Literal, Self, TypeAlias, final

from typing_extensions import Buffer

OVERSIZE: Final = -1
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

# An opcode with its payload (text and close reasons are valid UTF-8, close bodies valid),
# or OVERSIZE with the size in bytes of a message that was swallowed.
_Event: TypeAlias = tuple[Literal[1, 2, 8, 9, 10], bytes] | tuple[Literal[-1], int]

@final
class ReadLimits:
    max_message_size: int
    hard_message_size: int
    max_fragments: int
    def __init__(self, max_message_size: int, hard_message_size: int, max_fragments: int) -> None: ...

@final
class UnfinishedBudget:
    limit: int
    @property
    def used(self) -> int: ...
    def __init__(self, limit: int) -> None: ...

@final
class FrameReader:
    limits: ReadLimits
    def __new__(cls, limits: ReadLimits, budget: UnfinishedBudget) -> Self: ...
    @property
    def failure(self) -> int: ...
    @property
    def failure_reason(self) -> str: ...
    @property
    def finished(self) -> int: ...
    @property
    def ended(self) -> bool: ...
    @property
    def unfinished(self) -> bool: ...
    @property
    def unfinished_bytes(self) -> int: ...
    def feed(self, data: Buffer) -> list[_Event]: ...
    def close(self) -> None: ...

def encode_frame(opcode: int, payload: Buffer) -> bytes: ...
def encode_close(code: int, reason: str = "") -> bytes: ...
def decode_close(payload: bytes) -> tuple[int, str]: ...
