"""The scopes that this server's HTTP interface asks tokens for."""

from typing import Final

REST_SCOPES: Final = (
    "broadcast:patient",
    "broadcast:type",
    "broadcast:all",
    "metrics:read",
    "admin:read",
    "admin:write",
    "audit:read",
)
