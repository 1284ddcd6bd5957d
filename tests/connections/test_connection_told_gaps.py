from wsserver.connections.told_gaps import KEPT, ToldGaps
from wsserver.protocol.control import Gap


def test_the_newest_are_kept_and_all_are_counted() -> None:
    told = ToldGaps()
    for number in range(KEPT + 5):
        told.add(float(number), Gap(log="k1", from_=number, to=number, count=1, reason="slow"))
    assert told.total == KEPT + 5
    assert [gap.to for _, gap in told.latest] == list(range(5, KEPT + 5))
    assert [at for at, _ in told.latest] == [float(number) for number in range(5, KEPT + 5)]
