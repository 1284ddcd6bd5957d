"""Keeps the rights of open connections those of today."""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from wsserver.access.authenticator import Authenticator
from wsserver.access.principal import Principal
from wsserver.access.refusal import AuthenticationFailed
from wsserver.connection_manager import ConnectionManager
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.errors import PERMISSION_DENIED, CloseCode, ServerError
from wsserver.incidents import report_incident
from wsserver.message_router import MessageRouter
from wsserver.protocol.topic import Topic

PERIOD: Final = 0.4
"""Seconds between two rounds. With the provider's cache of half a second, a change holds within a second."""

CONCURRENCY: Final = 64


class RightsWatch:
    """Applies revocations at once, and asks a plugged-in access provider over and over."""

    def __init__(
        self, manager: ConnectionManager, authenticator: Authenticator, router: MessageRouter
    ) -> None:
        self._manager = manager
        self._authenticator = authenticator
        self._router = router
        self._task: asyncio.Task[None] | None = None

    async def refresh(self, connections: Iterable[ConnectionMetadata]) -> None:
        """Give these connections the rights they have now; end those whose token counts no more."""
        by_principal: dict[int, tuple[Principal, list[ConnectionMetadata]]] = {}
        for metadata in connections:
            by_principal.setdefault(id(metadata.principal), (metadata.principal, []))[1].append(metadata)
        work = list(by_principal.values())
        for start in range(0, len(work), CONCURRENCY):
            await asyncio.gather(*(self._refresh_one(*entry) for entry in work[start : start + CONCURRENCY]))

    def withdraw(self, connections: Iterable[ConnectionMetadata], patients: Collection[str]) -> None:
        """Take the right to these patients away now, however long the access provider may take."""
        for metadata in connections:
            fresh = self._authenticator.without(metadata.principal, patients)
            if fresh is not metadata.principal:
                self._replace(metadata, fresh)

    def _replace(self, metadata: ConnectionMetadata, principal: Principal) -> None:
        for ended in self._manager.replace_principal(metadata, principal):
            self._router.announce_withdrawn(metadata, Topic(ended.subscription_type, ended.target_id))

    async def refresh_user(self, user_id: str) -> int:
        """The same for every connection of one user; returns how many there were."""
        connections = [one for one in self._manager.connections.values() if one.user_id == user_id]
        await self.refresh(connections)
        return len(connections)

    async def _refresh_one(self, principal: Principal, connections: list[ConnectionMetadata]) -> None:
        try:
            fresh = await self._authenticator.refresh(principal)
        except AuthenticationFailed:
            for metadata in self._unchanged(principal, connections):
                self._manager.withdraw_all(metadata)
                self._router.refuse(metadata, ServerError(PERMISSION_DENIED, "The token has been revoked."))
                self._manager.disconnect(metadata.connection_id, "revoked", code=CloseCode.REVOKED)
            return
        if fresh is not principal:
            for metadata in self._unchanged(principal, connections):
                self._replace(metadata, fresh)

    def _unchanged(
        self, principal: Principal, connections: Iterable[ConnectionMetadata]
    ) -> Iterator[ConnectionMetadata]:
        """Those that are still open under this principal: a token renewed meanwhile has rights of its own."""
        for metadata in connections:
            if metadata.principal is principal and metadata.connection_id in self._manager.connections:
                yield metadata

    def start(self) -> None:
        """Begin to ask the access provider; needed only if there is one besides the tokens."""
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.refresh(list(self._manager.connections.values()))
            except Exception:
                report_incident("refreshing the rights of open connections")

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
