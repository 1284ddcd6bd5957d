"""How fast clients may come: what each connection, each user and each REST token may send."""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any, Final, Literal

from wsserver.clock import Clock
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.errors import RATE_LIMIT, ServerError
from wsserver.load.bucket_table import BucketTable
from wsserver.loop.housekeeping import TICK
from wsserver.settings import RateLimitSettings
from wsserver_core.buckets import BYTES, CONTROL, MESSAGES, OFFENCES, SUBSCRIBES, RateLimits
from wsserver_core.filters import Program

Scope = Literal["connection", "user", "token"]
Limit = Literal["messages", "subscribes", "control", "requests", "offences"]

REFUSED_FILTER_COST: Final = 9.0
"""What a subscribe with a filter that is refused costs besides its own 1.

A plain one takes 30 µs, but to find out that of eight patterns the last is too expensive takes 1.4 ms. Not
counted as malformed commands are: those end the connection for good, and this may be somebody typing.
"""

PATTERN_COST: Final = 4.0
"""What each pattern of a filter costs that nobody has used before: to compile and try it takes 180 µs."""

STAY_AWAY: Final = 5.0
"""Seconds that a client is told to stay away at least when it is closed for going on and on."""

OFFENDERS: Final = 10
"""Connections of one user that may be closed shortly after each other for what they sent."""

FORGIVEN_AFTER: Final = 10.0
"""Seconds after which one of them is forgiven. In debt, no new connection of the user is taken."""

_SCOPES: Final[tuple[tuple[Scope, Limit], ...]] = (
    ("connection", "messages"),
    ("connection", "subscribes"),
    ("connection", "control"),
    ("user", "messages"),
    ("user", "subscribes"),
    ("user", "offences"),
    ("token", "requests"),
)


class RateLimiter:
    """The token buckets of one server and the errors they give rise to.

    Those of a connection lie in the core, which counts its messages, control frames and bytes by
    itself. Those of users are over all their connections and outlive them: to reconnect refills
    nothing. Too many bytes are never refused; their sender is not read for a while.

    Most users have one connection, and its rates are the lower ones. So a user is counted only from the
    second connection on, or once a connection has left and what it had spent was put down for the user.
    """

    def __init__(self, settings: RateLimitSettings, clock: Clock, open_by_user: Mapping[str, int]) -> None:
        """``open_by_user`` says how many connections each user has; a live view."""
        self._open_by_user = open_by_user
        self._counts_everybody = False
        self._newest_program = 0
        self.connections = RateLimits()
        """What the core counts, for the inlet of clients."""
        self.users = BucketTable(clock)
        self.tokens = BucketTable(clock)
        self.refused: dict[tuple[Scope, Limit], int] = dict.fromkeys(_SCOPES, 0)
        """What was refused since the start, by whose limit and by what was limited."""
        self.offenders = 0
        """Connections closed with 4110 since the start."""
        self.configure(settings)

    def configure(self, settings: RateLimitSettings) -> None:
        """Take new rates. They count at once, also for what is open."""
        one, users = self.connections, self.users.limits
        one.set(MESSAGES, settings.messages_per_second, settings.burst)
        one.set(BYTES, settings.bytes_per_second, settings.byte_burst)
        one.set(SUBSCRIBES, settings.subscribes_per_second, settings.subscribe_burst)
        one.set(CONTROL, settings.control_per_second, settings.control_burst)
        one.set(OFFENCES, settings.refusals_forgiven_per_second, settings.refusals)
        users.set(MESSAGES, settings.user_messages_per_second, settings.user_burst)
        users.set(BYTES, settings.user_bytes_per_second, settings.user_byte_burst)
        users.set(SUBSCRIBES, settings.user_subscribes_per_second, settings.user_subscribe_burst)
        users.set(OFFENCES, 1 / FORGIVEN_AFTER, OFFENDERS)
        self._counts_everybody = (
            settings.user_messages_per_second < settings.messages_per_second
            or settings.user_burst < settings.burst
            or settings.user_bytes_per_second < settings.bytes_per_second
            or settings.user_byte_burst < settings.byte_burst
            or settings.user_subscribes_per_second < settings.subscribes_per_second
            or settings.user_subscribe_burst < settings.subscribe_burst
        )
        self.tokens.limits.set(MESSAGES, settings.requests_per_second or 0.0, settings.request_burst)

    # -- what is taken

    def take_message(self, metadata: ConnectionMetadata, size: int, unpacked: int = 0) -> ServerError | None:
        """Count a message, which is within its connection's rate, against its user's.

        ``unpacked`` are the bytes that it makes beyond the ``size`` that was received. They count
        like those, also against the rate of the connection.

        Returns the error to tell when there were too many; then nothing is to be done for it. A user
        who sends too many bytes is not read on this connection for a while.
        """
        if unpacked:
            wait = metadata.link.charge(BYTES, unpacked)
            if wait:
                metadata.link.throttle(wait)
        if not self._is_counted(metadata.user_id):
            return None
        self.take_bytes(metadata, size + unpacked)
        wait = self.users.spend(metadata.user_id, MESSAGES)
        return self._refusal("user", "messages", wait) if wait else None

    def take_bytes(self, metadata: ConnectionMetadata, size: int) -> None:
        """Count bytes of a message against its user's rate."""
        if not self._is_counted(metadata.user_id):
            return
        wait = self.users.charge(metadata.user_id, BYTES, size)
        if wait:
            metadata.link.throttle(wait)

    def take_subscribe(self, metadata: ConnectionMetadata) -> None:
        """Count a command that works on the index; raises ServerError 1010 when there were too many."""
        wait = metadata.link.spend(SUBSCRIBES, 1.0)
        if wait:
            raise self._refusal("connection", "subscribes", wait + TICK)
        if not self._is_counted(metadata.user_id):
            return
        wait = self.users.spend(metadata.user_id, SUBSCRIBES)
        if wait:
            raise self._refusal("user", "subscribes", wait)

    def take_topics(
        self, metadata: ConnectionMetadata, topics: Iterable[str]
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Count the subscriptions that a client names when it connects.

        Returns those within the rates and the members of the ``error`` messages for the others.
        """
        within: list[str] = []
        errors: list[dict[str, Any]] = []
        for topic in topics:
            try:
                self.take_subscribe(metadata)
            except ServerError as error:
                errors.append({**error.as_dict(), "topic": topic[:130]})
            else:
                within.append(topic)
        return within, errors

    def charge_refused_filter(self, metadata: ConnectionMetadata) -> None:
        """Let a filter that had to be looked at to be refused cost more than one that is taken."""
        self._charge_subscribes(metadata, REFUSED_FILTER_COST)

    def charge_patterns(self, metadata: ConnectionMetadata, program: Program) -> None:
        """Let a filter with patterns that had to be compiled cost more than one that was there already."""
        if program.serial <= self._newest_program:
            return
        self._newest_program = program.serial
        self._charge_subscribes(metadata, PATTERN_COST * len(program.patterns))

    def _charge_subscribes(self, metadata: ConnectionMetadata, cost: float) -> None:
        metadata.link.charge(SUBSCRIBES, cost)
        if self._is_counted(metadata.user_id):
            self.users.charge(metadata.user_id, SUBSCRIBES, cost)

    def take_request(self, subject: str) -> None:
        """Count a REST request of a token's subject; raises ServerError 1010 when there were too many."""
        wait = self.tokens.spend(subject, MESSAGES)
        if wait:
            raise self._refusal("token", "requests", wait)

    def is_held_off(self, user_id: str) -> bool:
        """Whether a user must wait because too many connections were closed for what they sent."""
        return self.users.debt(user_id, OFFENCES) > 0

    def check_entry(self, user_id: str) -> None:
        """Raise ServerError 1010 for a user too many of whose connections were closed for what they sent."""
        wait = self.users.debt(user_id, OFFENCES)
        if wait:
            raise self._refusal("user", "offences", wait)

    def leave(self, metadata: ConnectionMetadata) -> None:
        """Put down for its user what a connection that leaves has spent, unless it was counted already."""
        user_id = metadata.user_id
        if self._is_counted(user_id):
            return
        for kind in (MESSAGES, BYTES, SUBSCRIBES):
            spent = metadata.link.spent(kind)
            if spent:
                self.users.charge(user_id, kind, spent)

    def _is_counted(self, user_id: str) -> bool:
        return self._counts_everybody or user_id in self.users or self._open_by_user.get(user_id, 0) > 1

    # -- those who go on

    def flood(self, limit: Literal["messages", "control"], wait: float) -> ServerError:
        """The error for a frame that the core has refused; ``wait`` is what the core said."""
        # The core's clock moves once a tick: whoever comes right on time may still find it behind.
        return self._refusal("connection", limit, wait + TICK)

    def offend(self, metadata: ConnectionMetadata) -> bool:
        """Count a refusal; True when the connection has run up too many and is to be closed."""
        return metadata.link.spend(OFFENCES, 1.0) > 0

    def expel(self, error: ServerError) -> None:
        """Let ``error``, which goes before a close with 4110, say how long to stay away."""
        self.offenders += 1
        error.retry_after_ms = max(error.retry_after_ms or 0, _milliseconds(STAY_AWAY))

    def hold_against(self, user_id: str) -> None:
        """Note that a connection of a user is closed for what it sent, be it too much or nonsense."""
        self.users.charge(user_id, OFFENCES)

    # -- housekeeping and figures

    def sweep(self) -> None:
        """Forget users and tokens that owe nothing."""
        self.users.sweep()
        self.tokens.sweep()

    def get_metrics(self) -> dict[str, Any]:
        """Figures since the start; the tables are as of now.

        ``refused`` is by scope and limit, a closed set of names such as ``user_messages``.
        """
        return {
            "refused": {f"{scope}_{limit}": count for (scope, limit), count in self.refused.items()},
            "offenders_closed": self.offenders,
            "users": len(self.users),
            "tokens": len(self.tokens),
        }

    def _refusal(self, scope: Scope, limit: Limit, wait: float) -> ServerError:
        self.refused[scope, limit] += 1
        return ServerError(
            RATE_LIMIT,
            _TEXTS[limit],
            details={"scope": scope, "limit": limit},
            retry_after_ms=_milliseconds(wait),
        )


_TEXTS: Final[dict[Limit, str]] = {
    "messages": "Too many messages.",
    "subscribes": "Too many subscribe, unsubscribe and refresh commands.",
    "control": "Too many pings and pongs.",
    "requests": "Too many requests.",
    "offences": "Too many connections of this user were closed for what they sent.",
}


def _milliseconds(seconds: float) -> int:
    return ceil(seconds * 1000)
