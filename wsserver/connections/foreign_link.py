"""Connections whose socket is not ours: anything with ``write(bytes)`` and ``close()``."""

import logging
from collections.abc import Callable
from typing import Any

from wsserver_core.frames import encode_close
from wsserver_core.hub import Hub
from wsserver_core.outgoing import Frame

logger = logging.getLogger("wsserver.foreign_link")


class ForeignLink:
    """Puts an object that a caller brings behind the hub, as its transport and as the link.

    What it is given to write are WebSocket frames. It is taken to accept everything at once:
    no flow control is asked of it. One that raises is closed and forgotten, like a socket that
    broke. Used by embedders with a transport of their own, and by tests.
    """

    def __init__(self, hub: Hub, websocket: Any) -> None:
        self._hub = hub
        self._websocket = websocket
        self._closing = False
        self._closed = False
        self.owner: object = None
        """The metadata of its connection, once there is one."""
        self.closed: Callable[[], object] | None = None
        """Called once, when the object has been closed."""
        self.handle = hub.open(self, -1, self, True)

    # -- the hub's transport

    def write(self, data: Any) -> None:
        """Pass frames on."""
        try:
            self._websocket.write(bytes(data))
        except Exception as fault:
            # The others in the hub's slice have their turn after this one.
            logger.warning("a foreign websocket failed to write (%s)", type(fault).__name__)
            self.abort()

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

    def close(self, code: int | None = None, reason: str = "", discard: int | None = None) -> bool:
        """Queue the close frame, then close the object once it has gone out.

        Without a code, which is how the hub says that the queue has drained, close it now.
        Returns False when it is closing already. Raises ValueError for a code that may not be sent.
        """
        if code is None:
            self.abort()
            return True
        frame = Frame(encode_close(code, reason))
        if self._closing:
            return False
        self._closing = True
        if discard is not None:
            self._hub.discard(self.handle, discard)
        self._hub.enqueue(self.handle, frame, True)
        self._hub.finish(self.handle)
        return True

    def pause_reading(self, reason: int) -> None:
        """Nothing is read here."""

    def resume_reading(self, reason: int) -> None:
        """Nothing is read here."""

    @property
    def is_paused(self) -> bool:
        """Never: nothing is read here."""
        return False

    def throttle(self, seconds: float) -> int:
        """Nothing is read here."""
        return 0

    def spend(self, kind: int, cost: float) -> float:
        """No limit: what its peer sends does not pass through here."""
        return 0.0

    def charge(self, kind: int, cost: float) -> float:
        """No limit either."""
        return 0.0

    def spent(self, kind: int) -> float:
        """Nothing: there are no buckets."""
        return 0.0

    def abort(self) -> None:
        """Close the object and forget it."""
        if self._closed:
            return
        self._closing = self._closed = True
        self._hub.release(self.handle)
        if self.closed is not None:
            self.closed()
        try:
            self._websocket.close()
        except Exception as fault:
            logger.warning("a foreign websocket failed to close (%s)", type(fault).__name__)
