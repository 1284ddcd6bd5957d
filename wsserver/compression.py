"""``compress_message``: a message in the form in which it takes least room on the wire."""

from typing import Any, Final

from wsserver.clock import Clock, SystemClock
from wsserver.errors import BINARY_PROTOCOL_ERROR, INVALID_MESSAGE, ServerError
from wsserver_core.envelope import CONTROL, EnvelopeError, decode, encode_control

Message = dict[str, Any] | bytes
"""What can be published: an object, or what ``compress_message`` has made of it."""

_MAX_SIZE: Final = 1 << 20
_MICROSECONDS: Final = 1_000_000


def compress_message(message: dict[str, Any], *, clock: Clock | None = None) -> bytes:
    """The message as one binary frame of the protocol, compressed by LZ4 if that makes it smaller.

    The server does so by itself, for messages over ``binary.compression_threshold`` and for clients that
    speak binary; nobody has to call this before publishing. Whoever has called it can pass the
    result to ``broadcast_to_patient`` and the like in place of the message, keep it, or send it as
    a binary frame over a socket of his own to a client of ours: ``decompress_message`` and the
    decoders of the clients read it. It is a frame of kind control: without topic, log and ``seq``.

    Raises ServerError 1003 for what JSON does not have.
    """
    if type(message) is not dict:
        raise ServerError(INVALID_MESSAGE, "Invalid message: it must be an object")
    microseconds = int((clock or SystemClock()).time() * _MICROSECONDS)
    try:
        return encode_control(message, time=microseconds, compression_threshold=0)
    except EnvelopeError as fault:
        raise ServerError(INVALID_MESSAGE, f"Invalid message: {fault.reason}") from None


def decompress_message(compressed: bytes, *, max_size: int = _MAX_SIZE) -> dict[str, Any]:
    """The message that ``compress_message`` was given.

    ``max_size`` bounds what it may take uncompressed, in bytes. Raises ServerError 1009.
    """
    try:
        return decode(compressed, max_size=max_size, kinds=(CONTROL,)).body
    except EnvelopeError as fault:
        text = f"The compressed message is not valid: {fault.reason}."
        raise ServerError(BINARY_PROTOCOL_ERROR, text) from None
