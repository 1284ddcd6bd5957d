"""Somebody who asks about the server or acts on it, and by which right."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from wsserver.access.principal import Principal

OperatorRole: TypeAlias = Literal["viewer", "operator"]
ProvedBy: TypeAlias = Literal["token", "password", "key"]

ADMIN_READ: Final = "admin:read"
ADMIN_WRITE: Final = "admin:write"

_VIEWER_SCOPES: Final = frozenset({ADMIN_READ, "metrics:read"})

SCOPES_BY_ROLE: Final[Mapping[OperatorRole, frozenset[str]]] = MappingProxyType(
    {"viewer": _VIEWER_SCOPES, "operator": _VIEWER_SCOPES | {ADMIN_WRITE, "audit:read"}}
)
"""What each role may do at most. Neither may publish: that takes a token of its own."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Operator:
    """An operator as one request showed it. No repr: with a token it would show whom they may see."""

    name: str
    """The account's name, the token's subject, or ``dev`` for the one-time key."""
    role: OperatorRole
    scopes: frozenset[str]
    by: ProvedBy
    """What they proved themselves with, at sign-in or with this request."""
    session: bytes | None = None
    """Names the sign-in whose cookie came along; None where the request brought a token itself."""
    principal: Principal | None = None
    """Whom the token stands for; None where there is none."""

    @property
    def is_signed_in(self) -> bool:
        """Whether they came with the cookie of a sign-in, so a browser may stand open somewhere."""
        return self.session is not None

    @property
    def acting_as(self) -> str:
        """The role for the audit: with a token that of the token, among the roles of clients."""
        return self.role if self.is_signed_in or self.principal is None else self.principal.role

    def may_see(self, patient_id: str) -> bool:
        """Whether values out of this patient's messages may be shown: only to whom a token allows it."""
        return self.principal is not None and self.principal.may_see(patient_id)

    @classmethod
    def of_token(cls, principal: Principal) -> "Operator":
        """Whoever brings a token with a request: exactly what the token allows."""
        return cls(
            principal.user_id, role_of(principal.rest_scopes), principal.rest_scopes, "token", None, principal
        )


def role_of(scopes: frozenset[str]) -> OperatorRole:
    """The role that a token's scopes come closest to."""
    return "operator" if ADMIN_WRITE in scopes else "viewer"
