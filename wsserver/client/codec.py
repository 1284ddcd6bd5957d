"""What frames mean: JSON in text frames, or the binary protocol."""

import importlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from wsserver.client.close_codes import ABNORMAL
from wsserver.client.errors import InvalidOption
from wsserver.client.reconnection_config import CodecName
from wsserver.client.transport import Closed

JSON: Final = "wsserver.v1.json"
BINARY: Final = "wsserver.v1.bin"


class NotOurs(Closed):
    """The other side does not speak this protocol, or a frame was damaged: no reason to go on with it."""

    def __init__(self) -> None:
        super().__init__(ABNORMAL, "a frame that is not understood")


class Codec:
    """Reads frames of either kind, and writes commands as text, which every connection takes."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._decode_binary: Callable[..., Any] | None = None

    def protocols(self, name: CodecName) -> list[str]:
        """What to offer. Raises InvalidOption for ``binary`` where its decoder is not installed."""
        if name == "json":
            return [JSON]
        try:
            # Only who asks for binary needs the compiled core.
            envelope = importlib.import_module("wsserver_core.envelope")
        except ImportError:
            if name == "auto":
                return [JSON]
            raise InvalidOption("codec", "is binary, and the compiled core is not installed") from None
        self._decode_binary = envelope.decode
        return [BINARY, JSON]

    def decode(self, frame: str | bytes) -> dict[str, Any]:
        """What a frame says. Raises NotOurs."""
        try:
            if isinstance(frame, str):
                document = msgspec.json.decode(frame)
            elif self._decode_binary is not None:
                document = self._decode_binary(frame, max_size=self._max_size).body
            else:
                raise NotOurs
        except (ValueError, RecursionError):
            raise NotOurs from None
        if not isinstance(document, dict):
            raise NotOurs
        return document
