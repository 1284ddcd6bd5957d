"""``wsserver.v1.bin``: what the server and its clients say, as frames of ``wsserver_core.envelope``."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wsserver.clock import Clock, microseconds
from wsserver.errors import BINARY_PROTOCOL_ERROR, ServerError
from wsserver.protocol.commands import Broadcast, Command, convert_command, decode_command
from wsserver.protocol.control import Control
from wsserver.protocol.encoding import BINARY_PROTOCOL
from wsserver.protocol.meta import Meta
from wsserver_core.envelope import CONTROL, MESSAGE, EnvelopeError, decode, encode_control, encode_message
from wsserver_core.frames import BINARY, TEXT, encode_frame
from wsserver_core.outgoing import Frame

_TAKEN: Final = (MESSAGE, CONTROL)
"""Kinds of frames that a client may send."""

MAX_CONTAINERS: Final = 10_000
"""Objects and arrays in one frame of a client: 4 kB of LZ4 can hold a million, which take 150 ms to make."""

_UNCOMPRESSED_LENGTH: Final = slice(28, 32)
"""Where a frame says how long its body is when it is unpacked."""

_decoder: Final = msgspec.json.Decoder(dict[str, Any])


class BinaryEncoding:
    """Binary frames for those who speak the binary protocol.

    A published message is encoded here once for all of them, by ``message`` when it is published
    or by ``message_again`` when the first of them has missed it.
    """

    protocol: Final = BINARY_PROTOCOL
    is_binary: Final = True

    def __init__(
        self,
        clock: Clock,
        *,
        sample_fields: Sequence[str] = ("data",),
        compression_threshold: int | None = 100 * 1024,
    ) -> None:
        self._clock = clock
        self.encoded = 0
        """Published messages that were encoded since the start."""
        self.configure(sample_fields, compression_threshold)

    def configure(self, sample_fields: Sequence[str], compression_threshold: int | None) -> None:
        """Say what is sent as samples, and from how many bytes on a frame is compressed (None: never).

        It holds for what is encoded from now on.
        """
        self._sample_fields = tuple(sample_fields)
        self._compression_threshold = compression_threshold

    # -- what the server says

    def control(self, message: Control, subject: str | None = None) -> Frame:
        """A binary frame of kind 3."""
        payload = encode_control(
            message.members(),
            time=microseconds(self._clock.time()),
            compression_threshold=self._compression_threshold,
        )
        return Frame(None, subject, binary=encode_frame(BINARY, payload))

    def message(self, body: dict[str, Any], meta: Meta, time: int) -> bytes:
        """The frame of a published message; ``time`` is what ``meta.ts`` says, in microseconds."""
        return self._message({"_meta": {"id": meta.id, "log": meta.log}, **body}, meta.topic, meta.seq, time)

    def message_again(self, frame: Frame) -> bytes:
        """The same for a message of which there is only the frame in JSON."""
        body = _decoder.decode(frame.text)
        meta = body["_meta"]
        body["_meta"] = {"id": meta["id"], "log": meta["log"]}
        return self._message(body, meta["topic"], meta["seq"], frame.time)

    def _message(self, body: dict[str, Any], topic: str, seq: int, time: int) -> bytes:
        self.encoded += 1
        payload = encode_message(
            body,
            topic=topic,
            seq=seq,
            time=time,
            sample_fields=self._sample_fields,
            compression_threshold=self._compression_threshold,
        )
        return encode_frame(BINARY, payload)

    # -- what clients say

    def command(self, opcode: int, payload: bytes, max_size: int) -> Command:
        """The command in a text frame or in a binary frame of kind 3, or the broadcast in one of kind 1.

        Raises ServerError.
        """
        if opcode == TEXT:
            return decode_command(payload)
        try:
            envelope = decode(payload, max_size=max_size, kinds=_TAKEN, max_containers=MAX_CONTAINERS)
        except EnvelopeError as error:
            raise _violation(error.reason) from None
        if envelope.kind == CONTROL:
            return convert_command(envelope.body)
        if envelope.seq != 0:
            raise _violation("seq is the server's to give")
        return Broadcast.to(envelope.topic or "", envelope.body)

    def unpacked(self, opcode: int, payload: bytes) -> int:
        """By how much the body that a binary frame declares is longer than the frame."""
        if opcode == TEXT:
            return 0
        return max(0, int.from_bytes(payload[_UNCOMPRESSED_LENGTH], "little") - len(payload))


def _violation(reason: str) -> ServerError:
    return ServerError(BINARY_PROTOCOL_ERROR, f"Invalid binary frame: {reason}.", details={"reason": reason})
