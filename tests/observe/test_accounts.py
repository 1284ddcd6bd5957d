"""The sums of all reports against what the queues have counted. Broken on purpose, to see it found."""

import logging
from typing import Any

import pytest
from workbench import Bench, Workbench

from wsserver.protocol.report import DeliveryReport
from wsserver_core.outgoing import DATA, DROP_REASONS, Frame
from wsserver_core.recipients import Recipients

CLOSED = DROP_REASONS.index("closed")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def watching(bench: Bench, user_id: str) -> int:
    one, _ = bench.connect(user_id, "doctor", 1)
    assert bench.manager.subscribe(one, "patient", 1)
    return bench.metadata(one).handle


def check(bench: Bench) -> list[str]:
    return bench.manager.broadcasts.accounts.check(bench.manager.records, recount=True)


def test_every_outcome_is_in_the_sums(bench: Bench) -> None:
    well, slow, closing = (watching(bench, user) for user in ("u1", "u2", "u3"))
    other, _ = bench.connect("u4", "doctor", 1)
    assert bench.manager.subscribe(other, "patient", 1, {"severity": "critical"})
    hub, accounts = bench.manager.hub, bench.manager.broadcasts.accounts
    for _ in range(3):
        bench.manager.broadcast_to_patient(1, {"n": 1})
        bench.loop.run()
    hub.block(slow)
    hub.block(closing)
    bench.manager.broadcast_to_patient(1, {"n": 1})
    hub.discard(closing, CLOSED)
    hub.enqueue(closing, Frame(b"last"), True)
    bench.manager.broadcast_to_patient(1, {"n": 1})
    bench.loop.run()
    hub.max_queue_messages = 2
    bench.manager.broadcast_to_patient(1, {"n": 1})
    assert check(bench) == []
    assert accounts.get_metrics() == {
        "considered": 24,
        "filtered": 6,
        "denied": 0,
        "matched": 18,
        "delivered": 15,
        "refused": {"closing": 2, "slow": 1},
        "replayed": 0,
        "written": 11,
        "queued": 3,
        "dropped": {"slow": 0, "conflated": 0, "expired": 0, "closed": 1, "shutdown": 0},
        "violations": 0,
    }
    assert hub.is_blocked(slow)
    assert not hub.is_blocked(well)


def sums(bench: Bench) -> Any:
    return bench.manager.broadcasts.accounts


def never_counted(bench: Bench, handle: int) -> None:
    """A published frame that no report knows of."""
    bench.manager.hub.enqueue(handle, Frame(b"x", None, DATA, topic="t", log="l", seq=1))


def counted_twice(bench: Bench, handle: int) -> None:
    sums(bench).note(bench.manager.broadcast_to_patient(1, {}))


def a_refusal_lost(bench: Bench, handle: int) -> None:
    bench.manager.hub.enqueue(handle, Frame(b"last"), True)
    bench.manager.broadcast_to_patient(1, {})
    sums(bench).refused.clear()


def changed(report: DeliveryReport, **numbers: int) -> None:
    assert report._counts is not None
    report._counts = report._counts._replace(**numbers)


def a_report_that_says_too_much(bench: Bench, handle: int) -> None:
    report = bench.manager.broadcast_to_patient(1, {})
    changed(report, delivered=report.delivered + 1)


def a_report_that_counts_twice(bench: Bench, handle: int) -> None:
    report = bench.manager.broadcast_to_patient(1, {})
    changed(report, matched=2, delivered=2)
    record = bench.manager.records.get(report.message_id)
    assert record is not None
    other, _ = bench.connect("u2")
    chosen = Recipients()
    chosen.add(handle)
    chosen.add(bench.metadata(other).handle)
    record.addressees = chosen.copy()


def a_report_that_leaves_somebody_out(bench: Bench, handle: int) -> None:
    report = bench.manager.broadcast_to_patient(1, {})
    changed(report, matched=0, delivered=0)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (never_counted, ["taken 2 != delivered 1 + replayed 0"]),
        (counted_twice, ["taken 2 != delivered 3 + replayed 0"]),
        (a_refusal_lost, ["matched 2 != delivered 1 + refused 0"]),
        (a_report_that_says_too_much, ["1 messages, one of them: matched 1 != delivered 2 + refused 0"]),
        (a_report_that_counts_twice, ["1 messages, one of them: delivered 2 != written 0 + queued 1"]),
        (a_report_that_leaves_somebody_out, ["1 messages, one of them: matched 0 != recipients 1"]),
    ],
)
def test_accounts_that_are_broken_on_purpose_are_found(
    bench: Bench, caplog: pytest.LogCaptureFixture, fault: Any, words: list[str]
) -> None:
    handle = watching(bench, "u1")
    bench.manager.broadcast_to_patient(1, {})
    assert check(bench) == []
    fault(bench, handle)
    with caplog.at_level(logging.ERROR, logger="wsserver.accounts"):
        found = check(bench)
        assert check(bench) == found, "it stays found"
    assert len(found) == len(words)
    for fault_text, wanted in zip(found, words, strict=True):
        assert wanted in fault_text
    assert sums(bench).violations == len(words), "each is counted once"
    assert [record.levelname for record in caplog.records] == ["ERROR"] * len(words)
    assert "u1" not in caplog.text


def test_a_queue_that_holds_something_else_than_was_counted_is_found(bench: Bench) -> None:
    class Miscounting:
        """A hub whose walk over the queues finds one frame less."""

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.manager.hub, name)

        def recount(self) -> tuple[int, int, int]:
            frames, published, size = bench.manager.hub.recount()
            return frames - 1, published - 1, size

    watching(bench, "u1")
    bench.manager.broadcast_to_patient(1, {})
    sums(bench)._hub = Miscounting()
    assert check(bench) == ["queues hold (0, 0), counted (1, 1)"]
    assert sums(bench).check() == [], "without the walk it is not seen"


async def test_a_server_looks_at_its_accounts_at_every_tick() -> None:
    bench = await Workbench().start()
    accounts = bench.manager.broadcasts.accounts
    await bench.client()
    bench.pass_time(1)
    assert accounts.violations == 0
    accounts.delivered += 1
    bench.pass_time(1)
    assert accounts.violations == 2, "matched and taken are each one too few"
    bench.manager.broadcast_to_all({})
    bench.pass_time(1)
    assert accounts.violations == 2, "other numbers, the same fault"
    accounts.delivered -= 1
    bench.pass_time(1)
    accounts.delivered += 1
    bench.pass_time(1)
    assert accounts.violations == 4, "what has healed is found anew"


@pytest.mark.parametrize(("variable", "setting", "found"), [("", False, 0), ("1", False, 1), ("", True, 1)])
async def test_records_are_recounted_where_faults_are_looked_for(
    monkeypatch: pytest.MonkeyPatch, variable: str, setting: bool, found: int
) -> None:
    monkeypatch.setenv("WSSERVER_CHECKED", variable)
    bench = await Workbench(records={"check": setting}).start()
    report = bench.manager.broadcast_to_all({})
    changed(report, matched=report.matched + 1)
    bench.pass_time(0.25)
    assert bench.manager.broadcasts.accounts.violations == found
