"""Which messages must outlive the server, and which may be lost with it."""

from collections.abc import Collection
from dataclasses import dataclass

from wsserver.protocol.message import PublishedMessage
from wsserver_core.outgoing import DATA


@dataclass(frozen=True, slots=True)
class DurabilityRules:
    """Sorts published messages into the durable log and the volatile one.

    Durable is what has a patient, what is critical, and what is an alert: these are told as
    delivered only after the store has them. A type may be named to be the one or the other.
    """

    durable_types: Collection[str] = ()
    volatile_types: Collection[str] = ()
    """Types that are volatile whatever else holds, such as a waveform that is superseded at once."""

    def is_durable(self, message: PublishedMessage, importance: int) -> bool:
        """Whether a message of this importance, as the core numbers it, belongs to the durable log."""
        if message.type in self.volatile_types:
            return False
        return message.patient_id is not None or importance < DATA or message.type in self.durable_types
