"""Connections whose socket is not ours: anything with ``write(bytes)`` and ``close()``."""

from typing import Any

from wsserver_core.frames import TEXT, encode_close, encode_frame
from wsserver_core.hub import Frame, Hub


class ForeignLink:
    """Puts an object that a caller brings behind the hub, as its transport and as the link.

    What it is given to write are WebSocket frames. It is taken to accept everything at once:
    no flow control is asked of it. Used by embedders with a transport of their own, and by tests.
    """

    def __init__(self, hub: Hub, websocket: Any) -> None:
        self._hub = hub
        self._websocket = websocket
        self._closed = False
        self.handle = hub.open(self, -1, self)

    # -- the hub's transport

    def write(self, data: Any) -> None:
        """Pass frames on."""
        self._websocket.write(bytes(data))

    def get_write_buffer_size(self) -> int:
        """Nothing is ever held back here."""
        return 0

    def is_closing(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def can_write_eof(self) -> bool:
        """A half-close is not asked of a foreign object."""
        return False

    def write_eof(self) -> None:
        """Never asked, see ``can_write_eof``."""

    # -- the link

    def send_frame(self, frame: Frame) -> int:
        """Queue an encoded frame; 0 is success."""
        return self._hub.enqueue(self.handle, frame)

    def send_text(self, text: bytes) -> int:
        """Queue a text message; 0 is success."""
        return self._hub.enqueue(self.handle, Frame(encode_frame(TEXT, text)))

    def close(self, code: int = 1000, reason: str = "", discard: int | None = None) -> bool:
        """Queue the close frame, then close the object once it has gone out.

        Also called by the hub, without arguments, when the queue has drained.
        """
        if self._closed:
            return False
        if discard is not None:
            self._hub.discard(self.handle, discard)
        if self._hub.enqueue(self.handle, Frame(encode_close(code, reason)), True) == 0:
            self._hub.finish(self.handle)
            return True
        self.abort()
        return True

    def abort(self) -> None:
        """Close the object and forget it."""
        if not self._closed:
            self._closed = True
            self._hub.release(self.handle)
            self._websocket.close()
