"""The specification's debugging functions, on the server of this process."""

import io
import logging
from collections.abc import Iterator

import pytest
from far_end import RecordingWebSocket

from wsserver.connection_manager import ConnectionManager, connection_manager
from wsserver.debugging import (
    check_subscription_health,
    debug_subscription_matching,
    inspect_connection_state,
    profile_websocket_operations,
    trace_message_flow,
)
from wsserver.errors import ConnectionNotFound, ServerError
from wsserver.subscription_manager import subscription_manager


@pytest.fixture
def manager() -> Iterator[ConnectionManager]:
    """The default instance, and nothing of the test left in it afterwards."""
    assert not connection_manager.connections
    yield connection_manager
    for one in list(connection_manager.connections):
        connection_manager.disconnect(one)
    assert not any(connection_manager.index.sizes().values())
    assert len(subscription_manager) == len(subscription_manager.filters) == 0


@pytest.fixture
def doctor(manager: ConnectionManager) -> str:
    return str(manager.connect(RecordingWebSocket(), "secret-user", "doctor", "secret-patient"))


def test_each_subscription_of_the_connection_gets_its_verdict(
    manager: ConnectionManager, doctor: str
) -> None:
    manager.subscribe(doctor, "patient", "secret-patient", {"severity": "high"})
    manager.subscribe(doctor, "ecg", None, {"vitals.hr": {"$gt": 120}})
    manager.subscribe(doctor, "alerts")
    engine = manager.broadcasts
    before = (manager.hub.frames_queued, engine.logs.heads(), engine.filter_operations)
    verdicts = debug_subscription_matching(doctor, "ecg", None, {"vitals": {"hr": 130}})
    assert [(one.subscription.subscription_type, one.outcome) for one in verdicts] == [
        ("patient", "other_topic"), ("ecg", "matches"), ("alerts", "other_topic"),
    ]  # fmt: skip
    assert verdicts[1].text() == "✓ vitals.hr is 130, wanted > 120"
    to_patient = debug_subscription_matching(doctor, "patient", "secret-patient", {"severity": "low"})
    assert [one.outcome for one in to_patient] == ["filtered", "other_topic", "other_topic"]
    stranger = debug_subscription_matching(doctor, "ecg", None, {"patient_id": "somebody-else"})
    assert [one.outcome for one in stranger] == ["other_topic", "denied", "other_topic"]
    after = (manager.hub.frames_queued, engine.logs.heads(), engine.filter_operations)
    assert after == before


def test_who_is_not_there_and_what_could_not_be_sent_is_refused(
    manager: ConnectionManager, doctor: str
) -> None:
    with pytest.raises(ConnectionNotFound):
        debug_subscription_matching("c_gone", "ecg", None, {})
    with pytest.raises(ServerError) as refused:
        debug_subscription_matching(doctor, "patient", 5, {"patient_id": 6})
    assert refused.value.kind.code == 1003


def test_the_log_has_ids_and_outcomes_and_no_patients(
    manager: ConnectionManager, doctor: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = manager.subscribe(doctor, "patient", "secret-patient", {"secret-field": "secret-wish"})
    assert made
    with caplog.at_level(logging.DEBUG):
        debug_subscription_matching(doctor, "patient", "secret-patient", {"secret-field": "secret-value"})
        check_subscription_health()
    (record,) = caplog.records
    (known,) = subscription_manager.get_connection_subscriptions(doctor)
    assert record.name == "wsserver.debugging"
    assert record.levelno == logging.DEBUG
    assert record.getMessage() == f"subscription {known.subscription_id}: filtered"
    assert "secret" not in caplog.text


def test_health_counts_what_is_there(manager: ConnectionManager, doctor: str) -> None:
    assert check_subscription_health() == {
        "total_subscriptions": 0, "active_connections": 1, "orphaned": 0,
    }  # fmt: skip
    for kind in ("ecg", "alerts"):
        manager.subscribe(doctor, kind)
    assert check_subscription_health() == {
        "total_subscriptions": 2, "active_connections": 1, "orphaned": 0,
    }  # fmt: skip


def test_an_orphan_is_counted_removed_and_logged_by_number(
    manager: ConnectionManager, doctor: str, caplog: pytest.LogCaptureFixture
) -> None:
    manager.subscribe(doctor, "patient", "secret-patient")
    metadata = manager._connections.pop(doctor)
    with caplog.at_level(logging.DEBUG):
        assert check_subscription_health() == {
            "total_subscriptions": 1, "active_connections": 0, "orphaned": 1,
        }  # fmt: skip
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "found and removed 1 orphaned subscriptions")
    ]
    assert "secret" not in caplog.text
    assert check_subscription_health()["orphaned"] == 0
    manager._connections[doctor] = metadata


def test_the_inspector_prints_what_it_returns(
    manager: ConnectionManager, doctor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manager.subscribe(doctor, "patient", "secret-patient")
    state = inspect_connection_state()
    assert (state.total_connections, state.total_subscriptions, state.by_role) == (1, 1, {"doctor": 1})
    printed = capsys.readouterr().out
    assert printed == "\n".join(state.lines()) + "\n"
    assert "secret" not in printed


def test_the_profiler_prints_ten_functions_and_touches_no_connection(
    manager: ConnectionManager, doctor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (len(manager.connections), manager.opened, manager.hub.frames_written)
    found = profile_websocket_operations(5)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "=== WebSocket Performance Profile ==="
    assert lines[1:] == found.lines()
    assert len(found.functions) == 10
    assert (len(manager.connections), manager.opened, manager.hub.frames_written) == before


def test_the_tracer_prints_its_report_and_sends_nothing_unless_told_to(
    manager: ConnectionManager, capsys: pytest.CaptureFixture[str]
) -> None:
    websocket = RecordingWebSocket()
    doctor = str(manager.connect(websocket, "secret-user", "doctor", 7))
    manager.subscribe(doctor, "patient", 7)
    message = {"type": "ecg_data", "patient_id": 7, "data": [1.0]}
    flow = trace_message_flow("m\x1b[2J1", message)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "=== Message Flow Trace [m\\x1b[2J1] ===", "Message type: ecg_data", "Message size: 47 bytes",
    ]  # fmt: skip
    assert "Matching subscriptions: 1" in lines
    assert (flow.match.matching, flow.report, websocket.messages) == (1, None, [])
    assert not any("secret" in line for line in lines)
    there = io.StringIO()
    flow = trace_message_flow("m1", message, deliver=True, file=there)
    assert flow.report == 1
    assert "Delivered: 1, Failed: 0" in there.getvalue().splitlines()
    assert capsys.readouterr().out == ""
    assert [one["data"] for one in websocket.messages] == [[1.0]]
