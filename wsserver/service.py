"""The server as a whole, but for HTTP: everything put together from the settings."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Sized

from wsserver.access.authenticator import Authenticator
from wsserver.access.keys import KeyTable
from wsserver.access.provider import AccessProvider
from wsserver.access.revocation import RevocationList
from wsserver.access.tokens import TokenVerifier
from wsserver.connection_manager import DRAIN, NEVER, ConnectionManager
from wsserver.connection_manager import connection_manager as default_manager
from wsserver.connections.admission import Admission
from wsserver.connections.break_glass import BreakGlass
from wsserver.connections.client_sink import ClientSink
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.connections.drain import Drain
from wsserver.connections.echo_sink import EchoSink
from wsserver.connections.rights_watch import RightsWatch
from wsserver.connections.token_expiry import ExpirySchedule
from wsserver.errors import AUTHENTICATION_FAILED, CloseCode, ServerError
from wsserver.incidents import report_incident
from wsserver.lifecycle import graceful_shutdown
from wsserver.load.load_signals import LoadSignals
from wsserver.loop.housekeeping import Housekeeping
from wsserver.message_router import MessageRouter
from wsserver.observe.alerts import AlertBook, thresholds_of
from wsserver.observe.descriptor_room import DescriptorRoom
from wsserver.observe.loop_lag import LoopLag
from wsserver.observe.operations import Operations
from wsserver.observe.process_memory import ProcessMemory
from wsserver.operators.sign_in import SignIn
from wsserver.overload import Overload, adopt
from wsserver.protocol import control
from wsserver.publishing.bystanders import Bystanders
from wsserver.publishing.idempotency import IdempotencyKeys
from wsserver.rate_limiter import RateLimiter
from wsserver.sessions.session_archive import SessionArchive
from wsserver.settings import AuthSettings, InboundSettings, Settings, ShutdownSettings
from wsserver.store_keeper import StoreKeeper
from wsserver_core.frames import ReadLimits, UnfinishedBudget
from wsserver_core.inlet import Inlet
from wsserver_core.outgoing import DROP_REASONS

logger = logging.getLogger("wsserver")

EXPIRY_WARNING = 60.0
"""Seconds before its end at which a token's bearer is warned; half the remaining time if that is less."""

HINT_INTERVAL = 5.0
"""Seconds between two looks for filters that never match."""

RATE_INTERVAL = 1.0
"""Seconds between two looks for users and tokens that owe nothing to their rates any more."""

STORE_INTERVAL = 1.0
"""Seconds between two looks for what the store may forget."""


SIGN_IN_INTERVAL = 1.0
"""Seconds between two looks for sign-ins of operators that are over."""


class Service:
    """Owns every part of a running server and the ways between them.

    Build it, ``await start()`` on the loop that serves, ``await stop()`` at the end.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        manager: ConnectionManager | None = None,
        provider: AccessProvider | None = None,
        fetch: Callable[[str], Awaitable[bytes]] | None = None,
    ) -> None:
        """``provider`` decides who sees which patient instead of the tokens; ``fetch`` gets the JWKS.

        Raises KeyFault or OSError for keys that cannot be used.
        """
        self.settings = settings
        self.manager = manager or default_manager
        self.clock = self.manager.clock
        self.manager.configure(settings)
        self._fetch = fetch
        self.started_at = 0.0
        self.running = False
        self.departure: Drain | None = None
        """The drain that runs or ran last, None while clients are welcome."""
        self._departing: asyncio.Task[None] | None = None

        auth = settings.auth
        self.verifier = TokenVerifier(auth, KeyTable(auth, self.clock, fetch), self.clock)
        self.revocations = RevocationList(
            self.clock, max_token_lifetime=auth.max_token_lifetime, leeway=auth.leeway
        )
        self.authenticator = Authenticator(
            self.verifier, self.manager.policy, provider, self.revocations, self.manager.scopes
        )
        self.sign_in = SignIn(settings.operators, self.authenticator, self.clock)
        self.alerts = AlertBook(thresholds_of(settings), settings.alerts, self.clock)
        self.glass = BreakGlass(self.manager, self.authenticator, self.alerts)
        self.expiries = ExpirySchedule()
        self.rates = RateLimiter(settings.rate_limit, self.clock, self.manager.limits.by_user)
        self.manager.on_departure = self.rates.leave
        self.router = MessageRouter(
            self.manager,
            self.authenticator,
            self.rates,
            renewed=self._look_after_token,
            glass=self.glass,
        )
        inbound = settings.inbound
        self.read_limits = ReadLimits(*_sizes(inbound.max_message_size, inbound))
        self.newcomer_limits = ReadLimits(*_sizes(inbound.max_message_size_unauthenticated, inbound))
        self.admission = Admission(
            self.manager,
            self.authenticator,
            self.router,
            self.rates,
            read_limits=self.read_limits,
            admitted=self._look_after_token,
        )
        self.health = self.manager.health_monitor
        self.sink = ClientSink(self.manager, self.admission, self.router, self.health, self.rates)
        self.budget = UnfinishedBudget(inbound.max_unfinished_total)
        self.inlet = Inlet(self.manager.hub, self.sink, self.budget, limits=self.rates.connections)
        self.echo_inlet = Inlet(self.manager.hub, EchoSink(), self.budget)
        self.rights = RightsWatch(self.manager, self.authenticator, self.router)
        self._watches_rights = provider is not None
        # The variable with which the core is built for finding faults.
        self._always_recounts = os.environ.get("WSSERVER_CHECKED", "") not in ("", "0")
        self.operations = Operations()
        self.audit = self.manager.audit
        """What has to be accounted for is noted here."""
        self.traces = self.manager.traces
        self.traces.bystanders = Bystanders(self.manager).of
        self.store_keeper = StoreKeeper(self.manager, self.alerts)
        self.archive = SessionArchive(
            self.manager.sessions,
            self.manager.hub,
            self.manager.index,
            self.manager.broadcasts.logs,
            lambda: self.manager.subscription_manager.filters.limits,
            self.manager.loop_port,
            self.clock,
        )
        self.idempotency = IdempotencyKeys(self.store_keeper, self.clock)
        self.overload = self._overload()
        self.housekeeping = Housekeeping(self.clock)
        self._take_limits(settings)
        self._hire()

    def _hire(self) -> None:
        every = self.housekeeping.every
        every(0, lambda: self.inlet.sweep(self.clock.monotonic()))
        every(0, lambda: self.echo_inlet.sweep(self.clock.monotonic()))
        every(0, self.manager.backpressure.tick)
        every(0, self._check_accounts)
        every(0, self.admission.tick)
        every(0, self.health.tick)
        every(0, self._end_expired)
        every(0, self.glass.tick)
        every(lambda: self.manager.cleanup_interval, self.revocations.prune)
        every(
            lambda: self.overload.hurried(self.manager.subscription_manager.settings.cleanup_interval),
            self.manager.subscription_manager.cleanup,
        )
        every(HINT_INTERVAL, self.manager.hints.round)
        every(0, self.manager.history.sweep)
        every(1.0, self.manager.sessions.sweep)
        every(0, self.overload.watch_memory)
        every(1.0, self.overload.tick)
        every(0, self.traces.tick)
        every(RATE_INTERVAL, self.rates.sweep)
        every(SIGN_IN_INTERVAL, self.sign_in.sweep)
        every(STORE_INTERVAL, self.store_keeper.sweep)
        every(0, lambda: self.audit.tick(self.alerts))

    def _overload(self) -> Overload:
        clock = self.clock
        signals = LoadSignals(
            self.manager,
            memory=ProcessMemory(clock),
            lag=LoopLag(clock),
            descriptors=DescriptorRoom(clock),
            totals=self.operation_totals,
            latency=self.health.average_latency,
        )
        overload = Overload(self.manager, signals, self.alerts)
        overload.cleaners["revocations"] = lambda: _shrink(self.revocations, self.revocations.prune)
        overload.cleaners["users' rates"] = lambda: _shrink(self.rates.users, self.rates.users.sweep)
        overload.cleaners["tokens' rates"] = lambda: _shrink(self.rates.tokens, self.rates.tokens.sweep)
        overload.cleaners["sessions"] = self.manager.sessions.sweep
        overload.cleaners["patients' rights"] = self.authenticator.prune
        if self.manager is default_manager:
            adopt(overload)
        return overload

    def operation_totals(self) -> tuple[int, int]:
        """Operations since the start, and those that failed: commands, broadcasts and requests."""
        manager, operations = self.manager, self.operations
        commands, _ = self.inlet.received_totals()
        return (
            commands + manager.broadcasts.operations + operations.requests,
            manager.faults + operations.failures,
        )

    def _check_accounts(self) -> None:
        broadcasts = self.manager.broadcasts
        if self._always_recounts or self.settings.records.check:
            broadcasts.accounts.check(broadcasts.records, recount=True)
        else:
            broadcasts.accounts.check()

    # -- settings

    async def reconfigure(self, settings: Settings) -> None:
        """Take the limits, rates, keys and rights of new settings.

        Open connections feel the limits, rates and rights; keys count from the next token on.
        What belongs to the listening socket (address, TLS, origins, proxies) and the store need a
        restart. Raises KeyFault or OSError for keys that cannot be used and changes nothing then.
        """
        auth, keys = settings.auth, self.verifier.keys
        # A set that is fetched is kept fresh anyway, and might not be there to be fetched right now.
        if auth.jwks_url is None or _key_settings(auth) != _key_settings(self.settings.auth):
            keys = KeyTable(auth, self.clock, self._fetch)
            await keys.load()
        self.verifier = self.authenticator.verifier = TokenVerifier(auth, keys, self.clock)
        self.revocations.configure(max_token_lifetime=auth.max_token_lifetime, leeway=auth.leeway)
        self.settings = settings
        self.manager.configure(settings)
        self.store_keeper.configure(settings)
        self.sign_in.configure(settings.operators)
        self._take_limits(settings)
        await self.rights.refresh(list(self.manager.connections.values()))

    def _take_limits(self, settings: Settings) -> None:
        inbound = settings.inbound
        for limits, size in (
            (self.read_limits, inbound.max_message_size),
            (self.newcomer_limits, inbound.max_message_size_unauthenticated),
        ):
            limits.max_message_size, limits.hard_message_size, limits.max_fragments = _sizes(size, inbound)
        self.budget.limit = inbound.max_unfinished_total
        for inlet in (self.inlet, self.echo_inlet):
            inlet.message_deadline = inbound.message_deadline
        self.rates.configure(settings.rate_limit)
        self.inlet.release_throttled()
        self.overload.configure(settings)

    # -- life

    async def start(self) -> None:
        """Load keys, open the audit and the store, bind to the running loop and begin.

        Raises what loading the keys raises, CannotOpenAudit and CannotOpenStore.
        """
        await self.verifier.keys.load()
        await self.audit.open()
        try:
            stored = await self.store_keeper.open(self.settings)
        except BaseException:
            await self.audit.close()
            raise
        if self.store_keeper.store.durability == "fsync":
            self.archive.begin(self.store_keeper.store, stored)
        loop = asyncio.get_running_loop()
        self.manager.hub.now = self.clock.monotonic()
        self.health.begin()
        # Of whoever had this manager before; this server is there to take connections.
        self.manager.refusals.clear()
        self.manager.bind(loop)
        self.housekeeping.start(loop)
        self.overload.signals.lag.start(loop)
        if self._watches_rights:
            self.rights.start()
        self.started_at = time.time()
        self.running = True

    @property
    def draining(self) -> bool:
        """Whether clients are sent away, or have been: nobody is let in."""
        return self.manager.draining or not self.running

    async def drain(self, timeout: float | None = None) -> int:
        """Send every client away as ``graceful_shutdown`` does, for good; returns how many there were."""
        await self._leave_off()
        self.departure = None
        self._begin_to_go()
        return await graceful_shutdown(self.manager, timeout)

    def start_drain(self, plan: ShutdownSettings | None = None) -> Drain:
        """Begin to send every client away while the server goes on, until ``cancel_drain``.

        While such a drain is in force it is returned, and a new plan is not looked at.
        """
        if self.departure is None:
            self._begin_to_go()
            self.departure = Drain(self.manager, plan or self.settings.shutdown)
            self._departing = asyncio.ensure_future(self._depart(self.departure))
        return self.departure

    async def cancel_drain(self) -> Drain | None:
        """Welcome clients again, and keep those who were told to go and have not been closed yet.

        Returns the drain that was in force. Does nothing when there is none, so a server that
        goes down for good is not stopped from it.
        """
        departure, self.departure = self.departure, None
        if departure is not None:
            # Before the first await: another drain may begin meanwhile.
            self.manager.set_accept_connections(True, cause=DRAIN)
            self.inlet.abort_reason = DROP_REASONS.index("closed")
            await self._leave_off()
        return departure

    async def _depart(self, departure: Drain) -> None:
        try:
            await departure.run()
        except Exception:
            report_incident("draining")

    async def _leave_off(self) -> None:
        departing, self._departing = self._departing, None
        if departing is not None:
            departing.cancel()
            await asyncio.wait([departing])

    def _begin_to_go(self) -> None:
        self.manager.set_accept_connections(False, cause=DRAIN)
        self.inlet.abort_reason = DROP_REASONS.index("shutdown")
        # Strangers have nothing to lose, and waiting for them would hold up the end.
        self.admission.dismiss()
        self.echo_inlet.abort_all()

    async def stop(self) -> None:
        """End what is left at once and let go of the loop. May be called twice."""
        if not self.running:
            return
        self.running = False
        await self._leave_off()
        self._begin_to_go()
        # What is stored by now is still delivered, and its publishers are told.
        await self.store_keeper.flush()
        for metadata in list(self.manager.connections.values()):
            self.manager.disconnect(metadata.connection_id, "server_shutdown", code=CloseCode.GOING_AWAY)
        self.manager.send_message_batch()
        await self.rights.close()
        await self.admission.close()
        await self.router.close()
        await self.idempotency.close()
        for inlet in (self.inlet, self.echo_inlet):
            inlet.abort_all()
        # Aborted transports report in the loop's next turns.
        for _ in range(100):
            if not self.manager.hub.open_count:
                break
            await asyncio.sleep(0.01)
        self.housekeeping.stop()
        self.overload.signals.lag.stop()
        self.overload.close()
        await self.authenticator.close()
        self.sign_in.close()
        self.archive.end()
        await self.store_keeper.close()
        await self.audit.close()
        self.manager.bind(None)
        # Whoever has this manager next begins afresh.
        self.departure = None
        self.manager.set_accept_connections(True, cause=DRAIN)

    # -- tokens and rights

    async def revoke(
        self,
        *,
        user_id: str | None = None,
        token_id: str | None = None,
        patients: Collection[str] | None = None,
    ) -> int:
        """Take back a user's tokens, one token, or a user's right to some patients; at once.

        Returns the open connections it concerned. With ``patients`` they stay open and lose
        what they may not see any more; otherwise they are closed with 4511.
        """
        if user_id is not None and patients is not None:
            self.revocations.revoke_patients(user_id, patients)
            for patient_id in patients:
                self.manager.access_notes.withdrawn(user_id, patient_id)
        elif user_id is not None:
            self.revocations.revoke_user(user_id)
        if token_id is not None:
            self.revocations.revoke_token(token_id)
        if patients is None:
            self.manager.sessions.forget(user_id=user_id, token_id=token_id)
        concerned = [
            one
            for one in self.manager.connections.values()
            if one.user_id == user_id or (token_id is not None and one.principal.token_id == token_id)
        ]
        if patients is not None:
            self.rights.withdraw(concerned, patients)
        await self.rights.refresh(concerned)
        return len(concerned)

    def _look_after_token(self, metadata: ConnectionMetadata) -> None:
        expires_at = metadata.principal.expires_at
        if expires_at == NEVER:
            return
        now = self.clock.time()
        warn_at = max(expires_at - EXPIRY_WARNING, now + (expires_at - now) / 2)
        metadata.expiry_due = self.expiries.add(warn_at, metadata.connection_id)
        # Entries of renewed tokens and of connections that are gone would pile up until their time.
        if len(self.expiries) > 2 * len(self.manager.connections) + 1024:
            self.expiries.keep(self._is_due_then)

    def _is_due_then(self, second: int, connection_id: str) -> bool:
        metadata = self.manager.connections.get(connection_id)
        return metadata is not None and metadata.expiry_due == second

    def _end_expired(self) -> None:
        now = self.clock.time()
        for connection_id in self.expiries.due(now):
            metadata = self.manager.connections.get(connection_id)
            if metadata is None:
                continue
            left = metadata.principal.expires_at - now
            if left <= 0:
                self.manager.withdraw_all(metadata)
                self.router.refuse(metadata, ServerError(AUTHENTICATION_FAILED, "The token has expired."))
                self.manager.disconnect(connection_id, "token expired", code=CloseCode.AUTHENTICATION_EXPIRED)
            elif not metadata.expiry_warned and left <= EXPIRY_WARNING:
                metadata.expiry_warned = True
                metadata.say(control.TokenExpiring(expires_in=round(left, 3)))
                metadata.expiry_due = self.expiries.add(metadata.principal.expires_at, connection_id)


def _key_settings(auth: AuthSettings) -> tuple[object, ...]:
    """What a change of makes it necessary to look for keys anew."""
    return (
        auth.algorithms,
        auth.secret,
        auth.public_key,
        auth.jwks_url,
        auth.jwks_file,
        auth.jwks_refresh_min,
    )


def _shrink(table: Sized, clean: Callable[[], object]) -> int:
    """By how many entries a table gets smaller."""
    before = len(table)
    clean()
    return before - len(table)


def _sizes(limit: int, inbound: InboundSettings) -> tuple[int, int, int]:
    """What ``ReadLimits`` is made of: beyond twice the limit a message is not even swallowed."""
    return limit, 2 * limit, inbound.max_fragments
