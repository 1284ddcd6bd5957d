"""Publishes what the monitors say when it is due, whatever became of what was due before."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from benchmarks.ward.monitors import (
    ALERT,
    ALERT_OFFSET,
    CYCLE,
    OFFSETS,
    first_number,
    phase,
)
from benchmarks.ward.plan import patient_id
from wsserver.errors import ServerError

AT_ONCE: Final = 64
"""Messages that are published in one turn of the loop at most. A backend that is behind must let the
server send as well."""

PATIENCE: Final = 2.0
"""Seconds after the end for which what was due before is still published."""


class Door(Protocol):
    """The part of ConnectionManager that publishes."""

    def broadcast_to_patient(self, patient_id: str, message: dict[str, Any], /) -> object:
        """Send to all who watch this patient. Raises ServerError 1005 when it is too much."""
        ...


class Monitor:
    """One device at a bed, and the number of its next message."""

    __slots__ = ("_beginning", "n", "patient")

    def __init__(self, number: int, patients: int) -> None:
        self.patient = patient_id(number % patients)
        self.n = first_number(number)
        device = f"monitor-{number // patients}"
        # In the order of each message, so that the client finds all by going forward once.
        self._beginning = tuple(
            (
                {"type": say.body["type"], "patient_id": self.patient, "device_id": device},
                {name: value for name, value in say.body.items() if name != "type"},
            )
            for say in CYCLE
        )

    def message(self, due: int) -> dict[str, Any]:
        """The next message; ``due`` in nanoseconds of the monotonic clock."""
        head, rest = self._beginning[self.n % len(CYCLE)]
        return {**head, "n": self.n, "at": due, **rest}

    @property
    def alert_is_next(self) -> bool:
        """Whether it has something to say that does not come every second."""
        return CYCLE[self.n % len(CYCLE)].kind == ALERT


class Publisher:
    """The backend of the ward, which embeds the server: it publishes in the server's process."""

    def __init__(self, door: Door, patients: int, monitors: int) -> None:
        self._door = door
        self._monitors = [Monitor(number, patients) for number in range(monitors)]
        self.due = 0
        """Messages that were due in the latest run; likewise the next two."""
        self.published = 0
        self.refused = 0
        self.lateness = 0.0
        """Seconds by which the latest message was published later than it was due."""
        self.worst_lateness = 0.0
        """The same at worst, since it was set to 0."""

    @property
    def numbers(self) -> list[int]:
        """The next number of each monitor."""
        return [monitor.n for monitor in self._monitors]

    async def run(self, monitors: int, start: int, seconds: float) -> None:
        """Have the first ``monitors`` speak from the moment ``start`` (ns) for so long."""
        self.due = self.published = self.refused = 0
        self.lateness = self.worst_lateness = 0.0
        schedule = self._schedule(monitors, start, seconds)
        at, monitor, is_alert = next(schedule, (0, None, False))
        give_up = start + int((seconds + PATIENCE) * 1e9)
        while monitor is not None:
            now = time.monotonic_ns()
            if at > now:
                # A timer of uvloop fires at whole milliseconds.
                await asyncio.sleep((at - now) / 1e9)
                continue
            for _ in range(AT_ONCE):
                if not is_alert or monitor.alert_is_next:
                    self.due += 1
                    if now < give_up:
                        self._publish(monitor, at)
                at, monitor, is_alert = next(schedule, (0, None, False))
                if monitor is None or at > now:
                    break
            await asyncio.sleep(0)

    def _schedule(
        self, monitors: int, start: int, seconds: float
    ) -> Iterator[tuple[int, Monitor | None, bool]]:
        one_second = sorted(
            (int((offset + phase(number)) * 1e9), number, place == ALERT_OFFSET)
            for number in range(monitors)
            for place, offset in enumerate(OFFSETS)
        )
        end = start + int(seconds * 1e9)
        second = start
        while second < end:
            for offset, number, is_alert in one_second:
                if second + offset >= end:
                    break
                yield second + offset, self._monitors[number], is_alert
            second += 1_000_000_000

    def _publish(self, monitor: Monitor, at: int) -> None:
        self.lateness = (time.monotonic_ns() - at) / 1e9
        self.worst_lateness = max(self.worst_lateness, self.lateness)
        try:
            self._door.broadcast_to_patient(monitor.patient, monitor.message(at))
        except ServerError:
            # It keeps its number: the monitor says it again when it next speaks.
            self.refused += 1
            return
        monitor.n += 1
        self.published += 1


def own_cost(patients: int, messages: int = 20_000) -> float:
    """Processor seconds of a message that the publisher takes without any server behind it."""

    class NoDoor:
        def broadcast_to_patient(self, patient_id: str, message: Mapping[str, Any], /) -> None:
            pass

    publisher = Publisher(NoDoor(), patients, patients)
    schedule = publisher._schedule(patients, 0, 2 + messages / patients / len(OFFSETS))
    before = time.process_time()
    for _ in range(messages):
        at, monitor, _ = next(schedule)
        assert monitor is not None
        publisher._publish(monitor, at)
    return (time.process_time() - before) / messages
