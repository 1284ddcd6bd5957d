"""What became of a message that was published."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class BroadcastReport:
    """The server's report; as a number it is ``delivered``.

    ``considered``, ``filtered`` and ``denied`` count subscriptions, ``matched``, ``delivered`` and
    ``refused`` (by reason) connections. The counts are None for a message that was sent again with its
    key after the server had gone down between storing it and answering.
    """

    message_id: str
    topic: str
    log: str
    seq: int
    durability: str
    duplicate: bool
    considered: int | None = None
    filtered: int | None = None
    denied: int | None = None
    matched: int | None = None
    delivered: int | None = None
    refused: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Self:
        """From the server's answer; members of a later version are left out. Raises KeyError."""
        return cls(
            members["message_id"],
            members["topic"],
            members["log"],
            members["seq"],
            members["durability"],
            members["duplicate"],
            members.get("considered"),
            members.get("filtered"),
            members.get("denied"),
            members.get("matched"),
            members.get("delivered"),
            members.get("refused") or {},
        )

    def __int__(self) -> int:
        return self.delivered or 0

    __index__ = __int__
