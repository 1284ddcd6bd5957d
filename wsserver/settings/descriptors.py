"""File descriptors: each connection holds one, and the process may hold only so many."""

import dataclasses
import resource
from collections.abc import Callable

import msgspec

from wsserver.settings.loading import Loaded
from wsserver.settings.sections import ConnectionSettings

RESERVE = 256
"""Descriptors kept for REST calls, listening sockets, the event loop, logs and stores."""


class TooFewDescriptorsError(Exception):
    """The process may not open as many descriptors as its settings need; the text says what helps."""

    def __init__(self, needed: int, limit: int, possible: int) -> None:
        super().__init__(
            f"connection.max_connections needs {needed} file descriptors and this process may open {limit}: "
            f"raise the hard limit (ulimit -Hn {needed}; systemd: LimitNOFILE={needed}) "
            f"or set connection.max_connections to {possible}"
        )


def raise_descriptor_limit(
    needed: int,
    read: Callable[[int], tuple[int, int]] = resource.getrlimit,
    write: Callable[[int, tuple[int, int]], None] = resource.setrlimit,
) -> int:
    """Raise the soft limit to the hard one and return the limit that holds afterwards.

    Under an unlimited hard limit the kernel still refuses more than its ``nr_open``; then
    the soft limit becomes `needed`, if it was lower and the kernel allows that.
    """
    unlimited = resource.RLIM_INFINITY
    soft, hard = read(resource.RLIMIT_NOFILE)
    for wanted in (hard, needed):
        if soft != unlimited and (wanted == unlimited or wanted > soft):
            try:
                write(resource.RLIMIT_NOFILE, (wanted, hard))
            except (OSError, ValueError):
                continue
            soft = wanted
    return needed if soft == unlimited else soft


def fit_descriptors(
    loaded: Loaded, *, dev: bool, limit: Callable[[int], int] = raise_descriptor_limit
) -> Loaded:
    """The settings with as many connections as there are descriptors for.

    With `dev` the limits on connections are lowered, with a warning. Otherwise, or if not
    one connection would be left, raises TooFewDescriptorsError.
    """
    connection = loaded.settings.connection
    needed = connection.max_connections + connection.max_unauthenticated + RESERVE
    available = limit(needed)
    if available >= needed:
        return loaded
    spare = available - RESERVE
    # In development a tenth is room enough for those who still have to say who they are.
    newcomers = min(connection.max_unauthenticated, max(spare // 10, 1) if dev else needed)
    most = spare - newcomers
    if not dev or most < 1:
        raise TooFewDescriptorsError(needed, available, max(most, 0))
    lowered = msgspec.structs.replace(loaded.settings, connection=_lowered(connection, most, newcomers))
    warning = f"connection.max_connections is lowered to {most}: this process may open {available} files."
    return dataclasses.replace(loaded, settings=lowered, warnings=(*loaded.warnings, warning))


def _lowered(connection: ConnectionSettings, most: int, newcomers: int) -> ConnectionSettings:
    per_role = connection.max_connections_per_role
    if isinstance(per_role, dict):
        per_role = {role: min(count, most) for role, count in per_role.items()}
    elif per_role is not None:
        per_role = min(per_role, most)
    return msgspec.structs.replace(
        connection,
        max_connections=most,
        max_unauthenticated=newcomers,
        max_connections_per_user=min(connection.max_connections_per_user, most),
        max_connections_per_role=per_role,
        max_per_ip=None if connection.max_per_ip is None else min(connection.max_per_ip, most),
    )
