"""Explanations: every verdict is what publishing the same message does, and nothing happens by asking."""

import json
import random
from typing import Any

import pytest
from workbench import Bench

from wsserver.access.principal import Principal
from wsserver.access.roles import RoleRights
from wsserver.connection_manager import NEVER
from wsserver.errors import ConnectionNotFound, ServerError
from wsserver.protocol.topic import EVERYTHING, Topic
from wsserver.subscriptions import match_explainer as module
from wsserver.subscriptions.match_explainer import MatchExplainer, MatchTrace, MatchVerdict
from wsserver_core.filters import FilterError

RIGHTS = RoleRights(subscribe=frozenset("*"), wildcard=True)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def explainer(bench: Bench) -> MatchExplainer:
    return MatchExplainer(bench.manager)


def connect(bench: Bench, user_id: str, patients: set[str] | None) -> str:
    """A connection of somebody who may follow everything and sees these patients; None is all of them."""
    seen = None if patients is None else frozenset(patients)
    scope = bench.manager.scopes.intern(seen)
    principal = Principal(
        user_id=user_id, role="doctor", rights=RIGHTS, scope=scope, expires_at=NEVER
    )
    return bench.connect(user_id, principal=principal)[0]


def subscribe(bench: Bench, connection_id: str, topic: str, filters: dict[str, Any] | None = None) -> str:
    kind, target = Topic.parse(topic)
    made = bench.manager.subscription_manager.add_subscription(connection_id, kind, target, filters)
    return made.subscription_id


def outcomes(verdicts: list[MatchVerdict]) -> dict[str, str]:
    return {
        Topic(one.subscription.subscription_type, one.subscription.target_id).text: one.outcome
        for one in verdicts
    }


def state(bench: Bench) -> tuple[Any, ...]:
    """What sending, and holding a filter against a message, would change."""
    manager = bench.manager
    records = manager.index.all_records()
    return (
        manager.hub.frames_queued,
        manager.hub.frames_written,
        manager.broadcasts.logs.heads(),
        manager.broadcasts.operations,
        manager.broadcasts.filter_operations,
        len(manager.broadcasts.census),
        len(manager.subscription_manager.filters),
        manager.subscription_manager.operations,
        records,
        [manager.index.figures(record.number) for record in records],
        sorted(str(one[1:]) for one in manager.index.filters()),
    )


# -- one connection


def test_each_outcome_is_told_with_its_reason(bench: Bench, explainer: MatchExplainer) -> None:
    one = connect(bench, "u1", {"1"})
    subscribe(bench, one, "patient:1", {"vitals.hr": {"$gt": 120}})
    subscribe(bench, one, "patient:*", {"severity": ["high", "critical"]})
    subscribe(bench, one, "type:ecg")
    before = state(bench)
    verdicts = explainer.explain_match(
        one, {"vitals": {"hr": 130}, "severity": "low"}, topic=Topic.of_patient("1")
    )
    assert outcomes(verdicts) == {"patient:1": "matches", "patient:*": "filtered", "ecg:*": "other_topic"}
    matches, filtered, elsewhere = (verdict.as_dict() for verdict in verdicts)
    assert matches["text"] == "✓ vitals.hr is 130, wanted > 120"
    assert filtered["text"] == '✗ severity is "low", wanted one of "critical", "high"'
    assert elsewhere["text"] == "The message is addressed to another topic."
    assert "clauses" not in elsewhere
    (clause,) = filtered["clauses"]
    assert (clause["path"], clause["operator"], clause["holds"]) == ("severity", "$in", False)
    assert (clause["there"], clause["found"]) == (True, ["low"])
    assert state(bench) == before


def test_a_verdict_for_json_names_the_subscription_with_its_filter(
    bench: Bench, explainer: MatchExplainer
) -> None:
    one = connect(bench, "u1", {"1"})
    made = subscribe(bench, one, "ecg:bed-7", {"lead": "II"})
    (verdict,) = explainer.explain_match(one, {}, topic=Topic("ecg", "bed-7"))
    told = verdict.as_dict()
    assert list(told) == [
        "subscription_id", "connection_id", "subscription_type", "target_id", "filters", "outcome", "text",
        "clauses",
    ]  # fmt: skip
    assert (told["subscription_id"], told["connection_id"]) == (made, one)
    assert (told["subscription_type"], told["target_id"]) == ("ecg", "bed-7")
    assert (told["filters"], told["outcome"]) == ({"lead": "II"}, "filtered")
    assert told["text"] == '✗ lead is not there, wanted "II"' or told["text"] == "✗ lead is not there"
    json.dumps(told)


def test_whoever_may_not_see_the_patient_is_denied_without_a_word_about_the_message(
    bench: Bench, explainer: MatchExplainer
) -> None:
    one = connect(bench, "u1", {"1"})
    for topic in ("type:ecg", "patient:*", "*"):
        subscribe(bench, one, topic, {"severity": "high"})
    message = {"patient_id": 2, "severity": "high"}
    to_type = explainer.explain_match(one, message, topic=Topic.of("ecg"))
    assert outcomes(to_type) == {"ecg:*": "denied", "patient:*": "other_topic", "*": "denied"}
    to_patient = explainer.explain_match(one, message, topic=Topic.of_patient(2))
    assert outcomes(to_patient) == {"ecg:*": "other_topic", "patient:*": "denied", "*": "denied"}
    for verdict in to_type + to_patient:
        assert verdict.explanation is None
        assert "clauses" not in verdict.as_dict()
    assert to_type[0].text() == "This user may not see the patient."


def test_the_fields_that_are_derived_count_as_when_sending(bench: Bench, explainer: MatchExplainer) -> None:
    one = connect(bench, "u1", set())
    subscribe(bench, one, "type:ecg", {"severity": "normal", "data_type": "ecg"})
    (verdict,) = explainer.explain_match(one, {"type": "ecg_data"}, topic=Topic.of("ecg"))
    assert verdict.outcome == "matches"
    assert verdict.text() == '✓ data_type is "ecg", wanted "ecg"\n✓ severity is "normal", wanted "normal"'


@pytest.mark.parametrize(
    ("type_name", "target_id", "message", "reached"),
    [
        ("patient", 5, {}, {"patient:5", "patient:*", "*"}),
        ("patient", None, {}, {"patient:5", "patient:6", "patient:*", "*"}),
        ("ecg", None, {}, {"ecg:*", "ecg:lead2", "*"}),
        ("ecg", "lead2", {}, {"ecg:*", "ecg:lead2", "*"}),
        ("ecg", "lead3", {}, {"ecg:*", "*"}),
        ("ecg_data", None, {"type": "ecg_data"}, {"ecg:*", "ecg:lead2", "*"}),
        ("ecg_data", 5, {"type": "ecg_data"}, {"patient:5", "patient:*", "ecg:*", "ecg:lead2", "*"}),
        (None, None, {"type": "ecg_data"}, {"ecg:*", "ecg:lead2", "*"}),
        (None, None, {}, set()),
    ],
)
def test_by_type_name_and_target_it_looks_where_matching_subscriptions_are_sought(
    bench: Bench,
    explainer: MatchExplainer,
    type_name: str | None,
    target_id: Any,
    message: dict[str, Any],
    reached: set[str],
) -> None:
    one = connect(bench, "u1", None)
    for topic in ("patient:5", "patient:6", "patient:*", "type:ecg", "ecg:lead2", "*"):
        subscribe(bench, one, topic)
    verdicts = explainer.explain_match(one, message, type_name=type_name, target_id=target_id)
    found = outcomes(verdicts)
    assert {topic for topic, outcome in found.items() if outcome == "matches"} == reached
    assert set(found.values()) <= {"matches", "other_topic"}
    manager = bench.manager.subscription_manager
    matching = manager.get_matching_subscriptions(type_name, target_id, message)
    assert {one.subscription_id for one in matching} == {
        verdict.subscription.subscription_id for verdict in verdicts if verdict.outcome == "matches"
    }


def test_a_message_to_all_asks_for_no_filter_but_for_the_right_to_its_patient(
    bench: Bench, explainer: MatchExplainer
) -> None:
    one = connect(bench, "u1", {"1"})
    subscribe(bench, one, "patient:1", {"severity": "high"})
    subscribe(bench, one, "*", {"severity": "high"})
    for message, outcome in (({}, "matches"), ({"patient_id": 1}, "matches"), ({"patient_id": 2}, "denied")):
        verdicts = explainer.explain_match(one, message, topic=EVERYTHING)
        assert [verdict.outcome for verdict in verdicts] == [outcome, outcome], message
        assert bench.manager.broadcast_to_all(message) == (outcome == "matches")
        assert all(verdict.text() for verdict in verdicts)


def test_an_unknown_connection_and_a_faulty_message_are_refused(
    bench: Bench, explainer: MatchExplainer
) -> None:
    with pytest.raises(ConnectionNotFound):
        explainer.explain_match("c_gone", {})
    one = connect(bench, "u1", None)
    assert explainer.explain_match(one, {}, topic=Topic.of("ecg")) == []
    for topic, message in ((Topic.of_patient(1), {"patient_id": 2}), (Topic.of("ecg"), {"_meta": 1})):
        with pytest.raises(ServerError) as explained:
            explainer.explain_match(one, message, topic=topic)
        with pytest.raises(ServerError) as traced:
            explainer.trace(topic, message)
        assert explained.value.kind.code == traced.value.kind.code == 1003


@pytest.mark.parametrize(("size", "fits"), [(247, True), (248, False)])
def test_the_limit_of_a_message_is_the_one_for_sending(size: int, fits: bool) -> None:
    bench = Bench(broadcast={"max_message_size": 256})
    explainer = MatchExplainer(bench.manager)
    one = connect(bench, "u1", None)
    message, topic = {"a": "x" * (size + 1)}, Topic.of("ecg")
    for ask in (
        lambda: bench.manager.publish(topic, message),
        lambda: explainer.trace(topic, message),
        lambda: explainer.explain_match(one, message, topic=topic),
    ):
        if fits:
            ask()
        else:
            with pytest.raises(ServerError) as refused:
                ask()
            assert refused.value.kind.code == 1004


def test_a_filter_that_cannot_be_explained_still_has_its_verdict(
    bench: Bench, explainer: MatchExplainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long a pattern takes is measured each time it is compiled, and may come out otherwise."""
    one = connect(bench, "u1", None)
    subscribe(bench, one, "type:ecg", {"text": {"$regex": "lead off"}})

    def refuse(*arguments: Any) -> None:
        raise FilterError("text.$regex", "a pattern that takes too long")

    monkeypatch.setattr(module, "explain_filter", refuse)
    for text, outcome in (("lead off", "matches"), ("lead on", "filtered")):
        (verdict,) = explainer.explain_match(one, {"text": text}, topic=Topic.of("ecg"))
        assert (verdict.outcome, verdict.text()) == (outcome, "The filter takes too long to explain.")
        assert "clauses" not in verdict.as_dict()


# -- all of a topic


def test_a_trace_tells_counts_and_verdicts_and_leaves_no_trace(
    bench: Bench, explainer: MatchExplainer
) -> None:
    seer, other = connect(bench, "u1", {"1", "2"}), connect(bench, "u2", {"2"})
    subscribe(bench, seer, "type:ecg", {"n": 1})
    subscribe(bench, seer, "ecg:bed-7", {"n": 2})
    subscribe(bench, other, "type:ecg")
    subscribe(bench, other, "type:vitals")
    before = state(bench)
    traced = explainer.trace(Topic.of("ecg"), {"patient_id": "1", "n": 1})
    assert state(bench) == before
    told = traced.as_dict()
    assert [one["outcome"] for one in told.pop("subscriptions")] == ["matches", "filtered", "denied"]
    assert told == {
        "topic": "ecg:*", "patient_id": "1", "considered": 3, "matching": 1, "filtered": 1, "denied": 1,
    }  # fmt: skip
    assert outcomes(traced.verdicts) == {"ecg:*": "denied", "ecg:bed-7": "filtered"}
    assert traced.verdicts[0].text() == "✓ n is 1, wanted 1"
    assert traced.verdicts[1].text() == "✗ n is 1, wanted 2"


def test_of_each_outcome_at_most_so_many_verdicts_are_given_and_all_are_counted(
    bench: Bench, explainer: MatchExplainer
) -> None:
    for number in range(12):
        one = connect(bench, f"u{number}", {"1"} if number % 3 else {"2"})
        subscribe(bench, one, "type:ecg", {"n": number % 3})
    for limit in (1, 3, 4, 20):
        traced = explainer.trace(Topic.of("ecg"), {"patient_id": "1", "n": 1}, limit=limit)
        assert (traced.considered, traced.matching, traced.filtered, traced.denied) == (12, 4, 4, 4)
        found = [verdict.outcome for verdict in traced.verdicts]
        each = min(limit, 4)
        assert found == ["matches"] * each + ["filtered"] * each + ["denied"] * each


def test_among_very_many_those_that_match_are_shown_first(
    bench: Bench, explainer: MatchExplainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCANNED", 10)
    for number in range(40):
        subscribe(bench, connect(bench, f"u{number}", None), "type:ecg", {"n": number})
    for number in range(40):
        traced = explainer.trace(Topic.of("ecg"), {"n": number}, limit=100)
        assert (traced.matching, traced.filtered) == (1, 39)
        assert [verdict.outcome for verdict in traced.verdicts].count("matches") == 1
        assert 9 <= len(traced.verdicts) - 1 <= 10


def test_a_message_to_all_is_counted_in_connections_and_has_no_verdicts(
    bench: Bench, explainer: MatchExplainer
) -> None:
    one = connect(bench, "u1", {"1"})
    connect(bench, "u2", {"2"})
    for topic in ("*", "type:ecg"):
        subscribe(bench, one, topic, {"n": 5})
    assert explainer.trace(EVERYTHING, {"patient_id": "2"}).as_dict() == {
        "topic": "*", "patient_id": "2", "considered": 2, "matching": 1, "filtered": 0, "denied": 1,
        "subscriptions": [],
    }  # fmt: skip


def test_what_many_subscriptions_ask_for_is_explained_once(
    bench: Bench, explainer: MatchExplainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    explain = module.explain_filter
    monkeypatch.setattr(module, "explain_filter", lambda *given: asked.append(given) or explain(*given))
    for number in range(50):
        subscribe(bench, connect(bench, f"u{number}", None), "type:ecg", {"n": number % 2})
    traced = explainer.trace(Topic.of("ecg"), {"n": 1}, limit=100)
    assert (len(traced.verdicts), len(asked)) == (50, 2)


# -- as publishing does

PATIENTS = ("1", "2", "3")
TOPICS = (
    "patient:1",
    "patient:2",
    "patient:3",
    "patient:*",
    "type:ecg",
    "ecg:bed-1",
    "ecg:2",
    "type:alerts",
    "*",
)
FILTERS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"severity": "high"},
    {"severity": ["high", "normal"]},
    {"n": {"$gt": 2}},
    {"n": {"$ne": 3}, "data_type": "ecg"},
    {"$or": [{"n": 1}, {"text": {"$regex": "^ab"}}]},
    {"$not": {"list.a": {"$lte": 2}}},
    {"patient_id": {"$exists": False}},
)
DOORS = (*TOPICS, "ecg:nowhere", "patient:9")


def random_message(dice: random.Random, topic: Topic) -> dict[str, Any]:
    message: dict[str, Any] = {}
    if dice.random() < 0.5:
        message["n"] = dice.randrange(5)
    if dice.random() < 0.3:
        message["severity"] = dice.choice(("high", "low"))
    if dice.random() < 0.5:
        message["type"] = dice.choice(("ecg_data", "alerts", "my_alert"))
    if dice.random() < 0.3:
        message["text"] = dice.choice(("abc", "cab", 5))
    if dice.random() < 0.3:
        message["list"] = [{"a": dice.randrange(5)} for _ in range(dice.randrange(3))]
    if dice.random() < 0.5:
        message["patient_id"] = topic.patient_id or dice.choice(PATIENTS)
    return message


def random_ward(dice: random.Random) -> Bench:
    bench = Bench()
    for number in range(dice.randrange(1, 20)):
        patients = None if dice.random() < 0.2 else {one for one in PATIENTS if dice.random() < 0.5}
        one = connect(bench, f"u{number}", patients)
        for topic in dice.sample(TOPICS, dice.randrange(len(TOPICS))):
            kind, target = Topic.parse(topic)
            bench.manager.subscribe(one, kind, target, dice.choice(FILTERS))
    return bench


def receivers(bench: Bench, before: dict[str, int]) -> set[str]:
    """The connections that have been sent a message since."""
    bench.loop.run()
    return {one for one, sent in sent_to(bench).items() if sent > before[one]}


def sent_to(bench: Bench) -> dict[str, int]:
    hub = bench.manager.hub
    figures = {one: hub.connection_figures(data.handle) for one, data in bench.manager.connections.items()}
    return {one: counted[0] for one, counted in figures.items() if counted is not None}


@pytest.mark.parametrize("seed", range(60))
def test_a_trace_is_what_publishing_the_same_message_reports(seed: int) -> None:
    dice = random.Random(seed)
    bench = random_ward(dice)
    explainer, manager = MatchExplainer(bench.manager), bench.manager
    for _ in range(12):
        topic = Topic.parse(dice.choice(DOORS))
        message = random_message(dice, topic)
        before = state(bench)
        traced = explainer.trace(topic, message, limit=1000)
        told = {one: explainer.explain_match(one, message, topic=topic) for one in manager.connections}
        assert state(bench) == before
        sent = sent_to(bench)
        report = manager.publish(topic, message)
        counts = (traced.considered, traced.filtered, traced.denied)
        assert counts == (report.considered, report.filtered, report.denied), (topic, message)
        assert traced.considered == traced.matching + traced.filtered + traced.denied
        received = receivers(bench, sent)
        assert report.delivered == len(received)
        if topic == EVERYTHING:
            assert (traced.matching, traced.verdicts) == (report.matched, [])
        else:
            assert connections_of(traced, "matches") == received, (topic, message)
            assert tally(traced.verdicts) == (traced.matching, traced.filtered, traced.denied)
            asked = [verdict for verdicts in told.values() for verdict in verdicts]
            assert tally(asked) == tally(traced.verdicts)
        for one, verdicts in told.items():
            assert any(verdict.outcome == "matches" for verdict in verdicts) == (
                one in received and bool(verdicts)
            )
            assert all(verdict.explanation is None or agrees(verdict) for verdict in verdicts)


def connections_of(traced: MatchTrace, outcome: str) -> set[str]:
    return {one.subscription.connection_id for one in traced.verdicts if one.outcome == outcome}


def tally(verdicts: list[MatchVerdict]) -> tuple[int, ...]:
    found = [verdict.outcome for verdict in verdicts]
    return tuple(found.count(outcome) for outcome in ("matches", "filtered", "denied"))


def agrees(verdict: MatchVerdict) -> bool:
    assert verdict.explanation is not None
    return verdict.explanation.matches == (verdict.outcome == "matches")
