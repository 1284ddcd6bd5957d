import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from wsserver.errors import BACKPRESSURE, ServerError
from wsserver.protocol.report import MAX_TURNS, Counts, DeliveryReport


@dataclass
class _Frame:
    """Counters as the hub's frames have them: set them by hand."""

    written: int = 0
    queued: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


def _report(delivered: int = 3, **changes: Any) -> DeliveryReport:
    values: dict[str, Any] = {
        "message_id": "m_1", "topic": "patient:123", "log": "k3f9d", "seq": 42, "considered": 9,
        "filtered": 2, "denied": 1, "matched": delivered + 1, "delivered": delivered, "refused": {"full": 1},
    }  # fmt: skip
    return DeliveryReport(**(values | changes))


async def test_it_can_be_awaited_once_twice_or_never() -> None:
    report = _report()
    assert await report is report
    assert await report is report
    assert (await asyncio.gather(report))[0] is report
    assert await asyncio.wait_for(report, 1) is report


def test_awaiting_it_never_gives_the_loop_a_turn() -> None:
    with pytest.raises(StopIteration):
        next(_report().__await__())


def test_it_prints_as_the_number_delivered() -> None:
    report = _report(1450)
    assert f"sent to {report} subscribers" == "sent to 1450 subscribers"
    assert f"{report:,}" == "1,450"
    assert "%s %d" % (report, report) == "1450 1450"  # noqa: UP031 (this is how logging formats)
    assert repr(report) == "<DeliveryReport m_1: 1450 of 1451>"


def test_it_compares_and_counts_as_a_number() -> None:
    report = _report(3)
    assert report == 3
    assert report == _report(3)
    assert report != 4
    assert report != "3"
    assert 2 < report <= 3
    assert 3 >= report > 2.5
    assert report < _report(4)
    assert not _report(0)
    assert report
    assert int(report) == 3
    assert float(report) == 3.0
    assert ["a", "b", "c", "d"][report] == "d"
    assert sum([report, report]) == 6
    assert 10 - report == 7
    assert report - 1 == 2


def test_the_dictionary_has_the_members_of_the_http_answer_in_their_order() -> None:
    assert list(_report().as_dict().items()) == [
        ("message_id", "m_1"),
        ("topic", "patient:123"),
        ("log", "k3f9d"),
        ("seq", 42),
        ("durability", "memory"),
        ("duplicate", False),
        ("considered", 9),
        ("filtered", 2),
        ("denied", 1),
        ("matched", 4),
        ("delivered", 3),
        ("refused", {"full": 1}),
    ]


def test_the_outcome_is_read_from_the_frames_at_the_moment_of_asking() -> None:
    json_frame, binary_frame = _Frame(queued=2), _Frame(queued=1)
    report = _report(3, frames=[json_frame, binary_frame])
    nothing = {"slow": 0, "conflated": 0, "expired": 0, "closed": 0, "shutdown": 0}
    assert report.outcome() == {"written": 0, "queued": 3, "dropped": nothing}
    json_frame.queued, json_frame.written, json_frame.dropped = 0, 1, {"slow": 1}
    binary_frame.queued, binary_frame.dropped = 0, {"slow": 1}
    assert report.outcome() == {"written": 1, "queued": 0, "dropped": nothing | {"slow": 2}}


@pytest.mark.parametrize(("behind", "turns"), [(0, 0), (1, 1), (500, 500), (10**9, MAX_TURNS)])
def test_awaiting_lets_the_loop_turn_while_the_server_is_behind_but_not_for_ever(
    behind: int, turns: int
) -> None:
    looks = iter(range(behind + 1))
    report = _report(3, is_behind=lambda: next(looks) < behind)
    awaiting = report.__await__()
    assert sum(1 for _ in awaiting) == turns


def test_a_report_without_frames_has_an_empty_outcome() -> None:
    assert report_sum(_report(0).outcome()) == 0


def report_sum(outcome: dict[str, Any]) -> int:
    return int(outcome["written"] + outcome["queued"] + sum(outcome["dropped"].values()))


async def test_gather_awaits_each_of_two_that_reached_as_many() -> None:
    one, two = _report(3), _report(3)
    gathered = await asyncio.gather(one, two)
    assert gathered[0] is one
    assert gathered[1] is two


# -- pending


COUNTS = Counts(seq=42, considered=9, filtered=2, denied=1, matched=4, delivered=3, refused={"slow": 1})


def _pending(**changes: Any) -> DeliveryReport:
    values: dict[str, Any] = {
        "message_id": "m_1", "topic": "patient:123", "log": "k3f9d", "durability": "fsync",
    }  # fmt: skip
    return DeliveryReport.pending(**(values | changes))


@pytest.mark.parametrize(
    "use",
    [
        int, float, bool, str, lambda one: f"{one:d}", lambda one: one == 3, lambda one: one < 4,
        lambda one: one + 1, lambda one: 1 - one, lambda one: sum([one]), lambda one: "abcd"[one],
        lambda one: one.seq, lambda one: one.delivered, lambda one: one.matched, lambda one: one.refused,
        lambda one: one.considered, lambda one: one.filtered, lambda one: one.denied,
        lambda one: one.as_dict(),
    ],
)  # fmt: skip
def test_a_pending_report_has_no_numbers(use: Any) -> None:
    report = _pending()
    with pytest.raises(RuntimeError, match=r"still on its way to the disk.*: await the report"):
        use(report)
    report.complete(COUNTS)
    use(report)


def test_what_is_known_of_a_pending_report_can_be_read() -> None:
    report = _pending()
    assert (report.message_id, report.topic, report.log) == ("m_1", "patient:123", "k3f9d")
    assert (report.durability, report.duplicate, report.is_pending, report.fault) == (
        "fsync", False, True, None,
    )  # fmt: skip
    assert repr(report) == "<DeliveryReport m_1: on its way>"
    assert report_sum(report.outcome()) == 0
    assert report == report
    assert {report: 1}[report] == 1


async def test_whoever_awaits_a_pending_report_gets_it_when_it_is_done() -> None:
    report, other = _pending(), _pending()
    waiting = [asyncio.ensure_future(report), asyncio.ensure_future(report)]
    both = asyncio.ensure_future(asyncio.gather(report, other))
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    waiting[0].cancel()
    await asyncio.sleep(0)
    frame = _Frame(queued=3)
    report.complete(COUNTS, (frame,))
    assert await waiting[1] is report
    assert not report.is_pending
    assert await report is report
    assert report == 3
    assert report.outcome()["queued"] == 3
    assert report.as_dict()["durability"] == "fsync"
    assert not both.done()
    other.complete(COUNTS)
    assert [id(one) for one in await both] == [id(report), id(other)]


async def test_a_report_that_failed_says_why_whatever_it_is_asked() -> None:
    report = _pending()
    waiting = asyncio.ensure_future(report)
    await asyncio.sleep(0)
    fault = ServerError(BACKPRESSURE)
    report.fail(fault)
    for attempt in (waiting, report):
        with pytest.raises(ServerError) as caught:
            await attempt
        assert caught.value is fault
    with pytest.raises(ServerError):
        int(report)
    assert report.fault is fault
    assert repr(report) == "<DeliveryReport m_1: failed>"


def test_callbacks_are_called_once_in_their_order_and_at_once_when_it_is_done() -> None:
    report, called = _pending(), []
    report.when_done(lambda done: called.append((1, done is report)))
    report.when_done(lambda done: called.append((2, done is report)))
    assert called == []
    report.complete(COUNTS)
    report.when_done(lambda done: called.append((3, int(done) == 3)))
    assert called == [(1, True), (2, True), (3, True)]
    _report().when_done(lambda done: called.append((4, True)))
    assert called[-1] == (4, True)


async def test_a_pending_report_waits_for_a_server_that_is_behind_as_well() -> None:
    looks = iter([True, True, False])
    report = _pending(is_behind=lambda: next(looks))
    report.complete(COUNTS)
    assert sum(1 for _ in report.__await__()) == 2
