"""How much memory is in use, and of how much: the number that decides whether the kernel kills us.

The machine's own percentage says nothing in a container. What counts is the least limit of
the control groups around this process, and what the kernel holds against that limit: our
pages, and the socket buffers of slow clients, which no figure of the process itself shows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from wsserver.clock import Clock

LIMITS_AGE: Final = 60.0
"""Seconds for which limits are believed; a container's may be changed while it runs."""

_PROCESS: Final = psutil.Process()


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """Bytes in use, and the bytes that are 100 percent."""

    used: int
    limit: int

    @property
    def percent(self) -> float:
        """The share in use; may pass 100 where the limit is a setting."""
        return 100.0 * self.used / self.limit


@dataclass(frozen=True, slots=True)
class _Group:
    """A control group with a limit of its own."""

    directory: Path
    current: str
    reclaimable: str
    limit: int

    def used(self) -> int:
        """Bytes that the kernel cannot simply take back, as an orchestrator counts them."""
        current = _number(self.directory / self.current)
        if current is None:
            return 0
        for line in _lines(self.directory / "memory.stat"):
            name, _, value = line.partition(" ")
            if name == self.reclaimable and value.isdecimal():
                return max(current - int(value), 0)
        return current


class ProcessMemory:
    """Reads the memory of this process against its tightest limit.

    ``limit`` may be set at any time: bytes that are 100 percent whatever the machine has, or
    None for the least of the machine's memory and the limits of its control groups (v1 and v2).
    """

    def __init__(
        self,
        clock: Clock,
        *,
        limit: int | None = None,
        root: Path = Path("/"),
        rss: Callable[[], int] = lambda: _PROCESS.memory_info().rss,
        total: Callable[[], int] = lambda: psutil.virtual_memory().total,
    ) -> None:
        """``root`` is where ``proc`` and the mounts are found."""
        self.limit = limit
        self._clock = clock
        self._root = root
        self._rss = rss
        self._read_total = total
        self._total = 0
        self._groups: list[_Group] = []
        self._read_at: float | None = None

    def usage(self) -> MemoryUsage:
        """What is in use against the limit that is nearest."""
        rss = self._rss()
        if self.limit is not None:
            return MemoryUsage(rss, self.limit)
        self._refresh()
        tightest = MemoryUsage(rss, self._total)
        for group in self._groups:
            usage = MemoryUsage(max(rss, group.used()), group.limit)
            if usage.percent > tightest.percent:
                tightest = usage
        return tightest

    def _refresh(self) -> None:
        now = self._clock.monotonic()
        if self._read_at is not None and now - self._read_at < LIMITS_AGE:
            return
        self._read_at = now
        self._total = self._read_total()
        # "No limit" is spelled as a number larger than any machine in v1.
        self._groups = [group for group in self._find_groups() if 0 < group.limit < self._total]

    def _find_groups(self) -> Iterator[_Group]:
        mounts = list(self._mounts())
        for line in _lines(self._root / "proc/self/cgroup"):
            number, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            unified = number == "0" and not controllers
            if not unified and "memory" not in controllers.split(","):
                continue
            for kind, controller, seen_as, mount in mounts:
                if unified != (kind == "cgroup2") or not (unified or "memory" in controller):
                    continue
                yield from _groups_up(mount, _inside(path, seen_as), unified=unified)

    def _mounts(self) -> Iterator[tuple[str, list[str], str, Path]]:
        """Kind, controllers, the group that the mount shows as its root, and where it is mounted."""
        for line in _lines(self._root / "proc/self/mountinfo"):
            fields, _, rest = line.partition(" - ")
            where, what = fields.split(" "), rest.split(" ")
            if len(where) > 4 and len(what) > 2 and what[0] in ("cgroup", "cgroup2"):
                yield what[0], what[2].split(","), where[3], self._root / where[4].lstrip("/")


def _inside(path: str, seen_as: str) -> str:
    """The path of our group below a mount that shows the group ``seen_as`` as its root."""
    if seen_as != "/" and (path == seen_as or path.startswith(f"{seen_as}/")):
        return path[len(seen_as) :]
    # In a container with a namespace of its own the path leads out of it: what is mounted is ours.
    return "" if path.startswith("/..") else path


def _groups_up(mount: Path, path: str, *, unified: bool) -> Iterator[_Group]:
    limit_file, current, reclaimable = (
        ("memory.max", "memory.current", "inactive_file")
        if unified
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    directory = mount / path.strip("/")
    if not directory.is_dir():
        directory = mount
    while True:
        limit = _number(directory / limit_file)
        if limit is not None:
            yield _Group(directory, current, reclaimable, limit)
        if directory == mount:
            return
        directory = directory.parent


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdecimal() else None
