"""Who is on a connection and what they may do at this moment."""

from typing import Literal

import msgspec

from wsserver.access.claims import NOTHING, Claims
from wsserver.access.roles import RoleRights
from wsserver_core.scopes import Scope

Granter = Literal["token", "all_patients", "provider", "host"]
"""Who says which patients somebody may see: the token, the role's right, an access provider, or the program
that runs the server and vouches for a connection of its own."""


class Principal(msgspec.Struct, frozen=True, eq=False):
    """An identity with its rights, as one reading of token, role and provider gave them.

    Never changed in place: ``Authenticator.refresh`` gives a new one when rights have
    changed. No repr of its own, for it would show whom the user may see.
    """

    user_id: str
    role: str
    rights: RoleRights
    scope: Scope
    """Whom the user may see; the same object for equal sets of patients."""
    expires_at: int
    """Seconds since 1970 UTC."""
    token_id: str | None = None
    issued_at: int | None = None
    rest_scopes: frozenset[str] = frozenset()
    token: Claims | bool = False
    """What the token said; True if nothing else than what stands here, False if there was no token."""
    granted_by: Granter = "host"
    beyond: frozenset[str] = frozenset()
    """Those of ``patients`` whom nothing but breaking the glass shows."""

    __repr__ = object.__repr__

    @property
    def patients(self) -> frozenset[str] | None:
        """None is every patient, the empty set is none."""
        return self.scope.patients

    @property
    def claims(self) -> Claims | None:
        """What to derive the rights from again; None if they do not come from a token."""
        if self.token is True:
            # Made when asked for: kept, it would take a fifth of what a connection is known by.
            return Claims(
                user_id=self.user_id,
                role=self.role,
                expires_at=self.expires_at,
                issued_at=self.issued_at,
                token_id=self.token_id,
                patients=self.scope.patients,
                rest_scopes=self.rest_scopes,
                fingerprint=b"",
                raw=NOTHING,
            )
        return self.token or None

    def may_see(self, patient_id: str) -> bool:
        """Whether messages about this patient (a canonical id) may reach the user."""
        return self.scope.sees(patient_id)

    def right_to(self, patient_id: str) -> str:
        """Why the user may see this patient: who granted it, or ``break_glass``."""
        return "break_glass" if patient_id in self.beyond else self.granted_by

    def may_speak_of(self, patient_id: str) -> bool:
        """Whether the user may publish about this patient. Breaking the glass shows, and no more."""
        return self.may_see(patient_id) and patient_id not in self.beyond

    def may_subscribe(self, subscription_type: str) -> bool:
        """Whether the role may subscribe to this type."""
        return self.rights.may_subscribe(subscription_type)

    def may_wildcard(self) -> bool:
        """Whether the role may subscribe to ``patient:*`` and ``*``, which show what it may see."""
        return self.rights.wildcard

    def may_publish(self, target_type: str, message_type: str | None) -> bool:
        """Whether the role may broadcast such a message over its own socket."""
        return self.rights.may_publish(target_type, message_type)
