"""Places in a log."""

from wsserver.store.log import MessageLog


def test_places_rise_by_one_and_the_head_is_the_latest() -> None:
    log = MessageLog()
    assert log.head == 0
    assert [log.next_seq() for _ in range(3)] == [1, 2, 3]
    assert log.head == 3


def test_a_log_that_starts_anew_has_a_new_name_unless_it_is_given_one() -> None:
    assert MessageLog("k1v").name == "k1v"
    names = {MessageLog().name for _ in range(100)}
    assert len(names) == 100
    assert all(name.endswith("v") and len(name) <= 64 for name in names)
