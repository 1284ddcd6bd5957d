import asyncio
import logging
import time
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from wsserver.demo.beats import Beat, BeatKind
from wsserver.demo.recording import Recording, load_recording
from wsserver.demo.ward import PATIENTS, DemoWard, SimulatedPatient, describe
from wsserver.errors import SHUTTING_DOWN, ServerError
from wsserver.ids import canonical_id

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
Sent = list[tuple[str, dict[str, Any]]]


class ScriptedClock:
    """Time that stands still: the tests that use it pass the moment themselves."""

    def monotonic(self) -> float:
        return 1000.0

    def time(self) -> float:
        return START


class RunningClock:
    """The machine's time, ``factor`` times as fast."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._origin = time.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self._origin) * self._factor

    def time(self) -> float:
        return START


class RecordingManager:
    """Takes broadcasts as ConnectionManager does, and remembers them."""

    def __init__(self, enough: int = 0) -> None:
        self.sent: Sent = []
        self.done = asyncio.Event()
        self.fault: ServerError | None = None
        self._enough = enough

    def broadcast_to_patient(self, patient_id: str, message: dict[str, Any], /) -> "asyncio.Future[int]":
        self.sent.append((patient_id, message))
        if len(self.sent) >= self._enough:
            self.done.set()
        report: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self.fault is not None:
            report.set_exception(self.fault)
        else:
            report.set_result(1)
        return report


@pytest.fixture(scope="module")
def recording() -> Recording:
    return load_recording()


def ward_of(recording: Recording, *patients: SimulatedPatient, now: float = 1000.0) -> DemoWard:
    ward = DemoWard(RecordingManager(), ScriptedClock(), patients or PATIENTS, recording)
    ward.start(now, START)
    return ward


def seconds_of(ward: DemoWard, seconds: float, now: float = 1000.0) -> Sent:
    """Everything that is sent when the ward wakes up ten times a second for so long."""
    sent: Sent = []
    for tick in range(1, round(seconds * 10) + 1):
        sent += ward.step(now + tick / 10 + 0.001)
    return sent


def of_type(sent: Sent, kind: str, patient: str | None = None) -> list[dict[str, Any]]:
    return [message for target, message in sent if message["type"] == kind and patient in (None, target)]


def test_a_piece_of_ecg_is_the_message_that_a_backend_would_send(recording: Recording) -> None:
    ward = ward_of(recording, SimulatedPatient("demo-1", "Bed 1", 0))
    ((patient, message), *_) = ward.step(1000.1)
    assert patient == "demo-1"
    assert list(message) == ["type", "patient_id", "data", "timestamp", "sampling_rate"]
    assert message["type"] == "ecg_data"
    assert message["patient_id"] == "demo-1"
    assert message["sampling_rate"] == 360
    assert message["timestamp"] == "2026-01-01T00:00:00.000Z"
    assert message["data"] == recording.millivolts(0, 36)


def test_ten_pieces_a_second_carry_every_sample_once(recording: Recording) -> None:
    ward = ward_of(recording, SimulatedPatient("demo-1", "Bed 1", 20))
    pieces = of_type(seconds_of(ward, 5), "ecg_data")
    assert [len(piece["data"]) for piece in pieces] == [36] * 50
    joined = [value for piece in pieces for value in piece["data"]]
    assert joined == recording.millivolts(20 * 360, 5 * 360)


def test_timestamps_step_by_the_length_of_a_piece(recording: Recording) -> None:
    pieces = of_type(seconds_of(ward_of(recording), 3), "ecg_data", "demo-3")
    stamps = [datetime.fromisoformat(piece["timestamp"]).timestamp() for piece in pieces]
    assert stamps == pytest.approx([START + tick / 10 for tick in range(30)])


def test_the_gain_scales_the_signal_to_three_decimals(recording: Recording) -> None:
    ward = ward_of(recording, SimulatedPatient("demo-1", "Bed 1", 0, gain=0.7))
    ((_, message), *_) = ward.step(1000.1)
    assert message["data"] == [round(0.7 * value, 3) for value in recording.millivolts(0, 36)]


def test_a_patient_whose_recording_ends_begins_it_again(recording: Recording) -> None:
    ward = ward_of(recording, SimulatedPatient("demo-1", "Bed 1", 299.95))
    ((_, message), *_) = ward.step(1000.1)
    assert message["data"] == recording.millivolts(107_982, 18) + recording.millivolts(0, 18)


def test_nothing_is_sent_before_it_is_due(recording: Recording) -> None:
    ward = ward_of(recording)
    assert ward.step(1000.0) == []
    assert ward.step(1000.099) == []
    assert ward.next_deadline == pytest.approx(1000.1)
    assert len(of_type(ward.step(1000.1), "ecg_data")) == len(PATIENTS)
    assert ward.step(1000.1) == []


def test_late_wake_ups_do_not_add_up(recording: Recording) -> None:
    ward = ward_of(recording)
    now = 1000.0
    pieces = 0
    for _ in range(600):
        now = max(now, ward.next_deadline) + 0.037
        pieces += len(of_type(ward.step(now), "ecg_data", "demo-1"))
    assert pieces == int((now - 1000.0) * 10)
    assert 0 < ward.next_deadline - now <= 0.1


def test_after_a_short_stall_everything_is_caught_up_in_order(recording: Recording) -> None:
    ward = ward_of(recording)
    pieces = of_type(ward.step(1001.55), "ecg_data", "demo-2")
    assert len(pieces) == 15
    assert pieces == sorted(pieces, key=lambda piece: str(piece["timestamp"]))


def test_a_long_stall_leaves_a_hole_instead_of_a_flood(recording: Recording) -> None:
    ward = ward_of(recording, SimulatedPatient("demo-1", "Bed 1", 0))
    ward.step(1000.1)
    pieces = of_type(ward.step(1060.05), "ecg_data")
    assert len(pieces) == 20
    assert pieces[0]["timestamp"] == "2026-01-01T00:00:58.000Z"
    assert pieces[0]["data"] == recording.millivolts(58 * 360, 36)
    assert ward.next_deadline == pytest.approx(1060.1)


def test_each_second_brings_a_plausible_heart_rate_from_the_first_on(recording: Recording) -> None:
    sent = seconds_of(ward_of(recording), 4)
    for patient in PATIENTS:
        vitals = of_type(sent, "vitals", patient.id)
        assert len(vitals) == 4
        assert all(60 <= message["heart_rate"] <= 130 for message in vitals)
        assert list(vitals[0]) == ["type", "patient_id", "heart_rate", "timestamp"]


def test_a_lost_signal_has_no_heart_rate(recording: Recording) -> None:
    # The electrode comes off in the recording at 42 s and is back at 45 s.
    ward = ward_of(recording, SimulatedPatient("demo-1", "Bed 1", 41))
    rates = [message["heart_rate"] for message in of_type(seconds_of(ward, 6), "vitals")]
    assert None in rates
    assert rates[0] is not None


def test_an_abnormal_beat_raises_an_alert(recording: Recording) -> None:
    ward = ward_of(recording, SimulatedPatient("demo-1", "Bed 1", 151))
    (alert,) = of_type(seconds_of(ward, 2), "alert")
    assert alert == {
        "type": "alert",
        "severity": "warning",
        "patient_id": "demo-1",
        "message": "Wide beat, 92 ms at half height",
        "timestamp": "2026-01-01T00:00:00.800Z",
    }


def test_alerts_of_one_patient_are_spaced_and_count_what_they_leave_out(recording: Recording) -> None:
    ward = ward_of(recording, SimulatedPatient("demo-1", "Bed 1", 218))
    alerts = of_type(seconds_of(ward, 80), "alert")
    stamps = [datetime.fromisoformat(alert["timestamp"]).timestamp() for alert in alerts]
    assert len(alerts) == 5
    assert all(later - earlier >= 15 for earlier, later in pairwise(stamps))
    assert "more since the last alert" in alerts[1]["message"]
    assert "more since" not in alerts[0]["message"]


def test_the_ward_of_the_demonstration_raises_an_alert_within_seconds(recording: Recording) -> None:
    assert of_type(seconds_of(ward_of(recording), 5), "alert")


def test_the_patients_have_canonical_ids_and_their_own_place() -> None:
    assert [canonical_id(patient.id) for patient in PATIENTS] == [f"demo-{n}" for n in range(1, 7)]
    assert len({patient.start_seconds for patient in PATIENTS}) == len(PATIENTS)


@pytest.mark.parametrize(
    ("kind", "interval", "text"),
    [
        (BeatKind.WIDE, 0.5, "Wide beat, 97 ms at half height"),
        (BeatKind.PREMATURE, 0.414, "Premature beat, 0.41 s after the one before"),
    ],
)
def test_a_beat_is_described_in_words(kind: BeatKind, interval: float, text: str) -> None:
    assert describe(Beat(0, 1.0, 0.097, interval, kind)) == text


async def run_until_enough(ward: DemoWard, manager: RecordingManager) -> None:
    task = asyncio.create_task(ward.run())
    try:
        async with asyncio.timeout(10):
            await manager.done.wait()
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_running_it_broadcasts_in_real_time(recording: Recording) -> None:
    manager = RecordingManager(enough=60)
    clock = RunningClock(factor=20)
    await run_until_enough(DemoWard(manager, clock, PATIENTS, recording), manager)
    pieces = of_type(manager.sent, "ecg_data", "demo-1")
    assert pieces[0]["timestamp"] == "2026-01-01T00:00:00.000Z"
    assert len(pieces) <= clock.monotonic() * 10


async def test_a_server_that_refuses_does_not_end_it_and_is_named_once(
    recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    manager = RecordingManager(enough=60)
    manager.fault = ServerError(SHUTTING_DOWN)
    with caplog.at_level(logging.DEBUG):
        await run_until_enough(DemoWard(manager, RunningClock(factor=20), PATIENTS, recording), manager)
    assert [record.getMessage() for record in caplog.records if record.name == "wsserver.demo"] == [
        "the server refuses the demonstration's messages: server_shutting_down"
    ]
    assert "demo-1" not in caplog.text
