"""What happened to subscriptions lately."""

import json

import pytest
from fake_clock import WALL, FakeClock

from wsserver.observe.event_history import EVENT_KINDS, Event, EventHistory


def history_of(size: int, events: int = 0) -> tuple[EventHistory, FakeClock]:
    clock = FakeClock()
    history = EventHistory(size, clock)
    for number in range(events):
        history.note(EVENT_KINDS[number % 2], connection_id=f"c_{number % 3}", subscription_id=f"s_{number}")
        clock.advance(1)
    return history, clock


def numbers(events: list[Event]) -> list[str | None]:
    return [event.subscription_id for event in events]


def test_an_event_is_kept_with_its_time_and_all_that_was_said() -> None:
    history, _ = history_of(5)
    history.note(
        "replaced",
        connection_id="c_1",
        subscription_id="s_1",
        subscription_type="patient",
        target_id="123",
        detail="by itself",
    )
    assert history.latest() == [Event(WALL, "replaced", "c_1", "s_1", "patient", "123", "by itself")]


def test_an_event_is_ready_for_json_with_its_time_in_utc() -> None:
    history, _ = history_of(5)
    history.note("disconnected", connection_id="c_1")
    (event,) = history.latest()
    assert json.loads(json.dumps(event.as_dict())) == {
        "at": "2027-01-15T08:00:00.000Z",
        "kind": "disconnected",
        "connection_id": "c_1",
        "subscription_id": None,
        "subscription_type": None,
        "target_id": None,
        "detail": None,
    }


def test_the_newest_come_first_and_the_oldest_go() -> None:
    history, _ = history_of(3, events=5)
    assert numbers(history.latest()) == ["s_4", "s_3", "s_2"]
    assert len(history) == history.size == 3


def test_events_can_be_chosen() -> None:
    history, _ = history_of(10, events=10)
    assert numbers(history.latest(2)) == ["s_9", "s_8"]
    assert numbers(history.latest(kind="replaced")) == ["s_9", "s_7", "s_5", "s_3", "s_1"]
    assert numbers(history.latest(connection_id="c_0")) == ["s_9", "s_6", "s_3", "s_0"]
    assert numbers(history.latest(before=WALL + 2)) == ["s_1", "s_0"]
    assert numbers(history.latest(1, kind="replaced", connection_id="c_0", before=WALL + 9)) == ["s_3"]
    assert history.latest(kind="hint") == []
    assert history.latest(0) == history.latest(-1) == []


def test_the_order_is_that_of_events_though_the_clock_be_set_back() -> None:
    history, clock = history_of(10, events=1)
    clock.wall -= 3600
    history.note("hint", connection_id="c", subscription_id="later")
    assert numbers(history.latest()) == ["later", "s_0"]


def test_a_history_of_size_0_is_off_but_counts() -> None:
    history, _ = history_of(0, events=4)
    assert history.latest() == []
    assert len(history) == history.size == 0
    assert history.counts["subscribed"] == 2


def test_every_kind_is_counted_from_the_start_kept_or_not() -> None:
    history, _ = history_of(1, events=5)
    assert history.counts == dict.fromkeys(EVENT_KINDS, 0) | {"subscribed": 3, "replaced": 2}
    history.counts["subscribed"] = 99
    assert history.counts["subscribed"] == 3


def test_resizing_keeps_the_newest() -> None:
    history, _ = history_of(5, events=5)
    history.resize(2)
    assert numbers(history.latest()) == ["s_4", "s_3"]
    history.resize(4)
    history.note("hint", connection_id="c", subscription_id="new")
    assert numbers(history.latest()) == ["new", "s_4", "s_3"]
    history.resize(0)
    history.note("hint", connection_id="c")
    assert history.latest() == []
    assert history.counts["hint"] == 2


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        EventHistory(-1, FakeClock())
    history, _ = history_of(2, events=2)
    with pytest.raises(ValueError, match="at least 0"):
        history.resize(-1)
    assert len(history) == 2


def test_no_patient_gets_into_a_log_by_accident() -> None:
    history, _ = history_of(2)
    history.note("subscribed", connection_id="c_1", target_id="patient-123", detail="patient-123")
    assert "123" not in f"{history} {history!r}"
    assert "patient" not in f"{history.latest()}"


def test_events_are_numbered_as_they_come_and_told_by_connection() -> None:
    history, _ = history_of(10, events=6)
    assert history.total == 6
    assert [(number, event.subscription_id) for number, event in history.of("c_1")] == [
        (1, "s_1"),
        (4, "s_4"),
    ]
    assert history.of("c_9") == []


def test_a_history_says_how_far_back_it_reaches() -> None:
    history, _ = history_of(4, events=10)
    assert [history.reaches(total) for total in (5, 6, 10)] == [False, True, True]
    assert [number for number, _ in history.of("c_0")] == [6, 9]
    nothing, _ = history_of(0, events=1)
    assert not nothing.reaches(0)
    assert nothing.reaches(1)


def test_an_event_in_a_log_names_nobody() -> None:
    history, _ = history_of(5)
    history.note("subscribed", connection_id="c_1", target_id="123", detail="dr7")
    (event,) = history.latest()
    assert repr(event) == "<Event subscribed>"
