"""Why a connection did not get a message that was not for it."""

from typing import Any

import msgspec
import pytest
from inquiry import Inquiry, subscribed_later
from workbench import principal

from wsserver.clock import utc_text


@pytest.fixture
def inquiry() -> Inquiry:
    return Inquiry()


def test_a_filter_that_was_false_is_told_with_its_clause_and_the_value(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher(filters={"severity": "critical", "vitals.hr": {"$gt": 120}})
    verdict = inquiry.ask(inquiry.publish({"vitals": {"hr": 90}, "severity": "critical"}), one)
    assert (verdict.reason, verdict.certain) == ("filtered", True)
    assert "False: vitals.hr.$gt." in verdict.text()
    (told,) = verdict.as_dict()["subscriptions"]
    assert told["outcome"] == "filtered"
    assert "✗ vitals.hr is 90, wanted > 120" in told["text"]
    assert verdict.members == {"values_withheld": False}


def test_the_severity_that_filters_saw_is_that_of_then(inquiry: Inquiry) -> None:
    def default(severity: str) -> None:
        filters = msgspec.structs.replace(inquiry.manager.settings.filter, severity_data=severity)
        inquiry.manager.configure(msgspec.structs.replace(inquiry.manager.settings, filter=filters))

    one, _ = inquiry.watcher(filters={"severity": "critical"})
    default("high")
    report = inquiry.publish()
    default("critical")
    verdict = inquiry.ask(report, one)
    assert verdict.reason == "filtered"
    assert '✗ severity is "high", wanted "critical"' in verdict.subscriptions[0].text()


@pytest.mark.parametrize("kind", ["hint", "expiring"])
def test_what_changes_nothing_makes_nothing_uncertain(inquiry: Inquiry, kind: Any) -> None:
    one, _ = inquiry.watcher(filters={"n": 2})
    report = inquiry.publish()
    (subscription,) = inquiry.manager.subscription_manager.get_connection_subscriptions(one)
    inquiry.manager.subscription_manager.note(kind, subscription)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("filtered", True)


def test_values_of_a_patient_are_for_those_who_may_see_him(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher(filters={"code": "canary-wanted"})
    report = inquiry.publish({"code": "canary-found"})
    seeing = principal(inquiry.bench, "ops", {"1"}, "admin")
    blind = principal(inquiry.bench, "ops", {"2"}, "admin")
    assert "canary-found" in str(inquiry.ask(report, one, seeing).as_dict())
    verdict = inquiry.ask(report, one, blind)
    told = verdict.as_dict()
    assert "canary-found" not in str(told)
    assert told["values_withheld"] is True
    assert told["subscriptions"][0]["text"] == "✗ code"
    assert told["subscriptions"][0]["clauses"][0]["found"] == []
    assert verdict.reason == "filtered"
    assert "False: code." in verdict.text()


def test_what_belongs_to_no_patient_is_shown_to_every_asker(inquiry: Inquiry) -> None:
    one, _ = inquiry.bench.connect()
    assert inquiry.manager.subscribe(one, "ecg", None, {"lead": "V1"})
    report = inquiry.manager.broadcast_to_type("ecg", {"lead": "II"})
    verdict = inquiry.ask(report, one, principal(inquiry.bench, "ops", set(), "admin"))
    assert '✗ lead is "II", wanted "V1"' in verdict.as_dict()["subscriptions"][0]["text"]


def test_who_may_not_see_the_patient_was_denied(inquiry: Inquiry) -> None:
    one, _ = inquiry.bench.connect("u1", "doctor", 2)
    assert inquiry.manager.subscribe(one, "patient", "*")
    everyone = inquiry.manager.broadcast_to_all({"patient_id": 1})
    for report in (inquiry.publish(), everyone):
        verdict = inquiry.ask(report, one)
        assert (verdict.reason, verdict.certain) == ("denied", True)


def test_who_gained_the_right_since_would_get_it_now(inquiry: Inquiry) -> None:
    one, _ = inquiry.bench.connect("u1", "doctor", 2)
    assert inquiry.manager.subscribe(one, "patient", "*")
    report = inquiry.publish()
    everyone = inquiry.manager.broadcast_to_all({"patient_id": 1})
    inquiry.bench.clock.advance(1)
    gained = utc_text(inquiry.bench.clock.time())
    inquiry.manager.replace_principal(inquiry.bench.metadata(one), principal(inquiry.bench, "u1", None))
    for told in (report, everyone):
        verdict = inquiry.ask(told, one)
        assert (verdict.reason, verdict.certain) == ("changed", False)
        assert f"Its rights have changed at {gained}." in verdict.text()


def test_who_lost_the_right_since_may_have_missed_it_for_something_else(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher(filters={"n": 2})
    before = inquiry.publish()
    lesser = principal(inquiry.bench, "u1", {"2"})
    inquiry.manager.replace_principal(inquiry.bench.metadata(one), lesser)
    after = inquiry.publish()
    verdicts = [inquiry.ask(report, one) for report in (before, after)]
    assert [(one.reason, one.certain) for one in verdicts] == [("denied", False), ("denied", True)]


def test_a_token_that_is_renewed_with_the_same_rights_changes_nothing(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher(filters={"n": 2})
    inquiry.manager.replace_principal(inquiry.bench.metadata(one), principal(inquiry.bench, "u1", {"1"}))
    report = inquiry.publish()
    inquiry.bench.clock.advance(1)
    inquiry.manager.replace_principal(inquiry.bench.metadata(one), principal(inquiry.bench, "u1", {"1"}))
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("filtered", True)


def test_who_never_subscribed_is_told_so(inquiry: Inquiry) -> None:
    one, _ = inquiry.bench.connect("u1", "doctor", 1)
    verdict = inquiry.ask(inquiry.publish(), one)
    assert (verdict.reason, verdict.certain, verdict.remarks) == ("not_subscribed", True, ())


def test_who_subscribed_to_other_topics_only_is_told_to_which(inquiry: Inquiry) -> None:
    one, _ = inquiry.bench.connect("u1", "doctor", 1)
    for number in range(5):
        assert inquiry.manager.subscribe(one, "ecg", f"room{number}")
    verdict = inquiry.ask(inquiry.publish(), one)
    assert (verdict.reason, verdict.certain) == ("other_topic", True)
    assert verdict.remarks == ("These are ecg:room0, ecg:room1, ecg:room2 and 2 more.",)
    assert verdict.as_dict()["topics"] == ["ecg:room0", "ecg:room1", "ecg:room2"]


def test_who_unsubscribed_before_is_told_when(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher()
    inquiry.bench.clock.advance(1)
    inquiry.manager.unsubscribe(one, "patient", 1)
    verdict = inquiry.ask(inquiry.publish(), one)
    assert (verdict.reason, verdict.certain) == ("subscription_ended", True)
    assert "patient:1 was ended by the client at 2" in verdict.text()


def test_a_subscription_that_had_expired_is_the_reason(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher()
    inquiry.bench.clock.advance(3601)
    assert inquiry.manager.subscription_manager.cleanup() == 1
    verdict = inquiry.ask(inquiry.publish(), one)
    assert (verdict.reason, verdict.certain) == ("subscription_expired", True)
    assert "was ended for its age at" in verdict.text()


def test_who_subscribed_afterwards_is_told_when(inquiry: Inquiry) -> None:
    one, _ = inquiry.bench.connect("u1", "doctor", 1)
    report = inquiry.publish()
    assert inquiry.manager.subscribe(one, "patient", 1)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("subscribed_later", True)
    assert "patient:1 was made at" in verdict.text()


def test_who_was_subscribed_before_and_again_afterwards_is_told_both(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher()
    inquiry.manager.unsubscribe(one, "patient", 1)
    report = inquiry.publish()
    assert inquiry.manager.subscribe(one, "patient", 1)
    inquiry.manager.unsubscribe(one, "patient", 1)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("subscribed_later", True)
    assert [remark.split(" at ")[0] for remark in verdict.remarks] == [
        "Its subscription to patient:1 was ended by the client",
        "Its subscription to patient:1 was made",
        "Its subscription to patient:1 was ended by the client",
    ]


def test_who_had_a_filter_then_that_is_gone_was_not_subscribed_later(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher(filters={"n": 2})
    report = inquiry.publish()
    inquiry.manager.unsubscribe(one, "patient", 1)
    assert inquiry.manager.subscribe(one, "patient", 1)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("changed", False)


def test_a_second_subscription_made_later_does_not_hide_the_first(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher(filters={"n": 2})
    report = inquiry.publish()
    assert inquiry.manager.subscribe(one, "patient", "*", {"n": 3})
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("filtered", False)


def test_of_very_many_subscriptions_the_oldest_may_be_one_of_then(inquiry: Inquiry) -> None:
    one, _ = inquiry.bench.connect()
    assert inquiry.manager.subscribe(one, "ecg", "then", {"n": 2})
    report = inquiry.manager.broadcast_to_type("ecg", {"n": 1})
    for number in range(20):
        assert inquiry.manager.subscribe(one, "ecg", f"later{number}", {"n": 1})
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("changed", False)


def test_whether_it_was_subscribed_later_is_not_claimed_after_a_change_of_rights(inquiry: Inquiry) -> None:
    report, one = subscribed_later(inquiry)
    inquiry.bench.clock.advance(1)
    inquiry.manager.replace_principal(inquiry.bench.metadata(one), principal(inquiry.bench, "u1", {"1", "2"}))
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("changed", False)


def test_whether_it_was_subscribed_later_is_not_claimed_beyond_the_history(inquiry: Inquiry) -> None:
    report, one = subscribed_later(inquiry)
    inquiry.manager.subscription_manager.history.resize(1)
    inquiry.watcher("u2", 2)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("changed", False)


def test_what_a_client_was_told_of_its_loss_is_told(inquiry: Inquiry) -> None:
    one, handle = inquiry.watcher()
    inquiry.slow(one)
    inquiry.manager.hub.max_queue_messages = 4
    reports = [inquiry.publish({"type": "vitals"}) for _ in range(5)]
    verdict = inquiry.ask(reports[0], one)
    assert (verdict.reason, "gap" in verdict.members) == ("conflated", False)
    at = inquiry.bench.clock.time()
    inquiry.manager.hub.unblock(handle)
    inquiry.bench.loop.run()
    inquiry.bench.clock.advance(60)
    verdict = inquiry.ask(reports[0], one)
    assert verdict.reason == "conflated"
    assert verdict.remarks[-1] == f"Its client was told of the gap at {utc_text(at)}."
    lost = [report.seq for report in reports if inquiry.ask(report, one).reason == "conflated"]
    assert verdict.as_dict()["gap"] == {
        "told_at": utc_text(at), "reason": "conflated", "from": lost[0], "to": lost[-1], "count": len(lost),
    }  # fmt: skip
    # The last of them has arrived: nothing is told of that.
    assert "gap" not in inquiry.ask(reports[-1], one).members


@pytest.mark.parametrize("now", [{"n": 1}, {"n": 3}])
def test_a_filter_that_was_replaced_since_makes_it_uncertain(inquiry: Inquiry, now: dict[str, Any]) -> None:
    one, _ = inquiry.watcher(filters={"n": 2})
    report = inquiry.publish()
    assert inquiry.manager.subscribe(one, "patient", 1, now)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("changed" if now == {"n": 1} else "filtered", False)
    assert "given another filter at" in verdict.text()


def test_a_subscription_with_a_false_filter_that_ended_since_leaves_it_open_which(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher(filters={"n": 2})
    report = inquiry.publish()
    inquiry.manager.unsubscribe(one, "patient", 1)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("changed", False)
    assert "ended by the client" in verdict.text()


def test_a_history_that_reaches_not_back_far_enough_makes_it_uncertain(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher(filters={"n": 2})
    report = inquiry.publish()
    inquiry.manager.subscription_manager.history.resize(2)
    for _ in range(3):
        inquiry.watcher("u2", 2)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("filtered", False)


def test_a_connection_that_came_later_or_had_gone_before(inquiry: Inquiry) -> None:
    before, _ = inquiry.watcher("u1")
    inquiry.bench.clock.advance(1)
    inquiry.manager.disconnect(before)
    report = inquiry.publish()
    later, _ = inquiry.watcher("u2")
    assert inquiry.ask(report, later).reason == "connected_later"
    verdict = inquiry.ask(report, before)
    assert (verdict.reason, verdict.open) == ("ended_before", False)
    inquiry.bench.clock.advance(1)
    inquiry.manager.disconnect(later)
    assert inquiry.ask(report, later).reason == "connected_later"


def test_a_verdict_says_when_the_connection_was_there(inquiry: Inquiry) -> None:
    clock = inquiry.bench.clock
    connected = clock.time()
    one, _ = inquiry.watcher()
    report = inquiry.publish()
    told = inquiry.ask(report, one).as_dict()
    assert (told["connected_at"], told["ended_at"]) == (utc_text(connected), None)
    clock.advance(5)
    ended = clock.time()
    inquiry.manager.disconnect(one)
    clock.advance(50)
    told = inquiry.ask(report, one).as_dict()
    assert (told["connected_at"], told["ended_at"]) == (utc_text(connected), utc_text(ended))


def test_a_connection_that_has_ended_since_is_still_known_by_what_it_got(inquiry: Inquiry) -> None:
    got, _ = inquiry.watcher("u1")
    lost, _ = inquiry.watcher("u2")
    filtered, _ = inquiry.watcher("u3", filters={"n": 2})
    inquiry.slow(lost)
    report = inquiry.publish()
    inquiry.bench.loop.run()
    metadata = {one: inquiry.bench.metadata(one) for one in (got, lost, filtered)}
    for one in (got, lost, filtered):
        inquiry.manager.disconnect(one)
        inquiry.manager.hub.release(metadata[one].handle)
    assert inquiry.ask(report, got).reason == "written"
    assert inquiry.ask(report, lost).reason == "closed"
    verdict = inquiry.ask(report, filtered)
    assert (verdict.reason, verdict.certain) == ("changed", False)
    assert "Its subscriptions ended with it." in verdict.text()


def test_a_connection_of_which_nothing_is_known_has_no_verdict(inquiry: Inquiry) -> None:
    record = inquiry.record(inquiry.publish())
    assert inquiry.explainer.explain(record, "c_unknown", inquiry.all_seeing) is None


def test_a_message_to_one_connection_is_not_for_another(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher("u1")
    other, _ = inquiry.watcher("u2")
    report = inquiry.manager.send_message(one, {"patient_id": 1})
    assert inquiry.ask(report, one).reason == "queued"
    assert inquiry.ask(report, other).reason == "other_connection"
    denied = inquiry.manager.send_message(one, {"patient_id": 2})
    assert inquiry.ask(denied, one).reason == "denied"
