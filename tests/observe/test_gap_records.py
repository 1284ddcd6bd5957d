"""What clients have been told that they lack."""

import pytest
from fake_clock import WALL, FakeClock

from wsserver.observe.gap_records import KEPT, GapRecords
from wsserver.protocol.control import Gap
from wsserver.protocol.report import DeliveryReport


def report(seq: int, topic: str = "patient:1", log: str = "l1v") -> DeliveryReport:
    return DeliveryReport(
        message_id="m", topic=topic, log=log, seq=seq, considered=0, filtered=0, denied=0, matched=0,
        delivered=0, refused={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gap", "covered"),
    [
        (Gap(log="l1v", topic="patient:1", from_=5, to=7, count=3, reason="slow"), {5, 6, 7}),
        (Gap(log="l1v", from_=5, to=7, reason="trimmed"), {5, 6, 7}),
        (Gap(log="l1v", from_=None, to=7, reason="restart"), {4, 5, 6, 7}),
        (Gap(log="l1v", reason="forbidden"), {4, 5, 6, 7, 8}),
        (Gap(log="other", topic="patient:1", from_=5, to=7, reason="slow"), set()),
        (Gap(log="l1v", topic="patient:2", from_=5, to=7, reason="slow"), set()),
    ],
)
def test_a_gap_covers_its_range_of_its_topic_in_its_log(gap: Gap, covered: set[int]) -> None:
    gaps = GapRecords(FakeClock())
    gaps.note(1, gap)
    assert {seq for seq in range(4, 9) if gaps.find(1, report(seq))} == covered
    assert gaps.find(2, report(6)) is None


def test_the_latest_is_told_with_its_time() -> None:
    clock = FakeClock()
    gaps = GapRecords(clock)
    gaps.note(1, Gap(log="l1v", from_=5, to=7, reason="slow"))
    clock.advance(1)
    gaps.note(1, Gap(log="l1v", from_=6, to=9, count=2, reason="slow"))
    found = gaps.find(1, report(6))
    assert found is not None
    assert (found.at, found.as_dict()) == (
        WALL + 1,
        {"told_at": "2027-01-15T08:00:01.000Z", "reason": "slow", "from": 6, "to": 9, "count": 2},
    )
    assert "l1v" not in repr(found)


def test_their_number_is_bounded() -> None:
    gaps = GapRecords(FakeClock())
    for number in range(KEPT + 5):
        gaps.note(number, Gap(log="l1v", reason="forbidden"))
    assert len(gaps) == KEPT
    assert gaps.find(4, report(1)) is None
    assert gaps.find(5, report(1)) is not None
