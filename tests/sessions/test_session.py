"""Where a client goes on, by what the session knows and by what the client says."""

from typing import Any

import pytest

from wsserver.protocol.control import Gap
from wsserver.protocol.topic import Topic
from wsserver.sessions.owed_gaps import NO_PROOF, Owed
from wsserver.sessions.session import Held, Session, lost_beyond
from wsserver.store.log import Logs, MessageLog
from wsserver_core.filters import FilterLimits, compile_filter

KEY, FORMER = b"new", b"old"


def logs(durable: int, volatile: int) -> Logs:
    both = Logs(MessageLog("kd"), MessageLog("kv"))
    both.durable.head, both.volatile.head = durable, volatile
    return both


def session(**changes: Any) -> Session:
    """One that began at (10, 20), was sent (15, 20), and ended when the logs were at (30, 40)."""
    facts: dict[str, Any] = {
        "key": KEY,
        "former": FORMER,
        "user_id": "u",
        "token_id": None,
        "lineage": None,
        "subscriptions": [],
        "logs": ("kd", "kv"),
        "cursor": (8, 20),
        "start": (10, 20),
        "sent": (15, 20),
        "heads": (30, 40),
        "direct": (0, 0),
        "owed": [],
        "unheard": [],
        "expires_at": 0.0,
    }
    return Session(**(facts | changes))


def begin(one: Session, cursor: dict[str, int], shown: bytes = KEY) -> tuple[Any, ...]:
    return tuple(one.begin(shown, cursor, logs(50, 60)))


@pytest.mark.parametrize(
    ("said", "start"),
    [
        (15, 30),  # it has all that was sent: up to the end there was nothing else for it
        (22, 30),  # a pong had brought it further
        (30, 30),
        (35, 35),  # further than the end: of another connection in between
        (14, 14),  # something is missing: from there on
        (11, 11),
        (10, 10),
        (9, 10),  # it began there, and nothing was missing up to the start
        (8, 10),
        (7, 7),  # it has gone back behind its beginning: it must know
        (0, 0),
    ],
)
def test_a_client_that_has_all_that_was_sent_lacks_nothing_up_to_the_end(said: int, start: int) -> None:
    cursor, begins, gaps = begin(session(), {"kd": said, "kv": 20})
    assert (cursor, begins, gaps) == ((said, 20), (start, 40), [])


def test_a_log_that_the_client_does_not_name_is_one_of_which_it_has_handled_nothing() -> None:
    assert begin(session(), {"kv": 20}) == ((8, 20), (10, 40), [])
    assert begin(session(), {}) == ((8, 20), (10, 40), [])
    quiet = session(cursor=(8, 20), start=(8, 20), sent=(8, 20))
    assert begin(quiet, {}) == ((8, 20), (30, 40), [])


def test_a_log_that_began_meanwhile_is_given_from_its_beginning() -> None:
    one = session(logs=("kd", "earlier_v"))
    cursor, start, gaps = begin(one, {"kd": 15, "earlier_v": 33})
    assert (cursor, start) == ((15, 0), (30, 0))
    assert gaps == [Gap(log="earlier_v", from_=34, reason="restart")]
    assert begin(one, {"kd": 15})[2] == [Gap(log="earlier_v", from_=21, reason="restart")]


def test_a_cursor_beyond_a_log_is_set_back_and_told() -> None:
    cursor, start, gaps = begin(session(), {"kd": 77, "kv": 60})
    assert (cursor, start) == ((50, 60), (50, 60))
    assert gaps == [Gap(log="kd", from_=51, to=77, reason="ahead")]


LOSS = Gap(log="kd", topic="t:1", from_=12, to=13, count=2, reason="slow")


@pytest.mark.parametrize(
    ("proof", "said", "told"),
    [
        (NO_PROOF, 15, True),
        ((14, 39), 15, False),  # it has handled what came behind the news
        ((15, 39), 15, True),
        ((15, 19), 15, False),  # of the other log
        (NO_PROOF, 11, False),  # the replay makes up for it
        (NO_PROOF, 12, True),
    ],
)
def test_a_loss_is_told_again_unless_it_was_heard_or_is_made_up_for(
    proof: tuple[int | None, int | None], said: int, told: bool
) -> None:
    one = session(owed=[Owed(LOSS, proof)])
    assert begin(one, {"kd": said, "kv": 20})[2] == ([LOSS] if told else [])


def test_what_was_told_in_connected_is_told_again_to_whoever_shows_the_id_before() -> None:
    trimmed = Gap(log="kd", topic="t:1", from_=9, to=10, reason="trimmed")
    later = Gap(log="kd", topic="t:1", from_=40, to=41, reason="trimmed")
    forbidden = Gap(log="kd", topic="patient:1", reason="forbidden")
    full = Gap(log="kd", topic="t:2", from_=40, to=45, reason="limit")
    one = session(unheard=[trimmed, later, forbidden, full])
    assert begin(one, {"kd": 15, "kv": 20}) == ((15, 20), (30, 40), [])
    assert begin(one, {"kd": 15, "kv": 20}, FORMER)[2] == [trimmed, forbidden, full]


def test_what_was_sent_to_it_alone_is_lost_unless_it_was_handled() -> None:
    one = session(direct=(0, 25))
    assert begin(one, {"kd": 15, "kv": 25})[2] == []
    assert begin(one, {"kd": 15, "kv": 22})[2] == [Gap(log="kv", from_=23, to=25, reason="limit")]
    elsewhere = session(direct=(0, 25), logs=("kd", "earlier_v"))
    assert [gap.reason for gap in begin(elsewhere, {"kd": 15, "earlier_v": 22})[2]] == ["restart"]


def test_without_a_session_everything_beyond_the_cursor_may_be_missing() -> None:
    cursor = {"kd": 40, "kv": 61, "gone_v": 7}
    assert lost_beyond(cursor, logs(50, 60)) == [
        Gap(log="kd", from_=41, to=50, reason="limit"),
        Gap(log="kv", from_=61, to=61, reason="ahead"),
        Gap(log="gone_v", from_=8, reason="restart"),
    ]
    assert lost_beyond({"kd": 50, "kv": 60}, logs(50, 60)) == []
    assert lost_beyond({}, logs(50, 60)) == []


def test_its_cost_grows_with_what_it_holds() -> None:
    wide = compile_filter({"a": list(range(100))}, FilterLimits())
    everything = compile_filter({}, FilterLimits())
    empty = session().cost
    plain = session(subscriptions=[Held(Topic("ecg", "1"), everything)]).cost
    filtered = session(subscriptions=[Held(Topic("ecg", "1"), wide)]).cost
    lossy = session(owed=[Owed(LOSS, NO_PROOF)], unheard=[LOSS]).cost
    assert empty < plain < filtered
    assert filtered - plain == len(wide.canonical)
    assert lossy - empty == 800
