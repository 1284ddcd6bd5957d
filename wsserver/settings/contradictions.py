"""Settings that cannot hold together, and settings that can but may surprise."""

import ipaddress
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from wsserver.ids import ID_RULE, InvalidId, canonical_id
from wsserver.loop.housekeeping import TICK
from wsserver.settings.catalogue import did_you_mean, nearest
from wsserver.settings.flow import BackpressureSettings
from wsserver.settings.keys import find_key_faults
from wsserver.settings.network import is_loopback
from wsserver.settings.operation import CRITICAL_SHARE, WARNING_SHARE
from wsserver.settings.operators import HASH_SHAPE, OperatorsSettings
from wsserver.settings.roles import EVERY, RoleSettings
from wsserver.settings.sections import ConnectionSettings, Settings
from wsserver.settings.store_url import BadStoreUrl, store_path
from wsserver.settings.units import format_duration, format_size

ROOM_PER_MESSAGE: Final = 1024
"""Bytes that a waiting or stored message may take besides its own."""

DATA_SHARE: Final = 0.8
"""The part of the budget for all queues that data may fill once its publishers have had to wait."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A fault between settings: the names that take part, the one to look at first in front."""

    keys: tuple[str, ...]
    text: str


def find_contradictions(settings: Settings) -> list[Contradiction]:
    """Everything in these settings that cannot hold, whatever single values are allowed."""
    return [
        *_limits(settings),
        *_sizes(settings),
        *_times(settings),
        *_rates(settings),
        *_alerts(settings),
        *_importance(settings.backpressure),
        *_network(settings),
        *_store(settings),
        *_audit(settings),
        *(Contradiction(keys, text) for keys, text in find_key_faults(settings.auth)),
        *_roles(settings.access.roles),
        *_operators(settings.operators),
    ]


def find_surprises(settings: Settings) -> list[str]:
    """What is allowed and may not be meant, one sentence each."""
    return [*_capacity(settings), *_bursts(settings), *_exposure(settings)]


def _limits(settings: Settings) -> Iterator[Contradiction]:
    connection, subscription = settings.connection, settings.subscription
    whole = connection.max_connections
    # A default that a small server outgrows downwards is no fault of whoever set it up.
    usual = ConnectionSettings()
    for key, part in (
        ("connection.max_connections_per_user", connection.max_connections_per_user),
        ("connection.max_per_ip", connection.max_per_ip),
    ):
        if part is not None and part > whole and part != usual.max_connections_per_user:
            yield _over(key, part, "connection.max_connections", whole)
    per_role = connection.max_connections_per_role
    if isinstance(per_role, int) and per_role > whole and per_role != usual.max_connections_per_role:
        yield _over("connection.max_connections_per_role", per_role, "connection.max_connections", whole)
    elif isinstance(per_role, dict):
        for role, part in per_role.items():
            key = "connection.max_connections_per_role"
            if part > whole:
                text = f"{part} for {role} is over connection.max_connections ({whole})"
                yield Contradiction((key, "connection.max_connections"), text)
            if role not in settings.access.roles:
                guess = did_you_mean(nearest(role, settings.access.roles))
                yield Contradiction((key, "access.roles"), f"{role!r} is no role of access.roles{guess}")
    if subscription.max_per_connection > subscription.max_global:
        yield _over(
            "subscription.max_per_connection", subscription.max_per_connection,
            "subscription.max_global", subscription.max_global,
        )  # fmt: skip


def _over(key: str, part: int, whole_key: str, whole: int) -> Contradiction:
    return Contradiction((key, whole_key), f"{part} is over {whole_key} ({whole})")


def _sizes(settings: Settings) -> Iterator[Contradiction]:
    inbound, queue = settings.inbound, settings.backpressure
    ordered = (
        ("inbound.max_message_size_unauthenticated", inbound.max_message_size_unauthenticated,
         "inbound.max_message_size", inbound.max_message_size, ""),
        # A message up to twice the limit is swallowed before it is refused.
        ("inbound.max_message_size", 2 * inbound.max_message_size,
         "inbound.max_unfinished_total", inbound.max_unfinished_total, "twice its value, "),
        ("broadcast.max_message_size", settings.broadcast.max_message_size,
         "backpressure.max_queue_bytes", queue.max_queue_bytes, ""),
        ("backpressure.max_queue_bytes", queue.max_queue_bytes,
         "backpressure.max_total_bytes", queue.max_total_bytes, ""),
        ("history.bytes", settings.history.bytes,
         "history.max_total_bytes", settings.history.max_total_bytes, ""),
    )  # fmt: skip
    for key, part, whole_key, whole, how in ordered:
        if part > whole:
            yield Contradiction(
                (key, whole_key), f"{how}{format_size(part)}, is over {whole_key} ({format_size(whole)})"
            )
    largest = settings.broadcast.max_message_size
    if largest > DATA_SHARE * queue.max_total_bytes:
        yield Contradiction(
            ("broadcast.max_message_size", "backpressure.max_total_bytes"),
            f"{format_size(largest)} is over {DATA_SHARE:.0%} of backpressure.max_total_bytes "
            f"({format_size(queue.max_total_bytes)}): such a message might never be let in",
        )


def _times(settings: Settings) -> Iterator[Contradiction]:
    for key, shorter, longer_key, longer in (
        ("connection.heartbeat_interval", settings.connection.heartbeat_interval,
         "connection.timeout", settings.connection.timeout),
        ("broadcast.flush_interval", settings.broadcast.flush_interval,
         "broadcast.timeout", settings.broadcast.timeout),
        ("broadcast.timeout", settings.broadcast.timeout,
         "backpressure.slow_timeout", settings.backpressure.slow_timeout),
    ):  # fmt: skip
        if shorter >= longer:
            yield Contradiction(
                (key, longer_key),
                f"{format_duration(shorter)} must be below {longer_key} ({format_duration(longer)})",
            )
    shutdown = settings.shutdown
    if shutdown.timeout and shutdown.notice >= shutdown.timeout:
        yield Contradiction(
            ("shutdown.notice", "shutdown.timeout"),
            f"{format_duration(shutdown.notice)} must be below shutdown.timeout "
            f"({format_duration(shutdown.timeout)}), or nobody is left time to be closed",
        )


def _alerts(settings: Settings) -> Iterator[Contradiction]:
    alerts, overload = settings.alerts, settings.overload
    for name in ("error_rate", "latency", "memory_usage", "loop_lag", "descriptors", "slow_connections"):
        warning, critical = getattr(alerts, f"{name}_warning"), getattr(alerts, f"{name}_critical")
        if warning > critical:
            yield _above(f"alerts.{name}_warning", warning, f"alerts.{name}_critical", critical)
    yield from _connection_alerts(settings)
    if overload.cleanup_at > overload.enter_at:
        yield _above("overload.cleanup_at", overload.cleanup_at, "overload.enter_at", overload.enter_at)
    if overload.leave_at >= overload.enter_at:
        # Without a gap the server would open and shut its door every second.
        yield Contradiction(
            ("overload.leave_at", "overload.enter_at"),
            f"{overload.leave_at:g} must be below overload.enter_at ({overload.enter_at:g})",
        )
    if alerts.webhook_url is not None and not _is_safe_url(alerts.webhook_url):
        yield Contradiction(
            ("alerts.webhook_url",), "must be an https: address, or http: to this machine, without a user"
        )


def _connection_alerts(settings: Settings) -> Iterator[Contradiction]:
    warning, critical = settings.alerts.connection_count_warning, settings.alerts.connection_count_critical
    most = settings.connection.max_connections
    for name, count in (("warning", warning), ("critical", critical)):
        if count is not None and count > most:
            yield _over(f"alerts.connection_count_{name}", count, "connection.max_connections", most)
    low = math.ceil(most * WARNING_SHARE) if warning is None else warning
    high = math.ceil(most * CRITICAL_SHARE) if critical is None else critical
    if low > high:
        yield _above("alerts.connection_count_warning", low, "alerts.connection_count_critical", high)


def _above(key: str, value: float, other_key: str, other: float) -> Contradiction:
    return Contradiction((key, other_key), f"{value:g} is above {other_key} ({other:g})")


def _is_safe_url(url: str) -> bool:
    """Whether what is posted there crosses no network in clear, and no password is in the address."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 -- raises for a port that is none
    except ValueError:
        return False
    if not parts.hostname or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))


def _importance(backpressure: BackpressureSettings) -> Iterator[Contradiction]:
    for severity in sorted({*backpressure.critical_severities} & {*backpressure.alert_severities}):
        yield Contradiction(
            ("backpressure.alert_severities", "backpressure.critical_severities"),
            f"{severity!r} is in backpressure.critical_severities, too",
        )


# What one connection may send, and how the same is called for all connections of a user.
_RATES: Final = (
    ("messages_per_second", "burst", "user_messages_per_second", "user_burst"),
    ("bytes_per_second", "byte_burst", "user_bytes_per_second", "user_byte_burst"),
    ("subscribes_per_second", "subscribe_burst", "user_subscribes_per_second", "user_subscribe_burst"),
)


def _rates(settings: Settings) -> Iterator[Contradiction]:
    limits = settings.rate_limit
    for rate_key, burst_key in (*(names[:2] for names in _RATES), ("control_per_second", "control_burst")):
        rate, burst = getattr(limits, rate_key), getattr(limits, burst_key)
        if burst < rate * TICK:
            yield Contradiction(
                (f"rate_limit.{burst_key}", f"rate_limit.{rate_key}"),
                f"{burst} is less than {TICK:g} s of rate_limit.{rate_key} ({_number(rate)}): the buckets "
                "are filled that often, so the rate could not be had",
            )


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _network(settings: Settings) -> Iterator[Contradiction]:
    server = settings.server
    if (server.tls_certificate is None) != (server.tls_key is None):
        given, missing = ("tls_key", "tls_certificate") if server.tls_key else ("tls_certificate", "tls_key")
        yield Contradiction((f"server.{missing}", f"server.{given}"), f"is needed with server.{given}")
    for proxy in server.trusted_proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError as fault:
            yield Contradiction(("server.trusted_proxies",), f"must list addresses or networks: {fault}")
    for origin in server.allowed_origins:
        try:
            parts = urlsplit(origin)
        except ValueError:
            parts = urlsplit("")
        bare = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != bare:
            problem = 'is no origin: scheme, host and port, such as "https://ward.example:8443"'
        elif origin != origin.lower() or "@" in origin or "*" in origin:
            problem = "never matches: browsers send lower case, no user and no *"
        else:
            continue
        yield Contradiction(("server.allowed_origins",), f"{origin!r} {problem}")


def _store(settings: Settings) -> Iterator[Contradiction]:
    store, size = settings.store, settings.broadcast.max_message_size
    for name in sorted({*store.durable_types} & {*store.volatile_types}):
        yield Contradiction(
            ("store.volatile_types", "store.durable_types"), f"{name!r} is in store.durable_types, too"
        )
    for key, room in (("max_pending_bytes", store.max_pending_bytes), ("max_bytes", store.max_bytes)):
        if room < size + ROOM_PER_MESSAGE:
            yield Contradiction(
                (f"store.{key}", "broadcast.max_message_size"),
                f"{format_size(room)} leaves no room for one message of broadcast.max_message_size "
                f"({format_size(size)})",
            )
    try:
        store_path(store.url)
    except BadStoreUrl as fault:
        yield Contradiction(("store.url",), str(fault))


def _audit(settings: Settings) -> Iterator[Contradiction]:
    if settings.audit.required and settings.audit.path is None:
        yield Contradiction(("audit.required", "audit.path"), "needs a file to write to: audit.path")


def _roles(roles: dict[str, RoleSettings]) -> Iterator[Contradiction]:
    def fault(role: str, text: str) -> Contradiction:
        return Contradiction(("access.roles",), f"{role}: {text}")

    if not roles:
        yield Contradiction(("access.roles",), "is empty: nobody could connect")
    for role, rights in roles.items():
        if not _is_id(role):
            yield fault(repr(role), f"a role's name must be {ID_RULE}")
        for kind, names in (("subscribe", rights.subscribe), ("publish_types", rights.publish_types)):
            if "*" in names and names != EVERY:
                yield fault(role, f'{kind}: "*" is every one, so it must stand alone')
        for name in rights.subscribe:
            if name == "type":
                yield fault(role, 'subscribe: "type" is no subscription type; name what follows "type:"')
            elif name != "*" and not _is_id(name):
                yield fault(role, f"subscribe: {name!r} is not {ID_RULE}")
        if bool(rights.publish) != bool(rights.publish_types):
            yield fault(role, "publish and publish_types must be given together")
        if rights.wildcard and not rights.subscribe:
            yield fault(role, "wildcard has no meaning without subscribe")
        if rights.break_glass and not {*rights.subscribe} & {"patient", *EVERY}:
            yield fault(role, 'break_glass has no meaning without "patient" in subscribe')


def _operators(operators: OperatorsSettings) -> Iterator[Contradiction]:
    for name, account in operators.accounts.items():
        if not _is_id(name):
            yield Contradiction(
                ("operators.accounts",), f"{name[:64]!r}: an account's name must be {ID_RULE}"
            )
        if HASH_SHAPE.fullmatch(account.password_hash) is None:
            yield Contradiction(
                ("operators.accounts",),
                f"{name[:64]}: password_hash must be what `wsserver hash-password` prints",
            )
    if operators.idle_timeout > operators.session_timeout:
        yield Contradiction(
            ("operators.idle_timeout", "operators.session_timeout"),
            f"{format_duration(operators.idle_timeout)} is over operators.session_timeout "
            f"({format_duration(operators.session_timeout)})",
        )


def _is_id(text: str) -> bool:
    try:
        canonical_id(text)
    except InvalidId:
        return False
    return True


def _capacity(settings: Settings) -> Iterator[str]:
    connection, roles = settings.connection, settings.access.roles
    per_role = connection.max_connections_per_role
    if isinstance(per_role, int):
        reachable = per_role * len(roles)
        if reachable < connection.max_connections:
            yield (
                f"connection.max_connections_per_role ({per_role}) with {len(roles)} roles ends at "
                f"{reachable} connections, before connection.max_connections ({connection.max_connections})."
            )
    each = settings.subscription.max_global / connection.max_connections
    if each < 1:
        yield (
            f"subscription.max_global ({settings.subscription.max_global}) leaves less than one subscription "
            f"for each of connection.max_connections ({connection.max_connections})."
        )


def _bursts(settings: Settings) -> Iterator[str]:
    limits, each = settings.rate_limit, settings.subscription.max_per_connection
    if limits.subscribe_burst < each:
        yield (
            f"rate_limit.subscribe_burst ({limits.subscribe_burst}) is less than "
            f"subscription.max_per_connection ({each}): a client that comes back cannot subscribe at once."
        )
    whole = each * settings.connection.max_connections_per_user
    if limits.user_subscribe_burst < whole:
        yield (
            f"rate_limit.user_subscribe_burst ({limits.user_subscribe_burst}) is less than what all "
            f"connections of a user may subscribe to ({whole}): they cannot come back at once."
        )
    for names in _RATES:
        for one, user in ((names[0], names[2]), (names[1], names[3])):
            if getattr(limits, user) < getattr(limits, one):
                yield (
                    f"rate_limit.{user} ({_number(getattr(limits, user))}) is less than rate_limit.{one} "
                    f"({_number(getattr(limits, one))}), so no connection can have that."
                )


def _exposure(settings: Settings) -> Iterator[str]:
    server = settings.server
    if server.tls_certificate is None and not is_loopback(server.host):
        yield (
            f"server.host is {server.host} and there is no server.tls_certificate: tokens and patients' data "
            "cross the network in clear, unless a proxy in front ends TLS."
        )
    if settings.auth.allow_query_token:
        yield "auth.allow_query_token is on: tokens in addresses end up in the logs of proxies."
    if any(ipaddress.ip_network(proxy).prefixlen == 0 for proxy in server.trusted_proxies):
        yield "server.trusted_proxies trusts everybody: any client can claim any address."
