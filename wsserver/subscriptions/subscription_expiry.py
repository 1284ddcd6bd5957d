"""The idle clock of subscriptions: who is about to end, and who has.

Nothing is written while a subscription is used. How long it has been idle is worked out when
somebody asks: since the later of its own last renewal and the last sign of life of its
connection.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from wsserver.clock import Clock
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.settings import SubscriptionSettings
from wsserver_core.hub import Hub
from wsserver_core.topics import Record, TopicIndex

WARNING: Final = 0.1
"""The last part of its time, in which a subscription's client is warned of the end."""


class SubscriptionExpiry:
    """Tells how long subscriptions have left."""

    def __init__(
        self,
        index: TopicIndex,
        hub: Hub,
        connections: Mapping[str, ConnectionMetadata],
        settings: SubscriptionSettings,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._index = index
        self._hub = hub
        self._connections = connections
        self._clock = clock

    @property
    def warn_from(self) -> float:
        """Seconds before the end from which on a client is warned."""
        return self.settings.timeout * WARNING

    def idle(self, seconds: float) -> Iterator[tuple[Record, float]]:
        """The subscriptions that have been idle for so long, each with the seconds it has left.

        Looks at each connection once and, unless ``strict_timeout`` is set, at the subscriptions of
        silent ones only.
        """
        since = self._clock.monotonic() - seconds
        if self.settings.strict_timeout:
            records = self._index.due(since)
        else:
            records = [
                record
                for metadata in self._connections.values()
                if self._hub.last_received(metadata.handle) <= since
                for record in self._index.records(metadata.handle)
            ]
        for record in records:
            renewed_at = self._renewed_at(record)
            if renewed_at <= since:
                yield record, renewed_at + self.settings.timeout - self._clock.monotonic()

    def due_for_warning(self, record: Record) -> bool:
        """Whether its client has yet to be told; notes that it is told now."""
        renewed_at = self._renewed_at(record)
        if record.warned and renewed_at <= record.renewed_at:
            return False
        # From here on a later sign of life shows as a renewal, after which it is warned again.
        self._index.renew(record.number, renewed_at)
        self._index.warn(record.number, True)
        return True

    def renew(self, number: int) -> bool:
        """Start the clock of a subscription anew; False when it has ended."""
        return self._index.renew(number, self._clock.monotonic())

    def _renewed_at(self, record: Record) -> float:
        if self.settings.strict_timeout:
            return record.renewed_at
        return max(record.renewed_at, self._hub.last_received(record.handle))
