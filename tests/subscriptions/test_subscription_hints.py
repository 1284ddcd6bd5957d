"""Hints: who gets which, when, how often, and that they tell nothing of what a user may not see."""

from typing import Any

import pytest
from far_end import RecordingWebSocket
from workbench import Bench, Workbench

from wsserver.access.principal import Principal
from wsserver.access.roles import RoleRights
from wsserver.connection_manager import NEVER
from wsserver.observe.filter_linter import MIN_MESSAGES
from wsserver.service import HINT_INTERVAL
from wsserver.subscriptions import subscription_hints as module
from wsserver.subscriptions.subscription import Subscription
from wsserver.subscriptions.subscription_hints import ENOUGH

RIGHTS = RoleRights(subscribe=frozenset("*"), wildcard=True)
NEVER_HIGH = {"severity": "high"}
BED = "vitals:bed-7"


@pytest.fixture
def bench() -> Bench:
    return Bench()


def connect(bench: Bench, user_id: str, *patients: str) -> tuple[str, RecordingWebSocket]:
    """A connection of somebody who sees these patients and may follow everything."""
    seen = frozenset(patients)
    scope = bench.manager.scopes.intern(seen)
    principal = Principal(
        user_id=user_id, role="doctor", rights=RIGHTS, scope=scope, expires_at=NEVER
    )
    return bench.connect(user_id, principal=principal)


def subscribe(bench: Bench, connection_id: str, topic: str, filters: dict[str, Any]) -> Subscription:
    kind, _, target = topic.partition(":")
    return bench.manager.subscription_manager.add_subscription(connection_id, kind, target or None, filters)


def first(bench: Bench, connection_id: str, made: Subscription) -> str | None:
    """The hint that ``subscription_confirmed`` would have."""
    return bench.manager.hints.first(bench.metadata(connection_id), made)


def publish(bench: Bench, times: int, message: dict[str, Any], kind: str = "vitals") -> None:
    for _ in range(times):
        bench.manager.broadcast_to_type(kind, message)


def hinted(bench: Bench, websocket: RecordingWebSocket) -> list[dict[str, Any]]:
    bench.loop.run()
    return [message for message in websocket.take() if message.get("type") == "hint"]


# -- at once


def test_a_field_that_was_never_seen_is_told_at_once_with_the_one_that_was_meant(bench: Bench) -> None:
    one, _ = connect(bench, "u1")
    publish(bench, 2**MIN_MESSAGES, {"vitals": {"hr": 80}})
    made = subscribe(bench, one, BED, {"vitals.hrr": {"$gt": 120}})
    hint = "field 'vitals.hrr' was never seen; did you mean 'vitals.hr'?"
    assert first(bench, one, made) == hint
    assert bench.manager.hints.given == 1
    (event,) = bench.manager.subscription_manager.history.latest(kind="hint")
    assert (event.connection_id, event.subscription_id, event.detail) == (one, made.subscription_id, hint)
    assert (event.subscription_type, event.target_id) == ("vitals", "bed-7")


def test_before_the_census_knows_enough_it_says_nothing(bench: Bench) -> None:
    one, _ = connect(bench, "u1")
    wrong = {"vitals.hrr": {"$gt": 120}}
    assert first(bench, one, subscribe(bench, one, BED, wrong)) is None
    publish(bench, MIN_MESSAGES - 1, {"vitals": {"hr": 80}})
    assert first(bench, one, subscribe(bench, one, BED, wrong)) is None
    assert bench.manager.hints.given == 0
    assert bench.manager.subscription_manager.history.counts["hint"] == 0


@pytest.mark.parametrize("filters", [{}, {"vitals.hr": {"$gt": 120}}, {"severity": "high", "data_type": "x"}])
def test_a_filter_on_fields_that_are_there_gets_none_however_seldom_it_matches(
    bench: Bench, filters: dict[str, Any]
) -> None:
    one, _ = connect(bench, "u1")
    publish(bench, 2**MIN_MESSAGES, {"vitals": {"hr": 80}})
    assert first(bench, one, subscribe(bench, one, BED, filters)) is None


def test_a_subscription_to_all_targets_gets_none_at_once_and_its_hint_later(bench: Bench) -> None:
    one, websocket = connect(bench, "u1")
    publish(bench, 2**MIN_MESSAGES, {"hr": 80})
    made = [subscribe(bench, one, topic, {"hrr": 5}) for topic in ("vitals", "*")]
    assert [first(bench, one, subscription) for subscription in made] == [None, None]
    publish(bench, ENOUGH, {"hr": 80})
    assert bench.manager.hints.round() == 2
    text = "field 'hrr' was never seen; did you mean 'hr'?"
    assert [hint["message"] for hint in hinted(bench, websocket)] == [text, text]


def test_one_who_had_the_hint_in_the_answer_gets_no_message(bench: Bench) -> None:
    one, websocket = connect(bench, "u1")
    publish(bench, 2**MIN_MESSAGES, {"vitals": {"hr": 80}})
    assert first(bench, one, subscribe(bench, one, BED, {"vitals.hrr": {"$gt": 120}})) is not None
    publish(bench, ENOUGH, {"vitals": {"hr": 80}})
    assert bench.manager.hints.round() == 0
    assert hinted(bench, websocket) == []


# -- after a thousand messages


def test_after_a_thousand_messages_of_which_none_matched_a_hint_comes_once(bench: Bench) -> None:
    one, websocket = connect(bench, "u1")
    made = subscribe(bench, one, "vitals", NEVER_HIGH)
    publish(bench, ENOUGH - 1, {"hr": 80})
    assert bench.manager.hints.round() == 0
    publish(bench, 1, {"hr": 80})
    assert bench.manager.hints.round() == 1
    text = "tested 1,000 times, matched 0 times; fields seen: hr, severity"
    assert hinted(bench, websocket) == [
        {
            "type": "hint",
            "subscription_id": made.subscription_id,
            "subscription_type": "vitals",
            "target_id": "*",
            "message": text,
        }
    ]
    (event,) = bench.manager.subscription_manager.history.latest(kind="hint")
    assert (event.connection_id, event.subscription_id, event.detail) == (one, made.subscription_id, text)
    publish(bench, 2 * ENOUGH, {"hr": 80})
    assert bench.manager.hints.round() == 0
    assert bench.manager.hints.given == 1


def test_a_filter_that_matched_once_gets_none(bench: Bench) -> None:
    one, websocket = connect(bench, "u1")
    subscribe(bench, one, "vitals", NEVER_HIGH)
    publish(bench, 1, {"severity": "high"})
    publish(bench, 2 * ENOUGH, {"hr": 80})
    assert bench.manager.hints.round() == 0
    assert hinted(bench, websocket) == []


def test_a_filter_that_matches_every_message_gets_none(bench: Bench) -> None:
    one, _ = connect(bench, "u1", "7")
    made = [subscribe(bench, one, topic, {}) for topic in ("vitals", "patient:7", "*")]
    publish(bench, ENOUGH, {"hr": 80})
    assert bench.manager.hints.round() == 0
    assert [first(bench, one, subscription) for subscription in made] == [None, None, None]


def test_a_replaced_filter_is_judged_by_what_it_was_held_against_and_may_be_hinted_at_again(
    bench: Bench,
) -> None:
    one, websocket = connect(bench, "u1")
    subscribe(bench, one, "vitals", NEVER_HIGH)
    publish(bench, ENOUGH, {"hr": 80})
    assert bench.manager.hints.round() == 1
    subscribe(bench, one, "vitals", {"hr": {"$gt": 200}})
    assert bench.manager.hints.round() == 0
    publish(bench, ENOUGH, {"hr": 80})
    assert bench.manager.hints.round() == 1
    assert len(hinted(bench, websocket)) == 2
    subscribe(bench, one, "vitals", {"hr": {"$gt": 200}})
    assert bench.manager.hints.round() == 0


def test_a_round_sends_so_many_hints_and_the_next_goes_on(bench: Bench, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_PER_ROUND", 4)
    sockets = []
    for number in range(10):
        one, websocket = connect(bench, f"u{number}")
        subscribe(bench, one, "vitals", {"severity": f"s{number}"})
        sockets.append(websocket)
    publish(bench, ENOUGH, {"hr": 80})
    assert [bench.manager.hints.round() for _ in range(4)] == [4, 4, 2, 0]
    assert [len(hinted(bench, websocket)) for websocket in sockets] == [1] * 10


# -- what it must not tell


def test_messages_of_patients_whom_the_user_may_not_see_count_for_nothing(bench: Bench) -> None:
    mine, websocket = connect(bench, "u1", "1")
    other, _ = connect(bench, "u2", "2")
    for one in (mine, other):
        subscribe(bench, one, "vitals", NEVER_HIGH)
    publish(bench, ENOUGH, {"patient_id": "2", "secret_field": 1})
    assert bench.manager.hints.round() == 1
    assert hinted(bench, websocket) == []
    publish(bench, ENOUGH - 1, {"patient_id": "1", "hr": 80})
    assert bench.manager.hints.round() == 0
    publish(bench, 1, {"hr": 80})
    assert bench.manager.hints.round() == 1
    (hint,) = hinted(bench, websocket)
    assert hint["message"] == "tested 1,000 times, matched 0 times; fields seen: hr, patient_id, severity"


def test_a_match_at_a_patient_whom_the_user_may_not_see_hides_no_hint(bench: Bench) -> None:
    mine, websocket = connect(bench, "u1", "1")
    other, _ = connect(bench, "u2", "1", "2")
    for one in (mine, other):
        subscribe(bench, one, "vitals", NEVER_HIGH)
    publish(bench, 1, {"patient_id": "2", "severity": "high"})
    publish(bench, ENOUGH, {"patient_id": "1", "hr": 80})
    assert bench.manager.hints.round() == 1
    assert len(hinted(bench, websocket)) == 1


@pytest.mark.parametrize("topic", ["vitals", BED, "patient:1", "patient:*", "*"])
def test_a_hint_is_the_same_whatever_messages_of_foreign_patients_held(topic: str) -> None:
    """Two worlds that differ in what patient 2 had: who sees patient 1 alone hears the same in both."""
    heard = []
    for foreign in ({"hrx": 1}, {"hr": 1, "hry": 2}):
        bench = Bench()
        one, websocket = connect(bench, "u1", "1")

        def send(times: int, foreign: dict[str, Any] = foreign, bench: Bench = bench) -> None:
            for _ in range(times):
                for patient, fields in (("1", {"hr": 80}), ("2", foreign)):
                    bench.manager.broadcast_to_type("vitals", {"patient_id": patient, **fields})
                    bench.manager.broadcast_to_type(
                        BED[:6], {"patient_id": patient, **fields}, target_id=BED[7:]
                    )
                    bench.manager.broadcast_to_patient(patient, fields)

        for name in ("hrx", "hry"):
            send(2**MIN_MESSAGES)
            at_once = first(bench, one, subscribe(bench, one, topic, {name: 5}))
            send(ENOUGH)
            bench.manager.hints.round()
            heard.append([at_once, *(hint["message"] for hint in hinted(bench, websocket))])
    assert heard[:2] == heard[2:]
    for name, told in zip(("hrx", "hry"), heard[:2], strict=True):
        assert f"field '{name}' was never seen; did you mean 'hr'?" in told


def test_rights_that_were_taken_take_the_knowledge_with_them(bench: Bench) -> None:
    one, websocket = connect(bench, "u1", "1", "2")
    subscribe(bench, one, "vitals", NEVER_HIGH)
    publish(bench, ENOUGH, {"patient_id": "2", "secret_field": 1})
    metadata = bench.metadata(one)
    less = connect(bench, "u2", "1")[0]
    bench.manager.replace_principal(metadata, bench.metadata(less).principal)
    assert bench.manager.hints.round() == 0
    publish(bench, ENOUGH, {"patient_id": "1", "hr": 80})
    assert bench.manager.hints.round() == 1
    (hint,) = hinted(bench, websocket)
    assert "secret_field" not in hint["message"]
    assert hint["message"].startswith("tested 1,000 times,")


# -- in the service


async def test_the_service_looks_for_barren_filters_at_its_interval() -> None:
    bench = await Workbench().start()
    far_end = await bench.client()
    (made,) = await bench.ask(far_end, type="subscribe", topic="type:vitals", filters=NEVER_HIGH)
    for _ in range(ENOUGH):
        bench.manager.broadcast_to_type("vitals", {"hr": 80})
    hints = []
    for seconds in (HINT_INTERVAL - 0.5, 1, 3 * HINT_INTERVAL):
        bench.pass_time(seconds)
        fresh = [message for message in far_end.take() if message.get("type") == "hint"]
        hints.append([message["subscription_id"] for message in fresh])
    assert hints == [[], [made["subscription_id"]], []]
