"""File descriptors: how many connections a benchmark can hold here, and what to do where that is too few.

The server and the load client are processes of their own, and each connection takes one descriptor of
either, so the limit of one process counts once.
"""

import resource
from collections.abc import Sequence
from pathlib import Path

from benchmarks.progress import say
from wsserver.settings.descriptors import raise_descriptor_limit

SPARE = 2_000
"""Descriptors that are no connection: the server's own, and those kept for handshakes that have not ended."""


def raise_limit() -> int:
    """Raise the soft limit as far as the hard one allows, for this process and its children; returns it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return raise_descriptor_limit(_most_of_the_kernel() if hard == resource.RLIM_INFINITY else hard)


def most_connections() -> int:
    """The largest number of connections that a server of one process, and one client, can hold here."""
    limit = raise_limit()
    # Where hardly any are allowed, a tenth has to do for all else.
    return max(limit - SPARE, limit // 10)


def fitting(wanted: Sequence[int]) -> list[int]:
    """The sizes that can be had here; the largest possible one in place of all that cannot, which is said."""
    most = most_connections()
    too_large = [size for size in wanted if size > most]
    if not too_large:
        return list(wanted)
    needed = max(too_large) + SPARE
    say(
        f"{max(too_large):,} connections need {needed:,} file descriptors in one process, and it may open "
        f"{raise_limit():,}: measured with {most:,}. {how_to_raise(needed)}"
    )
    return sorted({*(size for size in wanted if size <= most), most})


def how_to_raise(needed: int) -> str:
    """What somebody can do about the limit, in a sentence."""
    return (
        f"To raise it: as root `ulimit -n {needed}` in the shell, `* hard nofile {needed}` in "
        f"/etc/security/limits.conf and a new login, or LimitNOFILE={needed} in a systemd unit."
    )


def _most_of_the_kernel() -> int:
    return int(Path("/proc/sys/fs/nr_open").read_text())
