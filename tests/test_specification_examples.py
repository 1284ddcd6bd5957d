"""The specification's own examples do what it says they do."""

import logging
from typing import Any
from unittest.mock import MagicMock

import pytest
import specification_examples as examples
from far_end import FarEnd
from workbench import Bench, Workbench

from wsserver import overload
from wsserver.connections.connection_state import connection_state
from wsserver.errors import ServerError

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

# What the frontend example sends for patient 123.
FRONTEND = {
    "type": "subscribe",
    "subscription_type": "patient",
    "target_id": "123",
    "filters": {"data_type": "ecg", "severity": ["normal", "warning", "critical"]},
}


def use(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    monkeypatch.setattr(examples, "connection_manager", bench.manager)
    monkeypatch.setattr(examples, "subscription_manager", bench.manager.subscription_manager)
    monkeypatch.setattr(examples, "health_monitor", bench.manager.health_monitor)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> Workbench:
    bench = await Workbench().start()
    use(monkeypatch, bench)
    return bench


async def frontend(bench: Workbench) -> FarEnd:
    """A client as the frontend example has it, for patient 123."""
    far_end = bench.newcomer()
    far_end.send(
        type="connect",
        token=bench.token("user123", patients=["123"]),
        user_id="user123",
        role="doctor",
        patient_id=123,
        subscriptions=["patient:123", "type:ecg", "type:alerts"],
    )
    far_end.send(**FRONTEND)
    await bench.settle()
    connected, confirmed = far_end.take()
    assert (connected["type"], connected["errors"]) == ("connected", [])
    assert (confirmed["type"], confirmed["replaced"]) == ("subscription_confirmed", True)
    return far_end


async def test_the_backends_ecg_reaches_the_frontends_subscription_and_the_report_says_1(
    bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    far_end = await frontend(bench)
    with caplog.at_level(logging.INFO):
        await examples.broadcast_ecg_data(123, [1.2, 1.5, 1.8, 2.1])
    bench.loop.run()
    (message,) = far_end.take()
    assert message.pop("_meta")["topic"] == "patient:123"
    assert message.pop("timestamp")
    assert message == {
        "type": "ecg_data",
        "patient_id": 123,
        "data": [1.2, 1.5, 1.8, 2.1],
        "sampling_rate": 250,
    }
    assert "ECG data broadcast to 1 subscribers" in caplog.messages


async def test_another_patients_ecg_and_other_severities_do_not_reach_it(bench: Workbench) -> None:
    far_end = await frontend(bench)
    await examples.broadcast_ecg_data(124, [1.0])
    for message in (
        {"type": "ecg_data", "severity": "info"},
        {"type": "vitals_data"},
        {"type": "ecg_data", "data_type": "raw"},
    ):
        assert await bench.manager.broadcast_to_patient(123, message) == 0
    for severity in ("normal", "warning", "critical"):
        assert (
            await bench.manager.broadcast_to_patient("123", {"type": "ecg_data", "severity": severity}) == 1
        )
    bench.loop.run()
    assert len(far_end.take()) == 3


async def test_the_system_alert_reaches_every_connection(
    bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    clients = [await frontend(bench), await bench.client("u2"), await bench.client("u3", "nurse")]
    stranger = bench.newcomer()
    with caplog.at_level(logging.INFO):
        await examples.broadcast_system_alert("ECG sensor maintenance scheduled")
    bench.loop.run()
    for far_end in clients:
        (message,) = far_end.take()
        assert (message["type"], message["severity"]) == ("system_alert", "info")
        assert message["message"] == "ECG sensor maintenance scheduled"
    assert stranger.take() == []
    assert "System alert broadcast to 3 connections" in caplog.messages


async def test_the_debugging_example_tells_matches_from_others(
    bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    await frontend(bench)
    (connection_id,) = bench.manager.connections
    ids = [one.subscription_id for one in bench.manager.subscription_manager.get_all_subscriptions()]
    with caplog.at_level(logging.INFO):
        examples.debug_subscription_matching(connection_id, "ecg_data", 123, {"type": "vitals_data"})
    assert caplog.messages == [
        f"Message does not match subscription {ids[0]}",
        f"Message matches subscription {ids[1]}",
        f"Message matches subscription {ids[2]}",
    ]


async def test_the_health_example_finds_everything_registered_and_no_orphans(
    bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    gone = await bench.client("u2")
    await bench.ask(gone, type="subscribe", topic="type:ecg")
    await frontend(bench)
    gone.leave()
    bench.loop.run()
    with caplog.at_level(logging.INFO):
        examples.check_subscription_health()
    assert caplog.messages == ["Total subscriptions: 3", "Active connections: 1"]


async def test_the_inspector_counts_by_role(bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    await frontend(bench)
    await bench.client("u2", "nurse")
    await bench.client("u3", "nurse")
    examples.inspect_connection_state()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:6] == [
        "Total connections: 3",
        "Total subscriptions: 3",
        "Connections by role:",
        "  doctor: 1",
        "  nurse: 2",
    ]
    assert "'total': 3" in lines[6]
    assert "'healthy_connections': 3" in lines[7]
    # The server's own tool prints the same.
    assert connection_state(bench.manager).lines() == lines


async def test_the_tracer_finds_who_would_get_a_message_and_sends_it(
    bench: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    far_end = await frontend(bench)
    message: dict[str, Any] = {"type": "ecg_data", "patient_id": 123, "data": [1.0]}
    examples.trace_message_flow("m1", message)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "=== Message Flow Trace [m1] ==="
    assert lines[1] == "Message type: ecg_data"
    # (patient, 123) and (ecg, *), which a broadcast to the type would reach.
    assert lines[3:] == ["Matching subscriptions: 2", "Delivered: 2, Failed: 0"]
    bench.loop.run()
    assert [one["data"] for one in far_end.take()] == [[1.0], [1.0]]
    examples.trace_message_flow("m2", {**message, "patient_id": 124})
    assert capsys.readouterr().out.splitlines()[3:] == [
        "Matching subscriptions: 0",
        "Delivered: 0, Failed: 0",
    ]


def test_the_profiler_connects_a_hundred_doctors_without_await_and_the_next_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench()
    use(monkeypatch, bench)
    examples.profile_websocket_operations()
    assert "=== WebSocket Performance Profile ===" in capsys.readouterr().out
    manager = bench.manager
    assert len(manager.connections) == 100
    assert {metadata.role for metadata in manager.connections.values()} == {"doctor"}
    assert manager.broadcasts.operations == 100
    with pytest.raises(ServerError) as refused:
        manager.connect(examples.mock_websocket, "user_100", "doctor", 100)
    assert refused.value.kind.code == 1002
    assert refused.value.details == {"scope": "role"}


def test_the_profilers_subscriptions_work_with_connection_ids_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    for number in range(100):
        bench.connect(f"user_{number}", "doctor", number, connection_id=f"conn_{number}")
        assert bench.manager.subscribe(f"conn_{number}", "patient", str(number))
    assert bench.manager.broadcast_to_type("patient", {"test": "data"}) == 100
    assert bench.manager.broadcast_to_patient(7, {"test": "data"}) == 1


@pytest.mark.parametrize("path", ["broadcast_to_patient", "broadcast_to_type"])
async def test_the_examples_of_the_rest_interface_reach_their_subscribers(
    bench: Workbench, path: str
) -> None:
    far_end = await frontend(bench)
    ecg = {"patient_id": 123, "data": [1.2], "timestamp": "2024-01-15T10:30:00Z", "severity": "normal"}
    if path == "broadcast_to_patient":
        report = bench.manager.broadcast_to_patient("123", {"type": "ecg_data", **ecg})
    else:
        report = bench.manager.broadcast_to_type("alerts", {"type": "system_alert", "severity": "info"})
    assert report == 1
    bench.loop.run()
    assert len(far_end.take()) == 1


async def test_the_emergency_procedure_refuses_newcomers_and_raises_its_alert(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overload, "_default", bench.service.overload)
    far_end = await frontend(bench)
    await examples.handle_system_overload()
    assert (bench.manager.cleanup_interval, bench.manager.hub.batch_size) == (30, 25)
    alert = bench.service.alerts.history(1)[0]
    assert alert.name == "SYSTEM_OVERLOAD"
    assert alert.details is not None
    assert (alert.details["connections"], alert.details["subscriptions"]) == (1, 3)
    refused = await bench.ask(bench.newcomer(), type="connect", token=bench.token("u2"))
    assert refused[0]["code"] == 1013
    assert (await bench.ask(far_end, type="ping"))[0]["type"] == "pong"


async def test_watching_memory_cleans_up_over_the_mark_and_not_below(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleanups: list[float] = []
    monkeypatch.setattr(overload, "_default", bench.service.overload)
    bench.service.overload.cleaners["noted"] = lambda: cleanups.append(1.0) or 1
    for percent, times in ((80.0, 0), (80.1, 1)):
        monkeypatch.setattr("psutil.virtual_memory", lambda percent=percent: MagicMock(percent=percent))
        examples.monitor_memory_usage()
        assert len(cleanups) == times
