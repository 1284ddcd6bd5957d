"""The schedule of looks at tokens."""

from wsserver.connections.token_expiry import ExpirySchedule


def test_a_connection_is_mentioned_once_its_second_has_come_and_only_once() -> None:
    schedule = ExpirySchedule()
    schedule.add(100.9, "c1")
    assert list(schedule.due(99.99)) == []
    assert list(schedule.due(100.0)) == ["c1"]
    assert list(schedule.due(101.0)) == []
    assert len(schedule) == 0


def test_those_who_are_late_come_in_the_order_of_their_seconds() -> None:
    schedule = ExpirySchedule()
    for at, name in ((103, "c"), (101, "a"), (102, "b"), (500, "later")):
        schedule.add(at, name)
    assert list(schedule.due(200)) == ["a", "b", "c"]
    assert len(schedule) == 1


def test_what_is_added_for_a_second_that_has_passed_is_mentioned_next_time() -> None:
    schedule = ExpirySchedule()
    list(schedule.due(1000))
    schedule.add(10, "c1")
    assert list(schedule.due(1000)) == ["c1"]


def test_adding_while_others_are_mentioned_ends() -> None:
    schedule = ExpirySchedule()
    schedule.add(100, "c1")
    for name in schedule.due(100):
        schedule.add(100, name)
    assert list(schedule.due(100)) == ["c1"]


def test_a_wall_clock_that_jumped_ahead_and_back_delays_nobody() -> None:
    schedule = ExpirySchedule()
    list(schedule.due(10**9))
    schedule.add(100, "c1")
    assert list(schedule.due(100)) == ["c1"]


def test_what_means_nothing_any_more_can_be_swept_out() -> None:
    schedule = ExpirySchedule()
    for second, name in ((100, "gone"), (100, "here"), (100, "here"), (200, "renewed"), (300, "renewed")):
        assert schedule.add(second + 0.9, name) == second
    schedule.keep(lambda second, name: (second, name) in {(100, "here"), (300, "renewed")})
    assert len(schedule) == 2
    assert list(schedule.due(1000)) == ["here", "renewed"]
    assert len(schedule) == 0
