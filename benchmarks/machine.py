"""Where a benchmark runs: processors, versions, and what else might explain a figure."""

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

_PACKAGES = ("aiohttp", "uvloop", "msgspec", "cython", "PyJWT")


def pin() -> int | None:
    """Keep this process to the first processor; returns the last one, for the load client.

    None, and nothing is pinned, where there is only one.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None
    os.sched_setaffinity(0, {cores[0]})
    return cores[-1]


def facts() -> dict[str, Any]:
    """Versions and machine facts that belong to every figure."""
    from wsserver._version import __version__

    versions = {"wsserver": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "kernel": platform.release(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "congestion_control": _first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
        "load_average": os.getloadavg()[0],
    }


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(_first_line("/proc/self/statm").split()[1]) * os.sysconf("SC_PAGESIZE")


def processor_seconds(pid: int) -> float:
    """Processor time that another process has used, user and system, of all its threads.

    Raises OSError when there is no such process.
    """
    # The clock of a process as clock_getcpuclockid(3) makes it: /proc counts in hundredths of a second only.
    return time.clock_gettime(~pid << 3 | 2)


def open_descriptors(pid: int) -> int:
    """Files and sockets that a process of this user holds. Raises OSError when there is no such process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def kernel_socket_bytes() -> int:
    """Memory of the kernel's TCP sockets on this whole machine."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * os.sysconf("SC_PAGESIZE")
    return 0


def listen_drops() -> int:
    """Connections that the kernel has dropped on this machine because a queue of them was full."""
    lines = Path("/proc/net/netstat").read_text().splitlines()
    names, values = [line.split() for line in lines if line.startswith("TcpExt:")]
    return int(values[names.index("ListenDrops")])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().splitlines()[0]
    except OSError:
        return "unknown"
