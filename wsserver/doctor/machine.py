"""The kernel's limits against what the settings need."""

import errno
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from wsserver.doctor.finding import Finding, fault, ok, skipped, warning
from wsserver.settings import Settings
from wsserver.settings.descriptors import RESERVE
from wsserver.settings.network import is_loopback
from wsserver.settings.units import format_size
from wsserver.web.listener import BACKLOG

PAGE: Final = resource.getpagesize()


def examine_machine(
    settings: Settings,
    *,
    root: Path = Path("/"),
    limits: Callable[[], tuple[int, int]] = lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
    granted: Callable[[int], int] | None = None,
) -> Iterator[Finding]:
    """Descriptors, the accept queue, TCP memory, ports and send buffers.

    ``root`` is where ``proc`` is found; ``granted`` gives the bytes that the kernel grants a socket
    that asks for so many.
    """
    yield _descriptors(settings, limits())
    yield _open_files(settings, root)
    yield _accept_queue(root)
    yield _tcp_memory(settings, root)
    yield _ports(settings, root)
    yield _send_buffer(settings, granted or _granted)


def needed_descriptors(settings: Settings) -> int:
    """File descriptors that a full server holds."""
    connection = settings.connection
    return connection.max_connections + connection.max_unauthenticated + RESERVE


def _descriptors(settings: Settings, limits: tuple[int, int]) -> Finding:
    needed, (soft, hard) = needed_descriptors(settings), limits
    if hard != resource.RLIM_INFINITY and hard < needed:
        return fault(
            "descriptors",
            f"{needed} file descriptors are needed and this shell's processes may have {hard}",
            f"raise the hard limit where the server is started (systemd: LimitNOFILE={needed}; shell: "
            f"ulimit -Hn {needed}), or lower connection.max_connections",
        )
    most = "no limit" if hard == resource.RLIM_INFINITY else f"{hard}"
    return ok(
        "descriptors", f"{needed} are needed; hard limit {most}, soft limit {soft} (raised at the start)"
    )


def _open_files(settings: Settings, root: Path) -> Finding:
    needed = needed_descriptors(settings)
    most = _numbers(root, "fs/file-max")
    if not most:
        return skipped("open_files", "fs.file-max cannot be read here")
    if most[0] < 2 * needed:
        return warning(
            "open_files",
            f"the whole machine may open {most[0]} files (fs.file-max), and the server alone needs {needed}",
            f"sysctl fs.file-max={4 * needed}",
        )
    return ok("open_files", f"the whole machine may open {most[0]} (fs.file-max)")


def _accept_queue(root: Path) -> Finding:
    most = _numbers(root, "net/core/somaxconn")
    if not most:
        return skipped("accept_queue", "net.core.somaxconn cannot be read here")
    if most[0] < BACKLOG:
        return warning(
            "accept_queue",
            f"{most[0]} connections may wait to be accepted, and the server asks for {BACKLOG}: when all "
            "come back at once some are dropped",
            f"sysctl net.core.somaxconn={BACKLOG}",
        )
    return ok("accept_queue", f"{most[0]} connections may wait to be accepted")


def _tcp_memory(settings: Settings, root: Path) -> Finding:
    pages = _numbers(root, "net/ipv4/tcp_mem")
    if len(pages) != 3:
        return skipped("tcp_memory", "net.ipv4.tcp_mem cannot be read here")
    worst, most = socket_memory(settings), pages[2] * PAGE
    if worst > most:
        return warning(
            "tcp_memory",
            f"full send buffers of all connections would take {_about(worst)}, and all sockets of the "
            f"machine together may have {_about(most)} (net.ipv4.tcp_mem)",
            "lower backpressure.send_buffer or connection.max_connections, or raise net.ipv4.tcp_mem",
        )
    return ok(
        "tcp_memory", f"all sockets may have {_about(most)}, full send buffers would take {_about(worst)}"
    )


def socket_memory(settings: Settings) -> int:
    """Bytes that the kernel holds when every client has stopped reading; it doubles what is asked for."""
    each = settings.backpressure.send_buffer or 4 * 1024 * 1024
    return settings.connection.max_connections * 2 * each


def _ports(settings: Settings, root: Path) -> Finding:
    bounds, server = _numbers(root, "net/ipv4/ip_local_port_range"), settings.server
    if len(bounds) != 2:
        return skipped("local_ports", "net.ipv4.ip_local_port_range cannot be read here")
    first, last = bounds
    if first <= server.port <= last:
        return warning(
            "local_ports",
            f"server.port ({server.port}) lies among the ports that the kernel gives to outgoing connections "
            f"({first} to {last}): one of them may hold it when the server starts",
            f"choose a port below {first}, or sysctl net.ipv4.ip_local_reserved_ports={server.port}",
        )
    most, count = settings.connection.max_connections, last - first + 1
    # Only a proxy on the same machine comes from one address, and needs a port for each connection.
    near = [proxy for proxy in server.trusted_proxies if is_loopback(proxy.partition("/")[0])]
    if near and count < most:
        return warning(
            "local_ports",
            f"a proxy on this machine has {count} ports to connect from ({first} to {last}), less than "
            f"connection.max_connections ({most})",
            "sysctl net.ipv4.ip_local_port_range='10240 65535', or give the proxy several addresses",
        )
    return ok("local_ports", f"outgoing connections have {count} ports ({first} to {last})")


def _send_buffer(settings: Settings, granted: Callable[[int], int]) -> Finding:
    wanted = settings.backpressure.send_buffer
    if not wanted:
        return warning(
            "send_buffer",
            "backpressure.send_buffer is 0: the kernel takes up to 4 MiB before a client counts as slow",
            "set backpressure.send_buffer to 64 to 256 KiB",
        )
    given = granted(wanted)
    if given < wanted:
        return warning(
            "send_buffer",
            f"sockets get {_about(given)} instead of backpressure.send_buffer ({format_size(wanted)})",
            f"sysctl net.core.wmem_max={wanted}, or set backpressure.send_buffer to {given}",
        )
    return ok("send_buffer", f"sockets get the {format_size(wanted)} of backpressure.send_buffer")


def _granted(wanted: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, wanted)
        # The kernel tells twice what it grants, its own bookkeeping included.
        return probe.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2


def examine_port(settings: Settings, answers: Callable[[str, int], bool]) -> Finding:
    """Whether the address is there to be listened on; ``answers`` is asked who sits there if it is not."""
    host, port = settings.server.host, settings.server.port
    try:
        families = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return fault("port", f"server.host ({host}) is no address of any kind", "set server.host")
    for family, kind, number, _, address in families:
        try:
            with socket.socket(family, kind, number) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as problem:
            return _not_bound(host, port, problem, answers)
    return ok("port", f"{host}:{port} is free" if port else f"{host}, on any free port")


def _not_bound(host: str, port: int, problem: OSError, answers: Callable[[str, int], bool]) -> Finding:
    place = f"{host}:{port}"
    if problem.errno == errno.EADDRINUSE:
        if answers(host, port):
            return ok("port", f"{place} is taken by a server that answers /health")
        return fault("port", f"{place} is taken by another program", "stop it, or set server.port")
    if problem.errno == errno.EADDRNOTAVAIL:
        return fault("port", f"{host} is no address of this machine", "set server.host")
    if problem.errno == errno.EACCES:
        return fault(
            "port",
            f"this user may not listen on {place}",
            "choose a port from 1024 on, or give the server CAP_NET_BIND_SERVICE",
        )
    return fault("port", f"cannot listen on {place}: {problem.strerror}", "set server.host and server.port")


def _numbers(root: Path, name: str) -> list[int]:
    try:
        words = (root / "proc/sys" / name).read_text().split()
        return [int(word) for word in words]
    except (OSError, ValueError):
        return []


def _about(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
