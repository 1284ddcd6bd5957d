"""From a token to a principal: the one place where identity, role and patient rights meet."""

from collections.abc import Collection
from typing import Protocol

from msgspec.structs import replace

from wsserver.access.claims import Claims
from wsserver.access.principal import Granter, Principal
from wsserver.access.provider import NOBODY, AccessProvider, CachedAccessProvider, TokenAccessProvider
from wsserver.access.refusal import AuthenticationFailed, Reason
from wsserver.access.revocation import RevocationList
from wsserver.access.roles import RolePolicy, RoleRights
from wsserver.access.tokens import TokenVerifier
from wsserver_core.scopes import ScopeTable


class TokenReader(Protocol):
    """Whoever can tell the bearer of a token."""

    async def authenticate(self, token: str) -> Principal:
        """Who this token makes its bearer. Raises ServerError, AuthenticationFailed above all."""
        ...


class Authenticator:
    """Makes principals of tokens, and makes them again when rights may have changed.

    With keys at hand and the token as the provider neither method yields to the loop, so
    ten thousand returning clients cost no task switches.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        policy: RolePolicy,
        provider: AccessProvider | None,
        revocations: RevocationList,
        scopes: ScopeTable,
    ) -> None:
        """``provider`` None takes patients from the token; a backend's is put behind a cache."""
        self.verifier = verifier
        self.policy = policy
        self.revocations = revocations
        self._scopes = scopes
        self._provider: TokenAccessProvider | CachedAccessProvider
        if provider is None:
            self._provider = TokenAccessProvider(policy)
        # A subclass of the first is a backend's: it may ask a database, and a revocation come meanwhile.
        elif type(provider) is TokenAccessProvider or isinstance(provider, CachedAccessProvider):
            self._provider = provider
        else:
            self._provider = CachedAccessProvider(provider, verifier.clock)

    async def authenticate(self, token: str) -> Principal:
        """Who this token makes its bearer. Raises AuthenticationFailed, always with the same text."""
        return await self._admit(await self.verifier.verify(token))

    async def refresh(self, principal: Principal) -> Principal:
        """The principal with today's rights: the same object if nothing has changed.

        Raises AuthenticationFailed if its token has been revoked or its role is gone. Does
        not look at the expiry, which the connection's own timer keeps. A principal that
        does not come from a token is returned as it is.
        """
        if principal.claims is None:
            return principal
        fresh = self.widened(await self._admit(principal.claims), principal.beyond)
        same = (
            fresh.scope is principal.scope
            and fresh.rights == principal.rights
            and fresh.beyond == principal.beyond
        )
        return principal if same else fresh

    def without(self, principal: Principal, patients: Collection[str]) -> Principal:
        """The principal without these patients, at once and without asking the provider.

        One who sees every patient is left with none, as "all but these" cannot be expressed;
        a newer token or the provider's next answer gives back what is due.
        """
        left = NOBODY if principal.patients is None else principal.patients.difference(patients)
        if left == principal.patients:
            return principal
        scope = self._scopes.intern(left)
        beyond = principal.beyond.difference(patients)
        return replace(principal, scope=scope, beyond=beyond, token=principal.claims or False)

    def widened(self, principal: Principal, beyond: frozenset[str]) -> Principal:
        """The principal with these patients besides, by breaking the glass, if its role may do that."""
        if not beyond or principal.patients is None or not principal.rights.break_glass:
            return principal
        beyond -= principal.patients - principal.beyond
        scope = self._scopes.intern(principal.patients | beyond)
        beyond |= principal.beyond
        return replace(principal, scope=scope, beyond=beyond, token=principal.claims or False)

    def is_withheld(self, principal: Principal, patient_id: str) -> bool:
        """Whether the right to this patient was revoked from the user: no glass to break there."""
        return principal.claims is not None and patient_id in self.revocations.withheld(principal.claims)

    def stands(self, claims: Claims) -> bool:
        """Whether a token that was valid is neither revoked nor of a role that is gone."""
        return not self.revocations.is_revoked(claims) and self.policy.rights(claims.role) is not None

    def prune(self) -> int:
        """Forget what providers said and what counts no more; returns how many answers."""
        return self._provider.prune() if isinstance(self._provider, CachedAccessProvider) else 0

    async def close(self) -> None:
        """Stop questions to the provider and fetches of keys under way."""
        if isinstance(self._provider, CachedAccessProvider):
            await self._provider.close()
        await self.verifier.keys.close()

    async def _admit(self, claims: Claims) -> Principal:
        self._check_standing(claims)
        granted = await self._provider.patients(claims.user_id, claims.role, claims)
        if not isinstance(self._provider, TokenAccessProvider):
            # Checked again: a revocation that came while the provider thought must not be missed.
            self._check_standing(claims)
        rights = self.policy.rights(claims.role)
        if rights is None:
            raise AuthenticationFailed(Reason.ROLE)
        patients = self._narrow(granted, claims)
        token: Claims | bool = claims
        if isinstance(self._provider, TokenAccessProvider):
            token = True if patients is not None and patients == claims.patients else claims.kept()
        return Principal(
            user_id=claims.user_id,
            role=claims.role,
            rights=rights,
            scope=self._scopes.intern(patients),
            expires_at=claims.expires_at,
            token_id=claims.token_id,
            issued_at=claims.issued_at,
            rest_scopes=claims.rest_scopes,
            token=token,
            granted_by=self._granter(claims, rights),
        )

    def _granter(self, claims: Claims, rights: RoleRights) -> Granter:
        if not isinstance(self._provider, TokenAccessProvider):
            return "provider"
        return "all_patients" if claims.patients is None and rights.all_patients else "token"

    def _check_standing(self, claims: Claims) -> None:
        if self.revocations.is_revoked(claims):
            raise AuthenticationFailed(Reason.REVOKED)
        if self.policy.rights(claims.role) is None:
            raise AuthenticationFailed(Reason.ROLE)

    def _narrow(self, granted: frozenset[str] | str, claims: Claims) -> frozenset[str] | None:
        """What is left of a grant; None is every patient."""
        patients = None if isinstance(granted, str) else granted
        if isinstance(claims.patients, frozenset):
            if patients is None or patients is claims.patients:
                patients = claims.patients
            else:
                patients &= claims.patients
        withheld = self.revocations.withheld(claims)
        if not withheld:
            return patients
        # "All but these" cannot be expressed, so taking one of all takes all, until a newer token comes.
        return NOBODY if patients is None else patients - withheld
