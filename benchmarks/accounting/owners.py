"""Who the owners are that a ledger finds, in words; what nobody is named for is shown by its type."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

UVLOOP: Final = "uvloop: transport, handle and what it keeps"
CORE: Final = "core: connection and frame reader"
SLOT: Final = "core: slot of the hub"
HEARTBEAT: Final = "core: heartbeat"
METADATA: Final = "metadata"
CONNECTION_ID: Final = "connection id"
IDENTITY: Final = "who it is: user, role, token"
PATIENTS: Final = "whom it may see"
SESSION: Final = "session"
GATE: Final = "place at the gate"
TABLES: Final = "tables of connections"
SUBSCRIPTION: Final = "subscription: row, group, shelf"
EVENTS: Final = "latest events (bounded)"
AUDIT: Final = "latest audit records (bounded)"
OTHERS: Final = "other objects"

_OWNERS: Final[dict[str, tuple[str, ...]]] = {
    UVLOOP: (
        "TCPTransport", "uv_tcp_t", "PseudoSocket", "method", "list TCPTransport", "KeyedRef",
        "KeyedRef.key", "table WeakValueDictionary.data",
    ),
    CORE: ("Connection", "Connection.reader"),
    SLOT: ("Hub",),
    HEARTBEAT: ("Pulse",),
    METADATA: ("ConnectionMetadata", "ConnectionMetadata.connected_at", "ConnectionMetadata.expiry_due"),
    CONNECTION_ID: ("ConnectionMetadata.connection_id",),
    IDENTITY: (
        "Principal", "Principal.user_id", "Principal.role", "Principal.token_id", "Principal.expires_at",
        "Principal.issued_at", "Claims", "Claims.user_id", "Claims.role", "Claims.token_id",
        "Claims.expires_at", "Claims.issued_at",
    ),
    PATIENTS: ("Principal.scope", "in Scope", "ScopeTable", "frozenset", "in frozenset"),
    SESSION: (
        "ConnectionMetadata.session", "table ReconnectService._live", "table ReconnectService._ended",
        "table ReconnectService._of_user", "Session", "Session.key", "Session.expires_at", "Held", "in Held",
        "Lineage",
    ),
    GATE: ("Pass", "Pass._address", "table Gate._open_by_address"),
    TABLES: (
        "table ConnectionManager._connections", "table ConnectionLimits.by_user",
        "list in table ExpirySchedule._buckets", "table ExpirySchedule._buckets",
    ),
    SUBSCRIPTION: (
        "TopicIndex", "Shelf", "Registration",
        "table Topic", "table PatientIndex",
    ),
    EVENTS: (
        "Event", "Event.at", "Event.subscription_id", "Event.subscription_type", "Event.target_id",
        "table EventHistory._events", "in table EventHistory._events",
    ),
    AUDIT: (
        "AuditRecord", "AuditRecord.at", "AuditRecord.seq", "AuditRecord.topic", "dict AuditRecord.details",
        "AuditRecord.details", "table AccessAudit._recent",
    ),
}  # fmt: skip
_BY_NAME: Final = {name: owner for owner, names in _OWNERS.items() for name in names}
_SESSION_PARTS: Final = ("Session.", "tuple Session", "list Session", "in tuple Session", "in list Session")


def by_owner(entries: Mapping[str, int]) -> dict[str, int]:
    """The bytes of a ledger's entries, by owner, in the order of the table."""
    sizes: Counter[str] = Counter()
    for name, size in entries.items():
        owner = SESSION if name.startswith(_SESSION_PARTS) else _BY_NAME.get(name, OTHERS)
        sizes[owner] += size
    return {owner: sizes[owner] for owner in (*_OWNERS, OTHERS) if sizes[owner]}
