"""What a client keeps from one connection to the next."""

from collections.abc import Callable
from typing import Any

from wsserver.client.clock import Clock
from wsserver.client.credentials import Credentials
from wsserver.client.cursor import Cursor
from wsserver.client.errors import ClientError
from wsserver.client.inbox import Inbox
from wsserver.client.message import Gap
from wsserver.client.metrics import Metrics
from wsserver.client.outbox import Outbox
from wsserver.client.reconnection_config import ReconnectionConfig
from wsserver.client.subscriber import Subscriber

Emit = Callable[[str, Any], object]


class Memory:
    """The session and how far it was handled, what is wanted, and what waits in both directions."""

    def __init__(
        self, config: ReconnectionConfig, credentials: Credentials, clock: Clock, emit: Emit
    ) -> None:
        self.credentials = credentials
        self.emit = emit
        self.session_id: str | None = None
        """A secret of the user. The last one that was told: the one before it is good until this is used."""
        self.cursor = Cursor()
        self.inbox = Inbox(config.max_pending_messages, config.max_pending_bytes)
        self.outbox = Outbox(config, clock.monotonic)
        self.metrics = Metrics()
        self.subscriber = Subscriber(clock, self.tell_gap, self.report)
        self.lost_at: float | None = None
        """When the last connection ended that the server had let in; None before the first."""

    def tell_gap(self, gap: Gap) -> None:
        """Something is missing here, between what came before and what comes next."""
        self.metrics.gaps += 1
        self.inbox.put(gap)

    def report(self, fault: Exception) -> None:
        """Something went wrong that does not end the client."""
        if isinstance(fault, ClientError):
            error = fault
        elif isinstance(fault, TimeoutError):
            error = ClientError("no answer came in time")
        else:
            error = ClientError(f"{type(fault).__name__} in a listener")
        self.metrics.last_error = type(error).__name__
        self.emit("error", error)
