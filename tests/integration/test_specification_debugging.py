"""The specification's debugging section as it writes it, in the process of a server with real clients."""

import logging

import pytest
import specification_examples as examples
from live_server import LiveServer, until


@pytest.fixture
async def ward(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> LiveServer:
    """A server with a doctor and two nurses, whose instances the examples import."""
    monkeypatch.setattr(examples, "connection_manager", server.manager)
    monkeypatch.setattr(examples, "subscription_manager", server.manager.subscription_manager)
    monkeypatch.setattr(examples, "health_monitor", server.manager.health_monitor)
    await server.enter("d1", "doctor", "patient:123", "type:ecg")
    for user in ("n1", "n2"):
        await server.enter(user, "nurse", "patient:123")
    return server


async def test_the_state_inspector(ward: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    examples.inspect_connection_state()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:6] == [
        "=== Connection State Inspection ===",
        "Total connections: 3",
        "Total subscriptions: 4",
        "Connections by role:",
        "  doctor: 1",
        "  nurse: 2",
    ]
    assert lines[6].startswith("Subscription metrics: {'total': 4,")
    assert lines[7].startswith("Health metrics: {'healthy_connections': 3,")


async def test_the_message_flow_tracer(ward: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    message = {"type": "ecg_data", "patient_id": 123, "data": [1.0]}
    examples.trace_message_flow("m1", message)
    assert capsys.readouterr().out.splitlines() == [
        "=== Message Flow Trace [m1] ===",
        "Message type: ecg_data",
        "Message size: 54 bytes",
        "Matching subscriptions: 4",
        "Delivered: 4, Failed: 0",
    ]
    doctor, *nurses = ward.clients
    # It sends once for each subscription that matches, so the doctor has it twice.
    assert len(await doctor.published()) == 2
    assert [len(await nurse.published()) for nurse in nurses] == [1, 1]


async def test_the_profiler_beside_real_clients(ward: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    # A hundred doctors may be there, and the example brings a hundred.
    await ward.clients[0].close()
    await until(lambda: len(ward.manager.connections) == 2)
    examples.profile_websocket_operations()
    assert "=== WebSocket Performance Profile ===" in capsys.readouterr().out
    assert len(ward.manager.connections) == 102
    for connection_id, metadata in list(ward.manager.connections.items()):
        if metadata.user_id.startswith("user_"):
            ward.manager.disconnect(connection_id)
    await until(lambda: len(ward.manager.connections) == 2)
    report = ward.manager.broadcast_to_patient(123, {"type": "ecg_data"})
    assert report.delivered == 2


async def test_the_subscription_debuggers(ward: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    doctor = next(iter(ward.manager.connections))
    with caplog.at_level(logging.INFO):
        examples.debug_subscription_matching(doctor, "ecg_data", 123, {"type": "ecg_data"})
        examples.check_subscription_health()
    assert [text.partition(" subscription ")[0] for text in caplog.messages[:2]] == ["Message matches"] * 2
    assert caplog.messages[-2:] == ["Total subscriptions: 4", "Active connections: 3"]
