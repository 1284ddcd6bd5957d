"""Which kept messages one connection would get: compared with the index that serves the living."""

import itertools
from typing import Any

import pytest
from workbench import Bench, principal

from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import Topic
from wsserver.sessions import interest as interest_module
from wsserver.sessions.interest import Bodies, Interest

TOPICS = ("patient:1", "patient:2", "patient:*", "ecg:*", "ecg:5", "ecg:6", "ward:5", "*")
FILTERS: tuple[dict[str, Any] | None, ...] = (None, {"v": 1}, {"severity": "info"}, {"data_type": "ecg"})


def interest_of(bench: Bench, connection_id: str, since: dict[int, int] | None = None) -> Interest:
    metadata = bench.metadata(connection_id)
    manager = bench.manager
    severities = manager.subscription_manager.filters.severities
    records = manager.index.records(metadata.handle)
    return Interest(manager.history, Bodies(), severities, metadata, records, since or {})


def publish_all(bench: Bench) -> list[bool]:
    """Every kind of message to every topic; for each whether the one connection got it live."""
    got = []
    for topic, patient, v, kind in itertools.product(
        TOPICS, (None, "1", "2"), (1, 2), ("ecg_data", "alert", None)
    ):
        if topic in ("patient:1", "patient:2") and patient not in (None, topic[-1]):
            continue
        body: dict[str, Any] = {"v": v}
        body |= {"patient_id": patient} if patient else {}
        body |= {"type": kind} if kind else {}
        report = bench.manager.publish(Topic.parse(topic), body)
        got.append(report.delivered == 1)
        bench.loop.run()
    return got


@pytest.mark.parametrize("patients", [None, {"1"}, set()])
@pytest.mark.parametrize("wanted", TOPICS)
@pytest.mark.parametrize("filters", FILTERS)
def test_it_agrees_with_the_index_on_every_message(
    wanted: str, filters: dict[str, Any] | None, patients: set[str] | None
) -> None:
    bench = Bench(history={"size": 10_000})
    one, _ = bench.connect("u1", principal=principal(bench, "u1", patients))
    subscription_type, _, target = wanted.partition(":")
    bench.manager.subscribe(one, subscription_type, target or "*", filters)
    got = publish_all(bench)
    interest = interest_of(bench, one)
    kept = list(bench.manager.history.after(0))
    assert [interest.wants(message) for message in kept] == got
    assert interest.wanted(kept, (0, 0)) == [
        message for message, is_for_it in zip(kept, got, strict=True) if is_for_it
    ]
    # What it names, or covers, is where all of this came from.
    named = interest.named()
    for message, is_for_it in zip(kept, got, strict=True):
        name, _, target = (message.frame.topic or "").partition(":")
        topic = bench.manager.history.topic(name, target)
        assert topic is not None
        if is_for_it:
            assert named is None or (name, target) in named
            assert interest.covers(topic)
        if named is not None:
            assert interest.covers(topic) == ((name, target) in named)


def test_one_of_several_subscriptions_is_enough() -> None:
    bench = Bench()
    one, _ = bench.connect("u1", principal=principal(bench, "u1", None))
    bench.manager.subscribe(one, "ecg", "5", {"v": 1})
    bench.manager.subscribe(one, "ecg", "*", {"v": {"$gte": 3}})
    for v in (1, 2, 3):
        bench.manager.publish(Topic("ecg", "5"), {"v": v})
    interest = interest_of(bench, one)
    assert [interest.wants(kept) for kept in bench.manager.history.after(0)] == [True, False, True]


def test_a_subscription_counts_from_its_place_on() -> None:
    bench = Bench()
    one, _ = bench.connect("u1", principal=principal(bench, "u1", None))
    made = bench.manager.subscribe(one, "ecg", "5")
    assert made
    for _ in range(3):
        bench.manager.publish(Topic("ecg", "5"), {})
    interest = interest_of(bench, one, {made.number: 2})
    kept = list(bench.manager.history.after(0))
    assert [interest.wants(one) for one in kept] == [False, False, True]
    assert interest.wanted(kept, (0, 0)) == kept[2:]


def test_what_is_wanted_lies_beyond_the_position_of_its_log() -> None:
    bench = Bench()
    one, _ = bench.connect("u1", principal=principal(bench, "u1", None))
    bench.manager.subscribe(one, "ecg", "5")
    for number in range(6):
        bench.manager.publish(Topic("ecg", "5"), {"severity": "critical"} if number % 2 else {})
    kept = list(bench.manager.history.after(0))
    assert [one.frame.lane for one in kept] == [2, 1] * 3
    assert interest_of(bench, one).wanted(kept, (1, 2)) == kept[3:]
    assert interest_of(bench, one).wanted(kept, (0, 3)) == kept[1::2]
    assert interest_of(bench, one).wanted(kept, (3, 0)) == kept[0::2]


def test_what_is_wanted_changes_from_topic_to_topic() -> None:
    bench = Bench()
    one, _ = bench.connect("u1", principal=principal(bench, "u1", None))
    bench.manager.subscribe(one, "ecg", "5")
    for target in "5665656":
        bench.manager.publish(Topic("ecg", target), {})
    kept = list(bench.manager.history.after(0))
    wanted = interest_of(bench, one).wanted(kept, (0, 0))
    assert [message.frame.topic for message in wanted] == ["ecg:5"] * 3


def test_nobody_gets_back_what_it_sent_itself() -> None:
    bench = Bench()
    one, _ = bench.connect("u1", principal=principal(bench, "u1", None))
    other, _ = bench.connect("u2", principal=principal(bench, "u2", None))
    for subscriber in (one, other):
        bench.manager.subscribe(subscriber, "ecg", "5")
    for sender in (0, 1, 0):
        handle = bench.manager.connections[one].handle if sender else 0
        bench.manager.broadcasts.publish(Topic("ecg", "5"), PublishedMessage({"v": sender}), exclude=handle)
    kept = list(bench.manager.history.after(0))
    assert interest_of(bench, one).wanted(kept, (0, 0)) == [kept[0], kept[2]]
    assert interest_of(bench, other).wanted(kept, (0, 0)) == kept


def test_many_topics_are_not_named_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interest_module, "MERGED", 5)
    bench = Bench()
    everything, few, many = (
        bench.connect(name, principal=principal(bench, name, None))[0] for name in ("a", "b", "c")
    )
    bench.manager.subscribe(everything, "*")
    bench.manager.subscribe(few, "ecg", "*")
    for target in range(6):
        bench.manager.subscribe(many, "ward", target)
    assert interest_of(bench, everything).named() is None
    assert interest_of(bench, many).named() is None
    assert interest_of(bench, few).named() == [("*", ""), ("ecg", "*")]
    for target in range(3):
        bench.manager.publish(Topic("ecg", str(target)), {})
    assert interest_of(bench, few).named() == [("*", ""), ("ecg", "*"), *[("ecg", str(n)) for n in range(3)]]
    for target in range(3, 6):
        bench.manager.publish(Topic("ecg", str(target)), {})
    assert interest_of(bench, few).named() is None


def test_whoever_sees_few_patients_has_these_named_whatever_others_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interest_module, "MERGED", 5)
    bench = Bench()
    nurse, _ = bench.connect("n", principal=principal(bench, "n", {"1", "2"}))
    bench.manager.subscribe(nurse, "patient", "*")
    for number in range(20):
        bench.manager.broadcast_to_patient(number, {})
    assert set(interest_of(bench, nurse).named() or ()) == {
        ("*", ""),
        ("patient", "*"),
        ("patient", "1"),
        ("patient", "2"),
    }


@pytest.mark.parametrize("size", [1, 200, 70_000])
def test_a_body_is_decoded_once_and_is_what_was_published(size: int) -> None:
    bench = Bench()
    body = {"type": "ecg_data", "text": "x" * size, "n": [1, 2.5, None, {"a": True}]}
    bench.manager.broadcast_to_type("ecg", body)
    (kept,) = bench.manager.history.after(0)
    bodies = Bodies()
    severities = bench.manager.subscription_manager.filters.severities
    decoded = bodies.of(kept, severities)
    assert decoded == (body, {"severity": "normal", "data_type": "ecg"})
    assert bodies.of(kept, severities) is decoded


def test_of_the_decoded_only_so_much_stays_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interest_module, "CACHED_BYTES", 1000)
    bench = Bench()
    for number in range(50):
        bench.manager.broadcast_to_type("ecg", {"n": number})
    bodies = Bodies()
    severities = bench.manager.subscription_manager.filters.severities
    for kept in bench.manager.history.after(0):
        bodies.of(kept, severities)
        assert bodies._bytes <= 1000
        assert len(bodies._at_hand) == len(bodies._sizes) < 10
