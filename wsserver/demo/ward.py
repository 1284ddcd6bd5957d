"""Simulated patients who replay the recording in real time through the public broadcasting call.

Everything a backend would do, and nothing that it could not: the ward knows the server by
``broadcast_to_patient`` alone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from wsserver.clock import Clock, utc_text
from wsserver.demo.beats import Beat, BeatDetector, BeatKind
from wsserver.demo.recording import Recording, load_recording
from wsserver.errors import ServerError

Message = dict[str, Any]

CHUNKS_PER_SECOND: Final = 10
ALERT_INTERVAL_SECONDS: Final = 15.0

# A ward that woke up late sends this much at once; what lies further back stays a hole, as it
# would with a device that was cut off.
_LATEST_SECONDS = 2
# Heard before the stream begins, so that a heart rate is known from the first second.
_LEAD_IN_SECONDS = 8

_log = logging.getLogger("wsserver.demo")


class Publisher(Protocol):
    """The part of ConnectionManager that the ward uses."""

    def broadcast_to_patient(self, patient_id: str, message: Message, /) -> Awaitable[object]:
        """Send ``message`` to everyone who watches the patient."""
        ...


@dataclass(frozen=True, slots=True)
class SimulatedPatient:
    """Where in the recording a patient begins and how large the signal is."""

    id: str
    label: str
    start_seconds: float
    gain: float = 1.0


PATIENTS: Final[tuple[SimulatedPatient, ...]] = (
    SimulatedPatient("demo-1", "Bed 1", 149, 1.0),
    SimulatedPatient("demo-2", "Bed 2", 30, 0.8),
    SimulatedPatient("demo-3", "Bed 3", 218, 1.1),
    SimulatedPatient("demo-4", "Bed 4", 104, 0.9),
    SimulatedPatient("demo-5", "Bed 5", 182, 1.2),
    SimulatedPatient("demo-6", "Bed 6", 262, 0.7),
)


class DemoWard:
    """Streams every patient's ECG, heart rate and alerts.

    Each tenth of a second a patient has an ``ecg_data`` message of 36 samples (``timestamp`` is
    the time of its first sample), each second a ``vitals`` message with the heart rate, and at
    most every 15 seconds an ``alert`` when a beat is abnormal by the rule of beats.py.
    """

    def __init__(
        self,
        manager: Publisher,
        clock: Clock,
        patients: Sequence[SimulatedPatient] = PATIENTS,
        recording: Recording | None = None,
    ) -> None:
        self.patients = tuple(patients)
        self._manager = manager
        self._clock = clock
        source = recording or load_recording()
        self._beds = [_Bed(patient, source) for patient in self.patients]
        self._ticks = 0
        self._started = 0.0
        self._started_utc = 0.0
        self._refusing = False

    async def run(self) -> None:
        """Stream until cancelled."""
        self.start(self._clock.monotonic(), self._clock.time())
        while True:
            await asyncio.sleep(max(0.0, self.next_deadline - self._clock.monotonic()))
            # Side by side: with a store on disk each of them waits for a commit, and all for the same.
            await asyncio.gather(
                *(self._publish(patient, message) for patient, message in self.step(self._clock.monotonic()))
            )

    def start(self, now: float, utc: float) -> None:
        """Begin streaming at the monotonic second ``now``, which people call ``utc``."""
        self._ticks = 0
        self._started = now
        self._started_utc = utc

    @property
    def next_deadline(self) -> float:
        """The monotonic second at which the next messages are due.

        Counted from the start, never from the last wake-up: lateness does not add up.
        """
        return self._started + (self._ticks + 1) / CHUNKS_PER_SECOND

    def step(self, now: float) -> list[tuple[str, Message]]:
        """Every message that is due at the monotonic second ``now``, with its patient, in order."""
        behind = int((now - self._started) * CHUNKS_PER_SECOND) - self._ticks
        skipped = behind - _LATEST_SECONDS * CHUNKS_PER_SECOND
        if skipped > 0:
            self._ticks += skipped
            for bed in self._beds:
                bed.skip(skipped)
        messages: list[tuple[str, Message]] = []
        while self.next_deadline <= now:
            elapsed = self._ticks / CHUNKS_PER_SECOND
            self._ticks += 1
            for bed in self._beds:
                stamped = bed.tick(elapsed, self._started_utc)
                messages.extend((bed.patient.id, message) for message in stamped)
        return messages

    async def _publish(self, patient_id: str, message: Message) -> None:
        try:
            await self._manager.broadcast_to_patient(patient_id, message)
        except ServerError as fault:
            if not self._refusing:
                _log.warning("the server refuses the demonstration's messages: %s", fault.kind.name)
            self._refusing = True
        else:
            self._refusing = False


class _Bed:
    """One patient's place in the recording and what is known of the heart so far."""

    def __init__(self, patient: SimulatedPatient, recording: Recording) -> None:
        self.patient = patient
        self._recording = recording
        self._chunk = recording.rate // CHUNKS_PER_SECOND
        lead_in = _LEAD_IN_SECONDS * recording.rate
        # One turn ahead, so that a lead-in before the recording's beginning is its end.
        self._position = round(patient.start_seconds * recording.rate) + len(recording) - lead_in
        self._detector = BeatDetector(recording.rate)
        self._detector.feed(self._read(lead_in))
        self._last_alert = float("-inf")
        self._unreported = 0

    def skip(self, ticks: int) -> None:
        """Pass over samples that nobody will see. What follows does not join what came before."""
        self._position += ticks * self._chunk
        self._detector = BeatDetector(self._recording.rate)

    def tick(self, elapsed: float, started_utc: float) -> list[Message]:
        """The messages of the tenth of a second that began ``elapsed`` seconds after the start."""
        data = self._read(self._chunk)
        stamp = utc_text(started_utc + elapsed)
        messages: list[Message] = [
            {
                "type": "ecg_data",
                "patient_id": self.patient.id,
                "data": data,
                "timestamp": stamp,
                "sampling_rate": self._recording.rate,
            }
        ]
        abnormal = [beat for beat in self._detector.feed(data) if beat.abnormal]
        if elapsed.is_integer():
            messages.append(
                {
                    "type": "vitals",
                    "patient_id": self.patient.id,
                    "heart_rate": self._detector.heart_rate,
                    "timestamp": stamp,
                }
            )
        messages.extend(self._alert(beat, elapsed, stamp) for beat in abnormal if self._alert_due(elapsed))
        return messages

    def _read(self, count: int) -> list[float]:
        gain = self.patient.gain
        values = self._recording.millivolts(self._position, count)
        self._position += count
        return [round(gain * value, 3) for value in values]

    def _alert_due(self, elapsed: float) -> bool:
        if elapsed - self._last_alert >= ALERT_INTERVAL_SECONDS:
            return True
        self._unreported += 1
        return False

    def _alert(self, beat: Beat, elapsed: float, stamp: str) -> Message:
        text = describe(beat)
        if self._unreported:
            text += f"; {self._unreported} more since the last alert"
        self._last_alert = elapsed
        self._unreported = 0
        return {
            "type": "alert",
            "severity": "warning",
            "patient_id": self.patient.id,
            "message": text,
            "timestamp": stamp,
        }


def describe(beat: Beat) -> str:
    """An abnormal beat in a sentence for the ward's staff."""
    if beat.kind is BeatKind.PREMATURE and beat.interval is not None:
        return f"Premature beat, {beat.interval:.2f} s after the one before"
    return f"Wide beat, {beat.width * 1000:.0f} ms at half height"
