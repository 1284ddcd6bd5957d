import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from wsserver.protocol.report import MAX_TURNS, DeliveryReport


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
    assert hash(report) == hash(3)
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
