"""How much depends on a message: what is given up first for a client that does not keep up.

The order in which messages leave never changes; this decides only what leaves at all.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from wsserver.protocol.message import PublishedMessage
from wsserver_core.outgoing import ALERT, CRITICAL, DATA

_SHUTDOWN: Final = "system_shutdown"


@dataclass(frozen=True, slots=True)
class ImportanceRules:
    """Sorts published messages into critical, alert and data, and data into streams.

    A message is critical or an alert by its ``severity``; one with ``alert`` or ``alarm`` in its
    type, in whatever case, is at least an alert. All else is data. The server's own messages are
    above all three.
    """

    critical_severities: Collection[str]
    alert_severities: Collection[str]
    conflatable_types: Collection[str]
    """Types of data of which only the newest matters to somebody who has fallen behind."""
    stream_fields: Collection[str]
    """Members that tell one stream of such data from another of the same topic, type and patient."""

    def of(self, message: PublishedMessage) -> int:
        """The importance of a message, as the core numbers them: a lower number matters more."""
        if message.severity in self.critical_severities or message.type == _SHUTDOWN:
            return CRITICAL
        if message.severity in self.alert_severities:
            return ALERT
        if message.type is not None:
            # In any case: devices spell as they like, and an alarm must not be lost for it.
            name = message.type.lower()
            if "alert" in name or "alarm" in name:
                return ALERT
        return DATA

    def stream(self, topic: str, message: PublishedMessage) -> str | None:
        """What a message is the newest of, or None for one that no other replaces."""
        if message.type not in self.conflatable_types:
            return None
        # One topic may carry many patients, and nobody's values replace another's.
        members = [topic, message.type, message.patient_id]
        for name in self.stream_fields:
            value = message.body.get(name)
            # Text, numbers and so on; whatever else stands there tells nothing apart.
            members.append(repr(value) if isinstance(value, str | int | float) else None)
        return repr(members)
