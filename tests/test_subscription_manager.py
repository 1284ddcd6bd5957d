"""Who may want what, for how long, and what happens when that changes."""

from typing import Any

import pytest
from msgspec.structs import replace
from workbench import Bench, assert_nothing_left

from wsserver import subscription_manager as module
from wsserver.access.principal import Principal
from wsserver.access.roles import RoleRights
from wsserver.connection_manager import NEVER, connection_manager
from wsserver.errors import ConnectionNotFound, ServerError
from wsserver.protocol.topic import Topic
from wsserver.settings.roles import default_roles
from wsserver.subscription_manager import SubscriptionManager
from wsserver_core.scopes import Scope

HOUR = 3600.0


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def subscriptions(bench: Bench) -> SubscriptionManager:
    return bench.manager.subscription_manager


def connect(
    bench: Bench, rights: RoleRights, patients: set[str] | None = frozenset(), user_id: str = "u1"
) -> str:
    seen = None if patients is None else frozenset(patients)
    one = Principal(
        user_id=user_id,
        role="doctor",
        rights=rights,
        scope=bench.manager.scopes.intern(seen),
        expires_at=NEVER,
    )
    return bench.connect(user_id, principal=one)[0]


def code_of(refused: pytest.ExceptionInfo[ServerError]) -> int:
    return refused.value.kind.code


# -- rights

ALLOWED = {
    # topic:            doctor nurse technician patient service admin
    "patient:7": (True, True, True, True, False, True),
    "patient:8": (False, False, False, False, False, False),
    "patient:*": (True, True, False, False, False, True),
    "*": (True, True, False, False, False, True),
    "type:ecg": (True, True, True, False, False, True),
    "ecg:lead2": (True, True, True, False, False, True),
    "type:vitals": (True, True, True, False, False, True),
    "type:alerts": (True, True, True, False, False, True),
    "type:system": (True, True, True, True, False, True),
    "type:billing": (True, True, False, False, False, True),
}
ROLES = ("doctor", "nurse", "technician", "patient", "service", "admin")


@pytest.mark.parametrize("topic", ALLOWED)
@pytest.mark.parametrize("role", ROLES)
def test_a_default_role_may_follow_what_the_table_says_and_nothing_else(
    bench: Bench, role: str, topic: str
) -> None:
    assert tuple(default_roles()) == ROLES
    one, _ = bench.connect("u1", role, 7)
    made, errors = bench.manager.subscription_manager.initialize_subscriptions(one, [topic])
    if ALLOWED[topic][ROLES.index(role)]:
        assert (len(made), errors) == (1, [])
    else:
        assert made == []
        assert [(error["code"], error["topic"]) for error in errors] == [(1011, topic)]


@pytest.mark.parametrize(
    ("rights", "patients", "topic", "allowed"),
    [
        (RoleRights(), None, "patient:1", False),
        (RoleRights(subscribe=frozenset({"patient"})), None, "patient:1", True),
        (RoleRights(subscribe=frozenset({"patient"})), {"1"}, "patient:1", True),
        (RoleRights(subscribe=frozenset({"patient"})), {"1"}, "patient:01", False),
        (RoleRights(subscribe=frozenset({"ecg"})), {"1"}, "patient:1", False),
        (RoleRights(subscribe=frozenset({"patient"})), None, "patient:*", False),
        (RoleRights(subscribe=frozenset({"patient"}), wildcard=True), set(), "patient:*", True),
        (RoleRights(subscribe=frozenset({"ecg"}), wildcard=True), None, "patient:*", False),
        (RoleRights(subscribe=frozenset({"*"})), None, "*", False),
        (RoleRights(subscribe=frozenset({"*"}), wildcard=True), None, "*", True),
        (RoleRights(subscribe=frozenset({"patient", "ecg"}), wildcard=True), None, "*", False),
        (RoleRights(subscribe=frozenset({"ecg"})), None, "type:alerts", False),
    ],
)
def test_a_subscription_needs_the_right_to_its_type_its_patient_and_its_width(
    bench: Bench, rights: RoleRights, patients: set[str] | None, topic: str, allowed: bool
) -> None:
    one = connect(bench, rights, patients)
    kind, target = Topic.parse(topic)
    assert bool(bench.manager.subscribe(one, kind, target)) is allowed


def test_forbidden_and_unknown_patients_are_refused_in_the_same_words(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, _ = bench.connect("u1", "doctor", 7)
    texts = set()
    for patient in ("8", "no-such-patient"):
        with pytest.raises(ServerError) as refused:
            subscriptions.add_subscription(one, "patient", patient)
        texts.add(str(refused.value.as_dict()))
    assert len(texts) == 1


# -- adding and replacing


def test_a_subscription_has_its_normal_form(bench: Bench, subscriptions: SubscriptionManager) -> None:
    one, _ = bench.connect("u1", "doctor", 7)
    made = subscriptions.add_subscription(one, "patient", 7, {"severity": "high"})
    assert (made.subscription_type, made.target_id) == ("patient", "7")
    assert (made.connection_id, made.filters) == (one, {"severity": "high"})
    assert not made.is_wildcard
    assert subscriptions.get_connection_subscriptions(one) == [made]
    assert subscriptions.get_all_subscriptions() == [made]
    assert subscriptions.add_subscription(one, "type", "ecg").is_wildcard


def test_a_second_subscribe_to_the_same_replaces_the_filter(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, _ = bench.connect("u1", "doctor", 7)
    metadata = bench.metadata(one)
    first, replaced = subscriptions.subscribe(metadata, Topic("patient", "7"), {"a": 1})
    assert not replaced
    second, replaced = subscriptions.subscribe(metadata, Topic("patient", "7"), {"a": 2})
    assert replaced
    assert second == first
    assert len(subscriptions) == len(bench.manager.index) == len(subscriptions.filters) == 1
    assert bench.manager.broadcast_to_patient(7, {"a": 1}) == 0
    assert bench.manager.broadcast_to_patient(7, {"a": 2}) == 1


def test_a_refused_replacement_leaves_the_old_filter(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, _ = bench.connect("u1", "doctor", 7)
    subscriptions.add_subscription(one, "patient", 7, {"a": 1})
    with pytest.raises(ServerError) as refused:
        subscriptions.add_subscription(one, "patient", 7, {"a": []})
    assert code_of(refused) == 1008
    assert bench.manager.broadcast_to_patient(7, {"a": 1}) == 1
    assert len(subscriptions.filters) == 1


@pytest.mark.parametrize(
    ("kind", "target", "filters", "code"),
    [
        ("patient", None, None, 1003),
        ("type", "patient", None, 1003),
        ("*", "1", None, 1003),
        ("a b", None, None, 1003),
        ("ecg", None, {"$where": 1}, 1008),
        ("ecg", None, [1], 1008),
    ],
)
def test_a_faulty_subscription_is_refused_and_leaves_nothing(
    bench: Bench, subscriptions: SubscriptionManager, kind: str, target: Any, filters: Any, code: int
) -> None:
    one, _ = bench.connect()
    with pytest.raises(ServerError) as refused:
        subscriptions.add_subscription(one, kind, target, filters)
    assert code_of(refused) == code
    bench.manager.disconnect(one)
    assert_nothing_left(bench.manager)


def test_the_hundredth_subscription_is_made_and_the_next_is_refused_but_replacing_goes_on(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, _ = bench.connect()
    for number in range(100):
        subscriptions.add_subscription(one, f"t{number}")
    with pytest.raises(ServerError) as refused:
        subscriptions.add_subscription(one, "t100")
    assert (code_of(refused), refused.value.details) == (1012, {"scope": "connection"})
    subscriptions.add_subscription(one, "t99", None, {"a": 1})
    subscriptions.remove_subscription(one, "t0")
    subscriptions.add_subscription(one, "t100")
    assert len(subscriptions) == 100


def test_the_global_limit_counts_the_subscriptions_of_all() -> None:
    bench = Bench(subscription={"max_global": 10})
    subscriptions = bench.manager.subscription_manager
    ids = [bench.connect(f"u{number}")[0] for number in range(5)]
    for one in ids:
        for kind in ("a", "b"):
            subscriptions.add_subscription(one, kind)
    with pytest.raises(ServerError) as refused:
        subscriptions.add_subscription(ids[0], "c")
    assert (code_of(refused), refused.value.details) == (1012, {"scope": "global"})
    bench.manager.disconnect(ids[4])
    subscriptions.add_subscription(ids[0], "c")


def test_those_named_at_connect_are_made_one_by_one_and_faults_are_told(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, _ = bench.connect("u1", "doctor", 123)
    topics = ["patient:123", "type:ecg", "patient:9", "nonsense", "x" * 500]
    made, errors = subscriptions.initialize_subscriptions(one, topics)
    assert [subscription.subscription_type for subscription in made] == ["patient", "ecg"]
    assert [error["code"] for error in errors] == [1011, 1003, 1003]
    assert [len(error["topic"]) for error in errors] == [9, 8, 130]


# -- ending


def test_unsubscribing_is_told_whether_there_was_anything(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, _ = bench.connect("u1", "doctor", 7)
    subscriptions.add_subscription(one, "patient", 7)
    assert subscriptions.remove_subscription(one, "patient", "7") is True
    assert subscriptions.remove_subscription(one, "patient", "7") is False
    assert bench.manager.broadcast_to_patient(7, {}) == 0
    with pytest.raises(ConnectionNotFound):
        subscriptions.remove_subscription("c_gone", "patient", 7)


def test_an_id_ends_only_a_subscription_of_ones_own(bench: Bench, subscriptions: SubscriptionManager) -> None:
    mine, _ = bench.connect("u1")
    other, _ = bench.connect("u2")
    made = subscriptions.add_subscription(mine, "ecg")
    assert subscriptions.remove_by_id(bench.metadata(other), made.subscription_id) is None
    assert subscriptions.remove_by_id(bench.metadata(mine), "s_x") is None
    assert subscriptions.remove_by_id(bench.metadata(mine), made.subscription_id) == made
    assert len(subscriptions) == 0


async def test_all_of_a_connection_or_of_everybody_can_be_ended(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    for user in ("u1", "u2"):
        one, _ = bench.connect(user)
        for kind in ("a", "b"):
            subscriptions.add_subscription(one, kind)
    assert subscriptions.remove_all_subscriptions(one) == 2
    assert subscriptions.remove_all_subscriptions(one) == 0
    assert subscriptions.remove_all_subscriptions("c_gone") == 0
    await subscriptions.shutdown()
    assert len(subscriptions) == 0
    assert len(bench.manager.connections) == 2


def test_an_orphan_would_be_found_and_removed(bench: Bench, subscriptions: SubscriptionManager) -> None:
    one, _ = bench.connect()
    subscriptions.add_subscription(one, "ecg")
    assert subscriptions.cleanup_orphaned_subscriptions() == 0
    del bench.manager._connections[one]
    assert subscriptions.cleanup_orphaned_subscriptions() == 1
    assert len(subscriptions) == len(bench.manager.index) == len(subscriptions.filters) == 0


# -- time


def test_an_hour_without_a_sign_of_life_ends_a_subscription_and_its_client_is_told(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, websocket = bench.connect("u1", "doctor", 7)
    made = subscriptions.add_subscription(one, "patient", 7)
    bench.clock.advance(HOUR - 0.01)
    assert subscriptions.cleanup() == 0
    bench.clock.advance(0.01)
    assert subscriptions.get_metrics()["expired"] == 1
    assert subscriptions.cleanup() == 1
    assert subscriptions.cleanup() == 0
    bench.loop.run()
    notice = websocket.messages[-1]
    assert notice == {
        "type": "subscription_expired",
        "subscription_id": made.subscription_id,
        "subscription_type": "patient",
        "target_id": "7",
        "code": 1007,
        "name": "subscription_timeout",
        "message": "The subscription expired.",
    }
    assert one in bench.manager.connections
    assert bench.manager.broadcast_to_patient(7, {}) == 0
    assert subscriptions.get_metrics()["expired_total"] == 1


def test_the_client_is_warned_once_in_the_last_tenth_and_again_after_a_renewal(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, websocket = bench.connect()
    made = subscriptions.add_subscription(one, "ecg")
    for seconds in (0.9 * HOUR - 1, 2, 10):
        bench.clock.advance(seconds)
        subscriptions.cleanup()
    bench.loop.run()
    (warning,) = websocket.take()
    assert (warning["type"], warning["subscription_id"]) == ("subscription_expiring", made.subscription_id)
    assert warning["expires_in"] == 359.0
    subscriptions.refresh(bench.metadata(one))
    bench.clock.advance(0.95 * HOUR)
    subscriptions.cleanup()
    bench.loop.run()
    assert [message["type"] for message in websocket.take()] == ["subscription_expiring"]


@pytest.mark.parametrize("renewal", ["refresh", "refresh one", "subscribe", "heartbeat"])
def test_the_idle_clock_starts_anew_by_refresh_subscribe_and_any_sign_of_life(
    bench: Bench, subscriptions: SubscriptionManager, renewal: str
) -> None:
    one, _ = bench.connect()
    metadata = bench.metadata(one)
    made = subscriptions.add_subscription(one, "ecg")
    bench.clock.advance(HOUR - 1)
    if renewal == "refresh":
        assert subscriptions.refresh(metadata) == (1, HOUR)
    elif renewal == "refresh one":
        assert subscriptions.refresh(metadata, made.subscription_id) == (1, HOUR)
    elif renewal == "subscribe":
        subscriptions.add_subscription(one, "ecg")
    else:
        heard = bench.clock.monotonic()
        hub = type("Hub", (), {"last_received": staticmethod(lambda handle: heard)})()
        subscriptions._expiry._hub = hub
    bench.clock.advance(HOUR - 1)
    assert subscriptions.cleanup() == 0
    bench.clock.advance(1)
    assert subscriptions.cleanup() == 1


def test_refreshing_one_renews_no_other_and_an_unknown_one_nothing(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, _ = bench.connect()
    metadata = bench.metadata(one)
    kept = subscriptions.add_subscription(one, "ecg")
    subscriptions.add_subscription(one, "alerts")
    bench.clock.advance(HOUR - 1)
    assert subscriptions.refresh(metadata, kept.subscription_id)[0] == 1
    assert subscriptions.refresh(metadata, "s_x") == (0, 0.0)
    bench.clock.advance(1)
    assert subscriptions.cleanup() == 1
    assert subscriptions.get_all_subscriptions() == [kept]


async def test_aggressive_cleanup_never_touches_what_is_alive(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, _ = bench.connect()
    subscriptions.add_subscription(one, "ecg")
    assert await subscriptions.aggressive_cleanup() == 0
    bench.clock.advance(HOUR)
    assert await subscriptions.aggressive_cleanup() == 1


# -- looking


def matching(subscriptions: SubscriptionManager, *arguments: Any) -> set[tuple[str, str]]:
    found = subscriptions.get_matching_subscriptions(*arguments)
    assert len(set(found)) == len(found)
    return {(one.subscription_type, one.target_id) for one in found}


def test_matching_subscriptions_are_found_by_subscription_type_or_message_type(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one = connect(bench, RoleRights(subscribe=frozenset("*"), wildcard=True), None)
    for topic in ("patient:5", "patient:6", "patient:*", "type:ecg", "ecg:lead2", "type:alerts", "*"):
        kind, target = Topic.parse(topic)
        subscriptions.add_subscription(one, kind, target)
    patient_5 = {("patient", "5"), ("patient", "*"), ("*", "*")}
    every_patient = patient_5 | {("patient", "6")}
    every_ecg = {("ecg", "*"), ("ecg", "lead2"), ("*", "*")}
    ecg = {"type": "ecg_data"}
    assert matching(subscriptions, "patient", "5", {}) == patient_5
    assert matching(subscriptions, "patient", 5, {}) == patient_5
    assert matching(subscriptions, "patient", None, {}) == every_patient
    assert matching(subscriptions, "patient", None, {"patient_id": 5}) == patient_5
    assert matching(subscriptions, "ecg", None, {}) == every_ecg
    assert matching(subscriptions, "ecg", "lead2", {}) == every_ecg
    assert matching(subscriptions, "ecg", "lead3", {}) == {("ecg", "*"), ("*", "*")}
    assert matching(subscriptions, "ecg_data", None, ecg) == every_ecg
    assert matching(subscriptions, "ecg_data", 5, ecg) == patient_5 | every_ecg
    assert matching(subscriptions, None, None, {"type": "ecg_data", "patient_id": 5}) == patient_5 | every_ecg
    assert matching(subscriptions, None, None, {}) == set()
    assert matching(subscriptions, "system_alert", None, {"type": "system_alert"}) == {("*", "*")}
    assert matching(subscriptions, None, None, {"data_type": "*"}) == set()


def test_matching_obeys_filters_and_rights_and_refuses_what_sending_would(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    rights = RoleRights(subscribe=frozenset("*"), wildcard=True)
    one = connect(bench, rights, {"5"}, "u1")
    subscriptions.add_subscription(one, "patient", "*", {"severity": "high"})
    subscriptions.add_subscription(connect(bench, rights, {"6"}, "u2"), "patient", "*")
    found = subscriptions.get_matching_subscriptions("patient", 5, {"severity": "high"})
    assert [subscription.connection_id for subscription in found] == [one]
    assert subscriptions.get_matching_subscriptions("patient", 5, {}) == []
    for arguments in (("patient", 6, {"patient_id": 5}), ("patient", "a b", {}), (None, None, {"type": 1})):
        with pytest.raises(ServerError) as refused:
            subscriptions.get_matching_subscriptions(*arguments)
        assert code_of(refused) == 1003


def test_a_filter_is_held_against_a_message_with_its_derived_fields(
    subscriptions: SubscriptionManager,
) -> None:
    message = {"type": "ecg_data", "patient_id": 5}
    assert subscriptions.matches_filter(
        message, {"data_type": "ecg", "severity": ["normal"], "patient_id": "5"}
    )
    assert not subscriptions.matches_filter(message, {"severity": "high"})
    assert subscriptions.matches_filter(message, {})
    with pytest.raises(ServerError) as refused:
        subscriptions.matches_filter(message, {"a": []})
    assert code_of(refused) == 1008
    assert subscriptions.validate_subscription_filters(None) == {}


def test_the_figures_are_counted_by_type_and_never_by_patient(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one, _ = bench.connect("u1", "doctor", 7)
    for topic in ("patient:7", "patient:*", "type:ecg"):
        kind, target = Topic.parse(topic)
        subscriptions.add_subscription(one, kind, target)
    subscriptions.refresh(bench.metadata(one))
    figures = subscriptions.get_metrics()
    assert figures == {
        "total": 3,
        "active": 3,
        "expired": 0,
        "expired_total": 0,
        "operations": 4,
        "by_type": {"patient": 2, "ecg": 1},
        "wildcard_count": 2,
        "distinct_filters": 1,
        "filter_complexity": 0.0,
        "topics": 3,
    }


def test_nobody_is_found_for_an_unknown_connection(subscriptions: SubscriptionManager) -> None:
    assert subscriptions.get_connection_subscriptions("c_gone") == []
    for call in (subscriptions.add_subscription, subscriptions.initialize_subscriptions):
        with pytest.raises(ConnectionNotFound):
            call("c_gone", "ecg")


def test_the_module_has_the_default_instance_and_nothing_else_by_surprise() -> None:
    assert module.subscription_manager is connection_manager.subscription_manager
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = module.nothing_like_this


# -- the last of the pool


def test_the_last_tenth_of_the_pool_is_for_those_with_less_than_an_even_share() -> None:
    bench = Bench(
        connection={"max_connections": 10, "max_connections_per_user": 10}, subscription={"max_global": 50}
    )
    subscriptions = bench.manager.subscription_manager
    greedy, _ = bench.connect("u1")
    for number in range(45):
        subscriptions.add_subscription(greedy, f"t{number}")
    with pytest.raises(ServerError) as refused:
        subscriptions.add_subscription(greedy, "t45")
    assert (code_of(refused), refused.value.details) == (1012, {"scope": "global"})
    late, _ = bench.connect("u2")
    for number in range(5):
        subscriptions.add_subscription(late, f"t{number}")
    with pytest.raises(ServerError):
        subscriptions.add_subscription(late, "t5")
    assert len(subscriptions) == 50


def test_one_connection_has_so_many_distinct_patterns_and_no_more() -> None:
    bench = Bench(filter={"max_patterns_per_connection": 2})
    subscriptions = bench.manager.subscription_manager
    one, _ = bench.connect("u1")
    subscriptions.add_subscription(one, "t0", None, {"text": {"$regex": "lead off"}})
    subscriptions.add_subscription(one, "t1", None, {"text": {"$regex": "lead off"}, "hr": {"$gt": 5}})
    subscriptions.add_subscription(one, "t2", None, {"text": {"$regex": "apnea"}})
    with pytest.raises(ServerError) as refused:
        subscriptions.add_subscription(one, "t3", None, {"text": {"$regex": "asystole"}})
    assert code_of(refused) == 1008
    reason = "more than 2 distinct patterns on one connection"
    assert refused.value.details == {"path": "$regex", "reason": reason}
    assert len(subscriptions.filters) == 3
    subscriptions.add_subscription(one, "t2", None, {"text": {"$regex": "asystole"}})
    other, _ = bench.connect("u2")
    subscriptions.add_subscription(other, "t0", None, {"text": {"$regex": "tachycardia"}})


# -- strict time


def test_with_strict_timeouts_a_sign_of_life_renews_nothing() -> None:
    bench = Bench(subscription={"strict_timeout": True})
    subscriptions = bench.manager.subscription_manager
    one, websocket = bench.connect("u1")
    subscriptions.add_subscription(one, "ecg")
    kept = subscriptions.add_subscription(one, "alerts")
    bench.clock.advance(0.95 * HOUR)
    bench.manager.hub.now = bench.clock.monotonic()
    subscriptions.refresh(bench.metadata(one), kept.subscription_id)
    for _ in range(2):
        assert subscriptions.cleanup() == 0
    bench.loop.run()
    assert [message["type"] for message in websocket.take()] == ["subscription_expiring"]
    bench.clock.advance(0.05 * HOUR)
    assert subscriptions.get_metrics()["expired"] == 1
    assert subscriptions.cleanup() == 1
    assert subscriptions.get_all_subscriptions() == [kept]


# -- what happened


def test_the_history_tells_what_became_of_each_subscription(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    one = connect(bench, RoleRights(subscribe=frozenset("*")), {"7"})
    metadata = bench.metadata(one)
    made = subscriptions.add_subscription(one, "patient", 7)
    subscriptions.add_subscription(one, "patient", 7, {"a": 1})
    subscriptions.add_subscription(one, "ecg")
    subscriptions.add_subscription(one, "alerts")
    subscriptions.remove_subscription(one, "ecg")
    nobody = metadata.principal
    bench.manager.replace_principal(metadata, replace(nobody, scope=Scope(frozenset())))
    bench.manager.disconnect(one)
    events = subscriptions.history.latest()
    assert [(event.kind, event.target_id) for event in reversed(events)] == [
        ("subscribed", "7"),
        ("replaced", "7"),
        ("subscribed", "*"),
        ("subscribed", "*"),
        ("unsubscribed", "*"),
        ("revoked", "7"),
        ("disconnected", "*"),
    ]
    assert {event.connection_id for event in events} == {one}
    assert events[1].subscription_id == made.subscription_id


def test_analytics_name_the_largest_topics_and_how_filters_did(
    bench: Bench, subscriptions: SubscriptionManager
) -> None:
    for user in ("u1", "u2"):
        one, _ = bench.connect(user, "doctor", 7)
        subscriptions.add_subscription(one, "patient", 7, {"severity": "high"})
    subscriptions.add_subscription(one, "ecg", None, {"hr": {"$gt": 5}, "text": {"$regex": "x"}})
    for severity in ("high", "low", "low"):
        bench.manager.broadcast_to_patient(7, {"severity": severity})
    assert subscriptions.get_analytics() == {
        "top_targets": [
            {"subscription_type": "patient", "target_id": "7", "subscriptions": 2},
            {"subscription_type": "ecg", "target_id": "*", "subscriptions": 1},
        ],
        "filters": [
            {
                "filters": {"severity": "high"},
                "subscriptions": 2,
                "tested": 3,
                "matched": 1,
                "complexity": 1.0,
            },
            {
                "filters": {"hr": {"$gt": 5}, "text": {"$regex": "x"}},
                "subscriptions": 1,
                "tested": 0,
                "matched": 0,
                "complexity": 7.0,
            },
        ],
    }
    assert len(subscriptions.get_analytics(1)["filters"]) == 1
    assert subscriptions.get_metrics()["filter_complexity"] == 3.0
