"""How far a client has come: against a slow twin that replays whatever was not handled."""

from hypothesis import given
from hypothesis import strategies as st

from wsserver.client.cursor import Cursor
from wsserver.client.message import Gap, Meta


def meta(seq: int, log: str = "d", message_id: str | None = None) -> Meta:
    return Meta(message_id or f"{log}{seq}", "patient:1", log, seq, "")


def started(**places: int) -> Cursor:
    cursor = Cursor()
    assert cursor.begin(places, None) is None
    return cursor


def test_it_moves_when_a_message_is_finished_and_not_before() -> None:
    cursor = started(d=4)
    assert cursor.arrived(meta(5))
    assert cursor.handled == {"d": 4}
    cursor.finished(meta(5))
    assert cursor.handled == {"d": 5}


def test_what_was_handled_or_is_pending_is_not_new() -> None:
    cursor = started(d=0)
    assert cursor.arrived(meta(1))
    assert not cursor.arrived(meta(1))
    cursor.finished(meta(1))
    assert not cursor.arrived(meta(1))


def test_another_message_with_the_number_of_a_pending_one_is_new() -> None:
    cursor = started(d=0)
    assert cursor.arrived(meta(1, message_id="before the restore"))
    assert cursor.arrived(meta(1, message_id="after it"))
    cursor.finished(meta(1, message_id="before the restore"))
    assert cursor.handled == {"d": 0}


def test_a_position_waits_for_its_own_log_only() -> None:
    cursor = started(d=0, v=0)
    cursor.arrived(meta(1))
    position = cursor.position({"d": 7, "v": 9})
    assert position is not None
    assert cursor.handled == {"d": 0, "v": 9}
    cursor.finished(meta(1))
    cursor.reached(position)
    assert cursor.handled == {"d": 7, "v": 9}


def test_a_position_of_an_earlier_connection_counts_for_nothing() -> None:
    cursor = started(d=0, v=0)
    cursor.arrived(meta(1))
    cursor.arrived(meta(1, "v"))
    position = cursor.position({"d": 7, "v": 9})
    cursor.begin({"d": 0, "w": 3}, {"d": 0, "v": 0})
    assert position is not None
    cursor.reached(position)
    assert cursor.handled == {"d": 0, "w": 3}


def test_a_log_that_is_gone_is_forgotten_with_what_is_pending_of_it() -> None:
    cursor = started(v=3)
    cursor.arrived(meta(4, "v"))
    cursor.begin({"w": 0}, {"v": 3})
    cursor.finished(meta(4, "v"))
    assert cursor.handled == {"w": 0}


def test_a_log_that_lost_its_tail_begins_where_the_server_says() -> None:
    cursor = started(d=50)
    cursor.arrived(meta(51))
    cursor.begin({"d": 45}, {"d": 50})
    cursor.finished(meta(51))
    assert cursor.handled == {"d": 45}
    assert cursor.arrived(meta(46))


def test_the_same_is_noticed_where_no_session_was_shown() -> None:
    cursor = started(d=50)
    cursor.begin({"d": 45}, None)
    assert cursor.arrived(meta(46))


def test_what_was_missed_without_a_replay() -> None:
    cursor = started(d=5, v=2, w=8, same=3)
    assert set(cursor.missed({"d": 9, "w": 7, "same": 3})) == {
        Gap("limit", "d", first=6, last=9), Gap("restart", "v", first=3), Gap("ahead", "w", first=8, last=8),
    }  # fmt: skip


def test_gaps_are_told_less_what_is_here() -> None:
    cursor = started(d=0)
    for seq in (1, 2, 3):
        cursor.arrived(meta(seq))
    cut = cursor.without_what_is_here
    assert cut(Gap("trimmed", "d", first=1, last=3)) is None
    assert cut(Gap("trimmed", "d", first=1, last=5)) == Gap("trimmed", "d", first=4, last=5)
    assert cut(Gap("restart", "d", first=1)) == Gap("restart", "d", first=4)
    assert cut(Gap("trimmed", "d", first=4, last=5)) == Gap("trimmed", "d", first=4, last=5)
    # What the queue of the server dropped did not come, whatever came after it.
    slow = Gap("slow", "d", "patient:1", 1, 2, 2)
    assert cut(slow) == slow
    other = Gap("trimmed", "other", first=1, last=3)
    assert cut(other) == other


@given(st.lists(st.sampled_from(["publish", "handle", "cut", "pong"]), max_size=60))
def test_every_message_is_handled_once_and_in_order_whatever_is_cut(steps) -> None:
    """The twin is a list: the server replays all beyond what it was shown."""
    cursor, published, inbox, handled = started(d=0), 0, [], []
    sent = 0

    def send_up_to(last: int) -> None:
        nonlocal sent
        inbox.extend(seq for seq in range(sent + 1, last + 1) if cursor.arrived(meta(seq)))
        sent = last

    for step in steps:
        if step == "publish":
            published += 1
            send_up_to(published)
        elif step == "handle":
            while inbox and not isinstance(inbox[0], int):
                cursor.reached(inbox.pop(0))
            if inbox:
                handled.append(inbox[0])
                cursor.finished(meta(inbox.pop(0)))
        elif step == "pong":
            position = cursor.position({"d": sent})
            if position is not None:
                inbox.append(position)
        else:
            shown = dict(cursor.handled)
            assert shown["d"] <= (handled[-1] if handled else 0) or shown["d"] <= sent
            sent = shown["d"]
            position = cursor.begin(shown, shown)
            if position is not None:
                inbox.append(position)
            send_up_to(published)
    while inbox:
        one = inbox.pop(0)
        if isinstance(one, int):
            handled.append(one)
    assert handled == list(range(1, published + 1))
