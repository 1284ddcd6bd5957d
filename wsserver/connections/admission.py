"""From an open socket to a connection: credentials, limits, ``connected``."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from wsserver.access.authenticator import TokenReader
from wsserver.access.principal import Principal
from wsserver.access.refusal import AuthenticationFailed, Reason
from wsserver.connection_manager import ConnectionManager
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.connections.newcomer import Newcomer
from wsserver.errors import (
    AUTHENTICATION_FAILED,
    BINARY_PROTOCOL_ERROR,
    CONNECTION_LIMIT,
    INTERNAL_ERROR,
    INVALID_MESSAGE,
    RATE_LIMIT,
    SHUTTING_DOWN,
    CloseCode,
    ServerError,
)
from wsserver.ids import InvalidId, canonical_id
from wsserver.incidents import internal_error
from wsserver.loop.patience import at_most
from wsserver.loop.turnstile import Turnstile
from wsserver.message_router import MAX_BINARY_FAULTS, MessageRouter
from wsserver.protocol import commands, control
from wsserver.rate_limiter import RateLimiter
from wsserver.sessions.resumption import Resumption, send_connected
from wsserver.sessions.session import Session, lost_beyond
from wsserver_core.connection import PAUSED_FOR_CREDENTIALS
from wsserver_core.frames import TEXT, ReadLimits

MAX_FAULTS: Final = 3
"""Frames other than a valid ``connect`` that a newcomer may send."""

HOLD_OFF: Final = 1.0
"""Seconds for which it is put off to refuse a user whose connections were closed for what they sent.

Who comes back at once comes once a second then; without it a loop of handshakes took half a processor.
"""

MOST_HELD_OFF: Final = 10
"""Handshakes of one user that wait so; more than these are refused at once."""


class Admission:
    """Lets newcomers in, or tells them why not and closes."""

    def __init__(
        self,
        manager: ConnectionManager,
        authenticator: TokenReader,
        router: MessageRouter,
        rates: RateLimiter,
        *,
        read_limits: ReadLimits,
        admitted: Callable[[ConnectionMetadata], None],
    ) -> None:
        """``read_limits`` hold from admission on; ``admitted`` is called with each new connection."""
        self._manager = manager
        self._authenticator = authenticator
        self._router = router
        self._rates = rates
        self._read_limits = read_limits
        self._admitted = admitted
        self.turnstile = Turnstile(manager.loop_port)
        """Where newcomers wait for their turn, with the handshake and again with their first frame."""
        self._deadlines: dict[Newcomer, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held_off: Counter[str] = Counter()

    def __len__(self) -> int:
        """Newcomers who have not proved anything yet."""
        return len(self._deadlines)

    # -- waiting for the first frame

    def expect(self, newcomer: Newcomer) -> None:
        """Give a newcomer ``auth.timeout`` seconds for its credentials."""
        self._deadlines[newcomer] = self._manager.clock.monotonic() + self._manager.settings.auth.timeout

    def tick(self) -> None:
        """Send those away whose time is up."""
        now = self._manager.clock.monotonic()
        for newcomer, deadline in list(self._deadlines.items()):
            if deadline > now:
                break
            self._refuse(
                newcomer,
                ServerError(AUTHENTICATION_FAILED, "No credentials came in time."),
                CloseCode.AUTHENTICATION_EXPIRED,
            )

    def dismiss(self) -> None:
        """Send away all who wait: the server goes down."""
        for newcomer in list(self._deadlines):
            self._refuse(newcomer, ServerError(SHUTTING_DOWN), CloseCode.DRAIN)

    def left(self, newcomer: Newcomer) -> None:
        """The socket is gone."""
        self._deadlines.pop(newcomer, None)
        newcomer.waiting.clear()

    def first_frame(self, newcomer: Newcomer, opcode: int, payload: bytes) -> None:
        """Take a frame from a newcomer: ``connect``, or a fault. Never raises."""
        if newcomer.busy:
            newcomer.waiting.append((opcode, payload))
            return
        request_id: str | None = None
        try:
            if opcode != TEXT and not newcomer.encoding.is_binary:
                raise ServerError(INVALID_MESSAGE, "The first frame must be a connect command as text.")
            limit = newcomer.connection.reader.limits.max_message_size
            command = newcomer.encoding.command(opcode, payload, limit)
            request_id = command.request_id
            if not isinstance(command, commands.Connect):
                raise ServerError(AUTHENTICATION_FAILED, "The first command must be connect.")
        except ServerError as error:
            self._first_fault(newcomer, error, request_id)
            return
        newcomer.busy = True
        # Nothing more is read meanwhile: the kernel's window bounds what can pile up.
        newcomer.connection.pause_reading(PAUSED_FOR_CREDENTIALS)
        task = asyncio.ensure_future(self._authenticate(newcomer, command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _first_fault(self, newcomer: Newcomer, error: ServerError, request_id: str | None) -> None:
        newcomer.faults += 1
        newcomer.binary_faults += error.kind is BINARY_PROTOCOL_ERROR
        if newcomer.binary_faults >= MAX_BINARY_FAULTS:
            self._refuse(newcomer, error, CloseCode.BINARY_PROTOCOL, request_id)
        elif newcomer.faults >= MAX_FAULTS:
            self._refuse(newcomer, error, CloseCode.TOO_MANY_ERRORS, request_id)
        else:
            self._tell(newcomer, error, request_id)

    async def _authenticate(self, newcomer: Newcomer, command: commands.Connect) -> None:
        await self.turnstile.passed()
        proof = newcomer.proof
        outcome = await self.check(command.token) if proof is None else proof(command.token)
        self.admit(
            newcomer,
            outcome,
            request_id=command.request_id,
            user_id=command.user_id,
            role=command.role,
            patient_id=command.patient_id,
            subscriptions=command.subscriptions,
            session=command.session,
        )
        newcomer.connection.resume_reading(PAUSED_FOR_CREDENTIALS)

    async def check(self, token: str) -> Principal | ServerError:
        """Who a token stands for, or the error to tell. Never raises a fault of ours at the client."""
        outcome = await self._identify(token)
        if isinstance(outcome, Principal) and self._rates.is_held_off(outcome.user_id):
            await self._hold_off(outcome.user_id)
        return outcome

    async def _hold_off(self, user_id: str) -> None:
        if self._held_off[user_id] >= MOST_HELD_OFF:
            return
        self._held_off[user_id] += 1
        try:
            await asyncio.sleep(HOLD_OFF)
        finally:
            self._held_off[user_id] -= 1
            if not self._held_off[user_id]:
                del self._held_off[user_id]

    async def _identify(self, token: str) -> Principal | ServerError:
        try:
            return await at_most(self._manager.settings.auth.timeout, self._authenticator.authenticate(token))
        except ServerError as error:
            return error
        except TimeoutError:
            return ServerError(AUTHENTICATION_FAILED, "The token could not be checked in time.")
        except Exception:
            return internal_error("checking a token")

    # -- the decision

    def admit(
        self,
        newcomer: Newcomer,
        outcome: Principal | ServerError,
        *,
        request_id: str | None = None,
        user_id: str | int | None = None,
        role: str | None = None,
        patient_id: str | int | None = None,
        subscriptions: Iterable[str] = (),
        session: commands.Session | None = None,
    ) -> None:
        """Let a newcomer in whose credentials have been checked, or tell it why not and close.

        What the client said of itself must agree with its token. With a ``session`` that is its
        own it goes on where that one was.
        """
        connection = newcomer.connection
        if not connection.is_open or connection.owner is not newcomer:
            return
        newcomer.busy = False
        if isinstance(outcome, ServerError):
            # Not raised here: its traceback would lead to this call, which knows it as its argument, and the
            # two would keep the socket until garbage is looked for.
            self._refuse(newcomer, outcome, _close_code(outcome), request_id)
            return
        try:
            # The leeway is for judging a token, not for living on one that has run out.
            if outcome.expires_at <= self._manager.clock.time():
                raise AuthenticationFailed(Reason.EXPIRED)
            _check_claims(outcome, user_id, role)
            self._rates.check_entry(outcome.user_id)
            former = None if session is None else self._former_session(session, outcome)
            connection_id = self._manager.connect(
                connection,
                outcome.user_id,
                outcome.role,
                patient_id,
                principal=outcome,
                resuming=former is not None,
            )
        except ServerError as error:
            self._refuse(newcomer, error, _close_code(error), request_id)
            return
        self._deadlines.pop(newcomer, None)
        metadata = self._manager.connections[connection_id]
        metadata.leave = newcomer.leave
        connection.owner = metadata
        connection.reader.limits = self._read_limits
        try:
            if former is not None and session is not None:
                Resumption(self._manager, self._router, self._rates, metadata, request_id).begin(
                    former, session, subscriptions
                )
            else:
                self._welcome(metadata, request_id, subscriptions, session)
        except Exception:
            self._router.refuse(metadata, internal_error("admitting a client"), request_id)
            self._manager.disconnect(connection_id, "internal error", code=CloseCode.INTERNAL)
            return
        self._admitted(metadata)
        for opcode, payload in newcomer.waiting:
            if connection.is_open:
                self._router.route(metadata, opcode, payload)

    def _former_session(self, session: commands.Session, principal: Principal) -> Session | None:
        """The session that a client may take up; its connection is ended if that is still open.

        Raises ServerError 1002 or 1013 for a client that cannot come in, and ends nothing then.
        """
        manager = self._manager
        found = manager.sessions.find(session.id, principal.user_id)
        if isinstance(found, ConnectionMetadata):
            manager.check_accepting(resuming=True)
            manager.limits.check_instead(principal.user_id, principal.role, found.role)
            # What it has not sent yet goes by the new socket.
            manager.withdraw_all(found)
            manager.disconnect(found.connection_id, "superseded", code=CloseCode.SUPERSEDED)
            manager.sessions.taken_over += 1
            found = manager.sessions.find(session.id, principal.user_id)
        if found is None:
            manager.sessions.unknown += 1
        return found if isinstance(found, Session) else None

    def _welcome(
        self,
        metadata: ConnectionMetadata,
        request_id: str | None,
        subscriptions: Iterable[str],
        session: commands.Session | None,
    ) -> None:
        within, refused = self._rates.take_topics(metadata, subscriptions)
        made, errors = self._manager.subscription_manager.initialize_subscriptions(
            metadata.connection_id, within
        )
        state = None
        if session is not None:
            # Why it was not resumed is not told: whoever guesses must not learn from it.
            gaps = lost_beyond(session.cursor, self._manager.broadcasts.logs)
            state = control.SessionState(resumed=False, replayed=0, gaps=gaps)
        session_id = self._manager.sessions.open(metadata)
        send_connected(self._manager, metadata, request_id, state, made, errors + refused, session_id)

    def _tell(self, newcomer: Newcomer, error: ServerError, request_id: str | None = None) -> None:
        self._manager.faults += 1
        request_id = request_id or getattr(error, "request_id", None)
        newcomer.say(control.Error.of(error, request_id))

    def _refuse(
        self, newcomer: Newcomer, error: ServerError, code: int, request_id: str | None = None
    ) -> None:
        self._deadlines.pop(newcomer, None)
        self._tell(newcomer, error, request_id)
        newcomer.connection.close(code, error.kind.name)

    async def close(self) -> None:
        """Stop checks under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def _check_claims(principal: Principal, user_id: str | int | None, role: str | None) -> None:
    """The token decides who it is; what the client says besides only has to agree."""
    try:
        said = None if user_id is None else canonical_id(user_id, "user_id")
    except InvalidId as error:
        raise ServerError(AUTHENTICATION_FAILED, str(error)) from None
    if said not in (None, principal.user_id) or role not in (None, principal.role):
        raise ServerError(AUTHENTICATION_FAILED, "user_id and role must be those of the token.")


def _close_code(error: ServerError) -> CloseCode:
    if error.kind is CONNECTION_LIMIT:
        return CloseCode.CONNECTION_LIMIT
    if error.kind is RATE_LIMIT:
        return CloseCode.RATE_LIMIT
    if error.kind is SHUTTING_DOWN:
        return CloseCode.DRAIN
    if error.kind is INTERNAL_ERROR:
        return CloseCode.INTERNAL
    if isinstance(error, AuthenticationFailed) and error.reason is Reason.EXPIRED:
        return CloseCode.AUTHENTICATION_EXPIRED
    return CloseCode.AUTHENTICATION_FAILED
