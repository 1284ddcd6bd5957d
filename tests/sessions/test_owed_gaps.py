"""Losses that a client may not have heard of."""

from wsserver.protocol.control import Gap
from wsserver.sessions.owed_gaps import MAX_OWED, NO_PROOF, Owed, OwedGaps


def gap(first: int, last: int | None = None, log: str = "d", reason: str = "slow") -> Gap:
    return Gap(log=log, topic="t:1", from_=first, to=last or first, count=1, reason=reason)


def test_whoever_handled_something_later_has_heard_of_it() -> None:
    owed = Owed(gap(5), (10, 20))
    assert not owed.was_heard((10, 20))
    assert owed.was_heard((11, 0))
    assert owed.was_heard((0, 21))
    assert not Owed(gap(5), NO_PROOF).was_heard((99, 99))
    assert not Owed(gap(5), (None, 20)).was_heard((99, 20))


def test_the_oldest_beyond_the_bound_are_summed_up_log_by_log_and_none_is_forgotten() -> None:
    owed = OwedGaps()
    for number in range(1, MAX_OWED * 3):
        log = "dv"[number % 2]
        owed.add(Owed(gap(number, number + 3, log), (number, number)))
        assert len(owed) <= MAX_OWED
    for number in range(1, MAX_OWED * 3):
        log = "dv"[number % 2]
        covering = [
            one for one in owed if one.gap.log == log and one.gap.from_ <= number and number + 3 <= one.gap.to
        ]
        assert covering
        # It is told as long as one of those that it stands for may not have been heard of.
        assert any(not one.was_heard((number, number)) for one in covering)
    sums = [one for one in owed if one.gap.topic is None]
    assert {one.gap.log for one in sums} == {"d", "v"}
    assert all(one.gap.count is None for one in sums)


def test_a_sum_of_one_that_nothing_proves_is_never_heard() -> None:
    owed = OwedGaps([Owed(gap(1), NO_PROOF)])
    for number in range(2, MAX_OWED + 2):
        owed.add(Owed(gap(number, reason="conflated"), (number, number)))
    first = next(iter(owed))
    assert (first.gap.from_, first.gap.topic, first.gap.reason) == (1, None, "slow")
    assert not first.was_heard((10**9, 10**9))
