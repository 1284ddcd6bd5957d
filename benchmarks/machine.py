"""Where a benchmark runs: processors, versions, and what else might explain a figure.

Nothing here says whose machine it is: no names of hosts or users, and no paths.
"""

import importlib.metadata
import os
import platform
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

_PACKAGES = ("aiohttp", "uvloop", "msgspec", "cython", "PyJWT", "google-re2", "lz4", "apsw")

_PROCESSORS = Path("/sys/devices/system/cpu")
_VULNERABILITIES = _PROCESSORS / "vulnerabilities"
_ROOT = Path(__file__).parents[1]

SHARED = 0.25
"""Load for each processor from which on others use the machine as well."""


def pin() -> int | None:
    """Keep this process to the first processor; returns the last one, for the load client.

    None, and nothing is pinned, where there is only one.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None
    os.sched_setaffinity(0, {cores[0]})
    return cores[-1]


def thread_siblings(processor: int) -> str:
    """The processors that are threads of the same core as this one, itself included, as ``0,4``."""
    return _first_line(str(_PROCESSORS / f"cpu{processor}/topology/thread_siblings_list"))


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
        "commit": _commit(),
        "system": _distribution(),
        "kernel": platform.release(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "thread_siblings": _siblings(),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "virtualisation": _virtualisation(),
        "mitigations": _mitigations(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE"),
        "descriptor_limits": list(resource.getrlimit(resource.RLIMIT_NOFILE)),
        "tcp_mem_pages": _first_line("/proc/sys/net/ipv4/tcp_mem"),
        "congestion_control": _first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
        "load_average": os.getloadavg()[0],
    }


def remarks() -> list[str]:
    """What somebody should know before he believes a figure of this machine."""
    found = []
    load, cores = os.getloadavg()[0], sorted(os.sched_getaffinity(0))
    if load > SHARED * len(cores):
        found.append(
            f"Others use this machine: load {load:.1f}. Figures by the clock will be low and spread."
        )
    if len(cores) < 2:
        found.append("There is one processor only: every figure includes what the load client takes of it.")
    elif cores[-1] in _numbers(thread_siblings(cores[0])):
        found.append(
            f"Processors {cores[0]} and {cores[-1]} are threads of one core: what the load client does there "
            "makes the server slower. `taskset` keeps a run to two that are not."
        )
    return found


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


def _siblings() -> dict[str, str]:
    """Of the server's processor and the load client's."""
    # A benchmark that has pinned itself sees its own only; the document of a run has both.
    cores = sorted(os.sched_getaffinity(0))
    return {str(core): thread_siblings(core) for core in (cores[0], cores[-1])}


def _numbers(text: str) -> set[int]:
    """Of a list of processors as the kernel writes it: ``0-1,4``."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            found.update(range(int(first), int(last or first) + 1))
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown"


def _virtualisation() -> str:
    """Of the vendor where the firmware tells one."""
    try:
        is_virtual = " hypervisor" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return "unknown"
    vendor = _first_line("/sys/class/dmi/id/sys_vendor")
    name = "" if vendor == "unknown" else f" ({vendor} {_first_line('/sys/class/dmi/id/product_name')})"
    return f"virtual machine{name}" if is_virtual else f"none seen{name}"


def _mitigations() -> dict[str, str]:
    """What the kernel does about the processor's leaks, where it is affected by one: it makes calls dear."""
    found = {}
    for word in _first_line("/proc/cmdline").split():
        if word.startswith("mitigations="):
            found["asked for"] = word
    if _VULNERABILITIES.is_dir():
        for path in sorted(_VULNERABILITIES.iterdir()):
            if (line := _first_line(str(path))) != "Not affected":
                found[path.name] = line
    return found


def _commit() -> str:
    """Of the project, with a plus where files differ from it; unknown outside a checkout."""
    if not (_ROOT / ".git").exists():
        return "unknown"
    try:
        name, changes = (
            subprocess.run(
                ["git", "-C", str(_ROOT), *words], capture_output=True, text=True, check=True, timeout=20
            ).stdout
            for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "-uno"))
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return name.strip() + ("+" if changes else "")


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"
