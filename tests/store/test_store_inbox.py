"""What waits for the writer's thread: what is newest, what is bounded, what is taken."""

from typing import Any

from store_records import mark, message, session

from wsserver.store.store_batch import Batch, Pending
from wsserver.store.store_inbox import MOST_TOGETHER, StoreInbox


def pending() -> Pending:
    def never(outcome: Any) -> None:
        raise AssertionError

    return Pending(message(), never, never)


def test_what_could_not_be_written_does_not_replace_what_has_come_since() -> None:
    inbox = StoreInbox()
    old, new = session(b"s", state=b"old"), session(b"s", state=b"new")
    other = session(b"o")
    inbox.put_session(b"s", new)
    inbox.put_session(b"gone", None)
    inbox.put_key(mark(b"k", message_id="new"), 10)
    inbox.put_back(
        Batch(
            sessions={b"s": old, b"o": other, b"gone": session(b"gone")},
            keys={b"k": mark(b"k", message_id="old"), b"l": mark(b"l")},
        )
    )
    batch = inbox.take()
    assert batch.sessions == {b"s": new, b"o": other, b"gone": None}
    assert {name: key.message_id for name, key in batch.keys.items()} == {b"k": "new", b"l": ""}


def test_of_too_many_keys_the_oldest_go() -> None:
    inbox = StoreInbox()
    for number in range(5):
        inbox.put_key(mark(bytes([number])), 3)
    assert list(inbox.take().keys) == [b"\2", b"\3", b"\4"]


def test_of_messages_no_more_are_taken_than_go_together_and_the_rest_stays() -> None:
    inbox = StoreInbox()
    for _ in range(MOST_TOGETHER + 1):
        inbox.put_message(pending())
    inbox.put_session(b"s", None)
    first = inbox.take()
    assert (len(first.messages), len(first.sessions)) == (MOST_TOGETHER, 1)
    second = inbox.take()
    assert (len(second.messages), len(second.sessions)) == (1, 0)
    assert not inbox.take()


def test_while_the_disk_fails_only_what_somebody_waits_for_is_taken() -> None:
    inbox = StoreInbox()
    inbox.put_message(pending())
    inbox.put_session(b"s", None)
    inbox.put_key(mark(b"k"), 10)
    inbox.put_sweep()
    waited = inbox.take_waited_for()
    assert (len(waited.messages), waited.sessions, waited.keys, waited.sweep) == (1, {}, {}, False)
    rest = inbox.take_unwaited_for()
    assert (rest.messages, list(rest.sessions), list(rest.keys), rest.sweep) == ([], [b"s"], [b"k"], True)


def test_one_that_is_closed_lets_nobody_wait() -> None:
    inbox = StoreInbox()
    inbox.put_message(pending())
    inbox.close()
    assert inbox.is_closed
    assert len(inbox.collect(60.0).messages) == 1
    assert not inbox.collect(60.0)
    inbox.wait(60.0)
