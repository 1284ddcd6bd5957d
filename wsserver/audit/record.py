"""One record of the access audit, and the one spelling of it that a hash is taken over."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

Outcome = Literal["allowed", "refused"]


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who did what, or was refused it. Members that say nothing are left out of its JSON.

    It never holds a payload, the values of a filter, or a token.
    """

    seq: int
    """Its place in the log: the first is 1, and none is left out."""
    at: str
    """When, as RFC 3339 in UTC."""
    action: str
    actor: str
    """A user's id, an operator's name, or ``server``."""
    role: str | None = None
    connection_id: str | None = None
    patient_id: str | None = None
    topic: str | None = None
    """What was followed or asked for where it is not one patient: ``patient:*``, ``*``, ``type:ecg``."""
    right: str | None = None
    """What allowed it, or what was lacking."""
    outcome: Outcome = "allowed"
    code: int | None = None
    """The number of the error that a refusal was told with."""
    details: Mapping[str, Any] | None = None

    def encode(self) -> bytes:
        """Its canonical JSON: members in the order above, names within ``details`` sorted, no spaces."""
        return _encoder.encode(self)

    def as_dict(self) -> dict[str, Any]:
        """The members that JSON shows."""
        members: dict[str, Any] = msgspec.to_builtins(self)
        return members


_encoder: Final = msgspec.json.Encoder(order="deterministic")
