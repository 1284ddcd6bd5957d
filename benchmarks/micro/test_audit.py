"""What the access audit takes of the event loop: one record, and one subscription with and without it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from wsserver.audit.access_audit import AccessAudit
from wsserver.audit.access_notes import AccessNotes
from wsserver.clock import SystemClock
from wsserver.connection_manager import ConnectionManager
from wsserver.settings import AccessSettings, AuditSettings, RoleSettings, Settings

ROLES = {"doctor": RoleSettings(subscribe=("*",), wildcard=True)}


class Socket:
    """A websocket that takes everything."""

    def write(self, data: bytes) -> None:
        """Nothing is sent anywhere."""

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[AccessAudit]:
    """One that writes to a file; so much may wait that none of these records is lost."""
    settings = AuditSettings(path=str(tmp_path / "audit.jsonl"), max_pending=10_000_000)
    audit = AccessAudit(settings, SystemClock())
    with asyncio.Runner() as runner:
        runner.run(audit.open())
        yield audit
        runner.run(audit.close())


def note(audit: AccessAudit) -> None:
    audit.note(
        "subscribe", actor="nurse7", role="nurse", connection_id="c_9f27fecbc51225c22150b167",
        patient_id="123", right="token",
    )  # fmt: skip


@pytest.mark.benchmark(group="AccessAudit.note")
def test_note_in_memory(benchmark: BenchmarkFixture) -> None:
    benchmark(note, AccessAudit(AuditSettings(), SystemClock()))


@pytest.mark.benchmark(group="AccessAudit.note")
def test_note_into_a_file(benchmark: BenchmarkFixture, audit: AccessAudit) -> None:
    benchmark.pedantic(note, (audit,), rounds=20_000, warmup_rounds=100)
    assert audit.lost == 0


def subscribing(audit: AccessAudit | None, topic: str, monkeypatch: pytest.MonkeyPatch) -> object:
    settings = Settings(access=AccessSettings(roles=ROLES))
    manager = ConnectionManager(settings)
    subscriptions = manager.subscription_manager
    if audit is None:
        monkeypatch.setattr(subscriptions, "_notes", Silent())
    else:
        monkeypatch.setattr(subscriptions, "_notes", AccessNotes(audit))
    connection_id = str(manager.connect(Socket(), "nurse7", "doctor", "123"))
    kind, _, target = topic.partition(":")
    return lambda: subscriptions.add_subscription(connection_id, kind, target)


class Silent:
    """Stands for a server without an audit."""

    def subscribed(self, *args: object, **more: object) -> None:
        """Nothing is noted."""


@pytest.mark.parametrize("topic", ["patient:123", "patient:*"])
@pytest.mark.parametrize("has_audit", [False, True], ids=["without", "with"])
@pytest.mark.benchmark(group="SubscriptionManager.add_subscription")
def test_subscribe(
    benchmark: BenchmarkFixture,
    audit: AccessAudit,
    monkeypatch: pytest.MonkeyPatch,
    topic: str,
    has_audit: bool,
) -> None:
    subscribe = subscribing(audit if has_audit else None, topic, monkeypatch)
    benchmark.pedantic(subscribe, rounds=20_000, warmup_rounds=100)
    assert audit.lost == 0
