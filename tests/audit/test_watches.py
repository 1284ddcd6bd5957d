"""Who watched a patient between two times."""

from typing import Any

import pytest

from wsserver.audit.record import AuditRecord
from wsserver.audit.watches import Watch, Watches


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}.000Z"


class Log:
    """Records, one after the other."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []

    def add(self, second: int, action: str, connection: str | None = "c_1", **members: Any) -> "Log":
        members.setdefault("actor", "server" if connection is None else f"u{connection[2:]}")
        record = AuditRecord(
            seq=len(self.records) + 1, at=at(second), action=action, connection_id=connection, **members
        )
        self.records.append(record)
        return self

    def wide(
        self, second: int, sees: Any, connection: str = "c_1", topic: str = "patient:*", **more: Any
    ) -> "Log":
        return self.add(
            second, "subscribe", connection, topic=topic, right="token", details={"sees": sees}, **more
        )

    def watches(self, since: int | None = None, until: int | None = None) -> list[Watch]:
        reader = Watches("P")
        reader.read(self.records)
        return reader.between(None if since is None else at(since), None if until is None else at(until))

    def spans(
        self, since: int | None = None, until: int | None = None
    ) -> list[tuple[str, int, int | None, str | None]]:
        return [
            (
                one.user_id,
                int(one.since[17:19]),
                None if one.until is None else int(one.until[17:19]),
                one.ended_by,
            )
            for one in self.watches(since, until)
        ]


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_subscription_is_an_interval_from_its_beginning_to_its_end(log: Log) -> None:
    log.add(1, "subscribe", patient_id="P", role="nurse", right="token")
    log.add(5, "end", patient_id="P", details={"reason": "unsubscribed"})
    (watch,) = log.watches()
    assert watch.as_dict() == {
        "user_id": "u1",
        "role": "nurse",
        "connection_id": "c_1",
        "topic": "patient:P",
        "right": "token",
        "from": at(1),
        "to": at(5),
        "ended_by": "unsubscribed",
        "could_see": False,
        "certain": True,
        "reason": None,
        "replayed": 0,
    }


def test_other_patients_do_not_matter(log: Log) -> None:
    log.add(1, "subscribe", patient_id="Q").add(2, "subscribe", patient_id="P")
    log.add(3, "end", patient_id="Q", details={"reason": "unsubscribed"})
    assert log.spans() == [("u1", 2, None, None)]


def test_those_that_began_before_and_were_still_open_are_among_them(log: Log) -> None:
    log.add(1, "subscribe", "c_1", patient_id="P").add(2, "subscribe", "c_2", patient_id="P")
    log.add(3, "disconnect", "c_2").add(8, "subscribe", "c_3", patient_id="P")
    assert log.spans(5, 7) == [("u1", 1, None, None)]
    assert log.spans(3, 7) == [("u1", 1, None, None), ("u2", 2, 3, "disconnected")]
    assert log.spans(5, 8) == [("u1", 1, None, None), ("u3", 8, None, None)]
    assert log.spans(None, 1) == [("u1", 1, None, None)]
    assert len(log.spans()) == 3


def test_a_new_filter_is_the_same_watch_and_a_new_right_another(log: Log) -> None:
    log.add(1, "subscribe", patient_id="P", right="token")
    log.add(2, "subscribe", patient_id="P", right="token", details={"replaced": True})
    assert log.spans() == [("u1", 1, None, None)]
    log.add(3, "subscribe", patient_id="P", right="break_glass", details={"replaced": True, "reason": "so"})
    assert log.spans() == [("u1", 1, 3, "replaced"), ("u1", 3, None, None)]
    assert log.watches()[1].reason == "so"


def test_the_end_of_a_connection_ends_all_its_watches(log: Log) -> None:
    log.add(1, "restore", patient_id="P").wide(2, "all").add(4, "disconnect")
    assert log.spans() == [("u1", 1, 4, "disconnected"), ("u1", 2, 4, "disconnected")]
    # And nothing that is said of it later means anything.
    log.add(5, "rights", details={"sees": "all"}).add(6, "end", patient_id="P").add(7, "disconnect")
    assert len(log.spans()) == 2


@pytest.mark.parametrize("topic", ["*", "patient:*", "ecg:*", "ecg:7"])
def test_wider_topics_could_see_the_patient_if_the_user_could(log: Log, topic: str) -> None:
    log.wide(1, "all", "c_1", topic).wide(2, ["O", "P"], "c_2", topic).wide(3, ["O"], "c_3", topic)
    log.wide(4, 900, "c_4", topic).wide(5, [], "c_5", topic)
    found = log.watches()
    assert [one.user_id for one in found] == ["u1", "u2", "u4"]
    assert all(one.could_see and one.topic == topic for one in found)
    assert [one.is_certain for one in found] == [True, True, False]


def test_rights_that_change_open_and_close_what_a_wider_topic_shows(log: Log) -> None:
    log.wide(1, ["O"])
    for second, sees in ((2, ["P"]), (3, ["O", "P"]), (4, ["O"]), (5, "all"), (6, [])):
        log.add(second, "rights", right="token", details={"sees": sees})
    assert log.spans() == [("u1", 2, 4, "rights"), ("u1", 5, 6, "rights")]
    log.add(7, "end", topic="patient:*", details={"reason": "unsubscribed"})
    log.add(8, "rights", details={"sees": "all"})
    assert len(log.spans()) == 2


def test_a_server_that_died_took_all_watches_with_it(log: Log) -> None:
    log.add(1, "subscribe", patient_id="P").add(3, "subscribe", "c_2", patient_id="Q")
    log.add(9, "server_start", None)
    assert log.spans() == [("u1", 1, 3, "cut_off")]


def test_what_was_refused_was_not_watched_and_is_told(log: Log) -> None:
    log.add(1, "subscribe", patient_id="P", outcome="refused", right="patients", code=1011)
    log.add(2, "subscribe", patient_id="Q", outcome="refused", right="patients", code=1011)
    reader = Watches("P")
    reader.read(log.records)
    assert reader.found == []
    assert [one.seq for one in reader.refused] == [1]


def test_messages_that_were_replayed_are_told_with_the_watches_that_got_them(log: Log) -> None:
    log.add(1, "restore", patient_id="P").add(1, "replay", details={"messages": 7})
    log.add(2, "subscribe", "c_2", patient_id="P")
    assert [one.replayed for one in log.watches()] == [7, 0]
