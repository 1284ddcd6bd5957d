"""Who was subscribed and did not get a message."""

from typing import Any

import pytest
from workbench import Bench

from wsserver.observe.traced_copies import Row
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import EVERYTHING, Topic
from wsserver.publishing.bystanders import MAX_BYSTANDERS, SECONDS, Bystanders
from wsserver_core.recipients import Recipients

PATIENT = Topic.of_patient(1)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def of(bench: Bench, topic: Topic, body: dict[str, Any], excluded: int = 0) -> list[Row]:
    message = PublishedMessage(body, topic=topic)
    recipients = Recipients()
    manager = bench.manager
    manager.index.select(
        None if topic == EVERYTHING else topic.subscription_type,
        None if topic.target_id == "*" else topic.target_id,
        message.patient_id, body, message.derived, recipients, excluded,
    )  # fmt: skip
    return Bystanders(manager).of(topic, message, recipients)


def watcher(bench: Bench, user: str, patient: int, topic: str, filters: dict[str, Any] | None = None) -> str:
    one, _ = bench.connect(user, "doctor", patient)
    assert bench.manager.subscribe(one, *topic.split(":"), filters)
    return one


def test_each_is_told_of_with_its_reason_and_recipients_are_not(bench: Bench) -> None:
    watcher(bench, "got", 1, "patient:1")
    filtered = watcher(bench, "filtered", 1, "patient:1", {"n": 2, "lead": {"$exists": True}})
    denied = watcher(bench, "denied", 2, "patient:*")
    watcher(bench, "elsewhere", 1, "ecg:*")
    assert of(bench, PATIENT, {"n": 1}) == [
        Row(filtered, "filtered", "filtered", clauses=("lead.$exists", "n")),
        Row(denied, "denied", "denied"),
    ]


def test_one_that_matches_with_another_subscription_is_no_bystander(bench: Bench) -> None:
    one = watcher(bench, "u1", 1, "patient:1", {"n": 2})
    assert bench.manager.subscribe(one, "patient", "*", {"n": 1})
    assert of(bench, PATIENT, {"n": 1}) == []
    assert of(bench, PATIENT, {"n": 3}) == [Row(one, "u1", "filtered", clauses=("n",))]


def test_one_with_several_filters_that_are_false_is_told_of_once_by_the_first(bench: Bench) -> None:
    one = watcher(bench, "u1", 1, "patient:1", {"first": 2})
    assert bench.manager.subscribe(one, "patient", "*", {"second": 1})
    assert of(bench, PATIENT, {"n": 3}) == [Row(one, "u1", "filtered", clauses=("first",))]


def test_its_sender_without_an_echo_is_one_if_it_matches(bench: Bench) -> None:
    one = watcher(bench, "u1", 1, "patient:1", {"n": 1})
    handle = bench.metadata(one).handle
    assert of(bench, PATIENT, {"n": 1}, handle) == [Row(one, "u1", "own_message")]
    assert of(bench, PATIENT, {"n": 2}, handle) == [Row(one, "u1", "filtered", clauses=("n",))]


def test_a_message_to_all_asks_for_no_subscription(bench: Bench) -> None:
    watcher(bench, "u1", 2, "patient:*")
    assert of(bench, EVERYTHING, {"patient_id": 1}) == []


def test_a_whole_type_is_looked_at_with_all_its_targets(bench: Bench) -> None:
    one = watcher(bench, "u1", 1, "ecg:room7", {"n": 2})
    assert of(bench, Topic.of("ecg"), {"n": 1}) == [Row(one, "u1", "filtered", clauses=("n",))]


def test_their_number_is_bounded(bench: Bench) -> None:
    for number in range(MAX_BYSTANDERS + 5):
        watcher(bench, f"u{number}", 1, "patient:1", {"n": 2})
    assert len(of(bench, PATIENT, {"n": 1})) == MAX_BYSTANDERS


def test_the_time_for_them_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        watcher(bench, f"u{number}", 1, "patient:1", {"n": 2})
    monotonic = bench.clock.monotonic

    def slower() -> float:
        bench.clock.advance(SECONDS / 2)
        return monotonic()

    monkeypatch.setattr(bench.clock, "monotonic", slower)
    assert len(of(bench, PATIENT, {"n": 1})) == 3
