"""Why a connection did or did not get a message: every reason, and nothing that is not known."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from workbench import Bench, Workbench, principal

from wsserver.access.principal import Principal
from wsserver.clock import utc_text
from wsserver.observe.delivery_records import DeliveryRecord
from wsserver.protocol.report import DeliveryReport
from wsserver.protocol.topic import Topic
from wsserver.publishing.delivery_explainer import DeliveryExplainer
from wsserver.publishing.delivery_verdict import REASONS, TEXTS, DeliveryVerdict, Reason
from wsserver.settings import RecordsSettings
from wsserver_core.outgoing import ALERT, DATA, DROP_REASONS, Frame


class Inquiry:
    """A bench with an explainer that notes which reasons it has been heard to give."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.manager = self.bench.manager
        self.explainer = DeliveryExplainer(self.manager)
        self.all_seeing = principal(self.bench, "ops", None, "admin")

    def watcher(
        self, user_id: str = "u1", patient_id: int = 1, filters: dict[str, Any] | None = None
    ) -> tuple[str, int]:
        """A connection that is subscribed to a patient, and its handle."""
        one, _ = self.bench.connect(user_id, "doctor", patient_id)
        assert self.manager.subscribe(one, "patient", patient_id, filters)
        return one, self.bench.metadata(one).handle

    def publish(self, message: dict[str, Any] | None = None, *, exclude: int = 0) -> DeliveryReport:
        """To patient 1, a second after what came before."""
        self.bench.clock.advance(1)
        report = self.manager.publish(
            Topic.of_patient(1), {"n": 1} if message is None else message, exclude=exclude
        )
        self.bench.clock.advance(1)
        return report

    def record(self, report: DeliveryReport) -> DeliveryRecord:
        record = self.manager.records.get(report.message_id)
        assert record is not None
        return record

    def ask(
        self, report: DeliveryReport, connection_id: str, asker: Principal | None = None
    ) -> DeliveryVerdict:
        verdict = self.explainer.explain(self.record(report), connection_id, asker or self.all_seeing)
        assert verdict is not None
        msgspec.json.encode(verdict.as_dict())
        assert verdict.text().startswith(TEXTS[verdict.reason])
        return verdict

    def replay(self, handle: int, report: DeliveryReport) -> None:
        """Queue a message once more, as for a connection that came back."""
        frame = Frame(b"again", None, DATA, topic=report.topic, log=report.log, seq=report.seq)
        self.manager.hub.set_out(handle, (0, 0), True)
        assert self.manager.hub.replay(handle, frame) == 0
        self.manager.hub.go_live(handle)

    def slow(self, connection_id: str) -> None:
        self.manager.hub.block(self.bench.metadata(connection_id).handle)


@pytest.fixture
def inquiry() -> Inquiry:
    return Inquiry()


def test_the_reasons_are_a_closed_set() -> None:
    assert set(TEXTS) == set(REASONS)
    assert set(DROP_REASONS) < set(REASONS)


Case = Callable[[Inquiry], tuple[DeliveryReport, str]]


def dropped(reason: str) -> Case:
    def case(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
        one, handle = inquiry.watcher()
        report = inquiry.publish()
        inquiry.manager.hub.discard(handle, DROP_REASONS.index(reason))
        return report, one

    return case


def sent(
    *,
    filters: dict[str, Any] | None = None,
    topic: str = "patient:1",
    patient: int = 1,
    before: Callable[[Inquiry, str], object] = lambda inquiry, one: None,
    after: Callable[[Inquiry, str, DeliveryReport], object] = lambda inquiry, one, report: None,
) -> Case:
    """A client subscribes, something happens, a message is sent, something else happens."""

    def case(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
        one, _ = inquiry.bench.connect("u1", "doctor", patient)
        assert inquiry.manager.subscribe(one, *topic.split(":"), filters)
        before(inquiry, one)
        report = inquiry.publish()
        after(inquiry, one, report)
        return report, one

    return case


def handle_of(inquiry: Inquiry, connection_id: str) -> int:
    return inquiry.bench.metadata(connection_id).handle


def fill_queue(inquiry: Inquiry, connection_id: str) -> None:
    inquiry.slow(connection_id)
    inquiry.manager.hub.max_queue_messages = 1
    inquiry.manager.hub.enqueue(handle_of(inquiry, connection_id), Frame(b"x", None, ALERT))


def lose_more_than_is_kept(inquiry: Inquiry, connection_id: str) -> None:
    hub, handle = inquiry.manager.hub, handle_of(inquiry, connection_id)
    hub.max_queue_messages, hub.max_queue_bytes = 100_000, 1 << 30
    for seq in range(hub.drops.capacity):
        hub.enqueue(handle, Frame(b"x", None, DATA, topic="t", log="another", seq=seq))
    hub.discard(handle, DROP_REASONS.index("slow"))


def expire(inquiry: Inquiry, connection_id: str) -> None:
    inquiry.bench.clock.advance(3601)
    assert inquiry.manager.subscription_manager.cleanup() == 1


def conflated(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    one, _ = inquiry.watcher()
    inquiry.slow(one)
    inquiry.manager.hub.max_queue_messages = 4
    first, *_ = [inquiry.publish({"type": "vitals"}) for _ in range(4)]
    return first, one


def own_message(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    one, handle = inquiry.watcher()
    return inquiry.publish(exclude=handle), one


def other_connection(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    one, _ = inquiry.watcher()
    return inquiry.manager.send_message(inquiry.watcher("u2")[0], {"patient_id": 1}), one


def connected_later(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    return inquiry.publish(), inquiry.watcher()[0]


def replayed(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    report = inquiry.publish()
    one, handle = inquiry.watcher()
    inquiry.replay(handle, report)
    inquiry.bench.loop.run()
    return report, one


def never_subscribed(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    one, _ = inquiry.bench.connect("u1", "doctor", 1)
    return inquiry.publish(), one


def subscribed_later(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    report, one = never_subscribed(inquiry)
    assert inquiry.manager.subscribe(one, "patient", 1)
    return report, one


CASES: dict[Reason, Case] = {
    "acknowledged": sent(
        after=lambda inquiry, one, report: inquiry.manager.records.acknowledge(
            report.message_id, handle_of(inquiry, one)
        )
    ),
    "written": sent(after=lambda inquiry, one, report: inquiry.bench.loop.run()),
    "replayed": replayed,
    "queued": sent(),
    "conflated": conflated,
    "slow": dropped("slow"),
    "expired": dropped("expired"),
    "closed": dropped("closed"),
    "shutdown": dropped("shutdown"),
    "uncertain": sent(after=lambda inquiry, one, report: lose_more_than_is_kept(inquiry, one)),
    "refused_slow": sent(before=fill_queue),
    "refused_closing": sent(
        before=lambda inquiry, one: inquiry.manager.hub.enqueue(handle_of(inquiry, one), Frame(b"x"), True)
    ),
    "refused_catching_up": sent(
        before=lambda inquiry, one: inquiry.manager.hub.set_out(handle_of(inquiry, one), (0, 0), True)
    ),
    "own_message": own_message,
    "other_connection": other_connection,
    "connected_later": connected_later,
    "ended_before": sent(before=lambda inquiry, one: inquiry.manager.disconnect(one)),
    "denied": sent(topic="patient:*", patient=2),
    "not_subscribed": never_subscribed,
    "other_topic": sent(topic="ecg:*"),
    "subscribed_later": subscribed_later,
    "subscription_ended": sent(before=lambda inquiry, one: inquiry.manager.unsubscribe(one, "patient", 1)),
    "subscription_expired": sent(before=expire),
    "filtered": sent(filters={"n": 2}),
    "changed": sent(
        filters={"n": 2},
        after=lambda inquiry, one, report: inquiry.manager.subscribe(one, "patient", 1, {"n": 1}),
    ),
}


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_given_where_it_is_so(inquiry: Inquiry, reason: Reason) -> None:
    assert inquiry.ask(*CASES[reason](inquiry)).reason == reason


# -- those it was for


def test_it_waits_then_it_was_handed_over_then_it_is_acknowledged(inquiry: Inquiry) -> None:
    one, handle = inquiry.watcher()
    first, second = inquiry.publish(), inquiry.publish()
    verdict = inquiry.ask(second, one)
    assert (verdict.reason, verdict.certain, verdict.open) == ("queued", True, True)
    assert verdict.members == {"waiting": {"ahead": 1, "leaving": False}}
    inquiry.bench.loop.run()
    assert inquiry.ask(first, one).reason == inquiry.ask(second, one).reason == "written"
    inquiry.manager.records.acknowledge(second.message_id, handle)
    assert inquiry.ask(first, one).reason == "written"
    assert inquiry.ask(second, one).reason == "acknowledged"


async def test_what_has_begun_to_leave_says_so() -> None:
    bench = await Workbench().start()
    stuck = await bench.client(patients=["1"])
    assert await bench.ask(stuck, type="subscribe", topic="patient:1")
    stuck.stuck = True
    reports = [bench.manager.broadcast_to_patient(1, {"n": number}) for number in range(2)]
    bench.loop.run()
    bench.manager.broadcast_to_patient(1, {"n": 2})
    explainer, asker = DeliveryExplainer(bench.manager), principal(bench, "ops", None)
    for number, report in enumerate(reports):
        record = bench.manager.records.get(report.message_id)
        assert record is not None
        verdict = explainer.explain(record, bench.owner(stuck).connection_id, asker)
        assert verdict is not None
        assert verdict.members == {"waiting": {"ahead": number, "leaving": True}}
        assert "It has begun to leave." in verdict.text()


def test_a_message_that_a_newer_one_replaced_names_it_and_the_last_of_them(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher()
    inquiry.slow(one)
    inquiry.manager.hub.max_queue_messages = 4
    vitals = {"type": "vitals", "n": 0}
    reports = [inquiry.publish(vitals) for _ in range(4)]
    verdict = inquiry.ask(reports[0], one)
    assert verdict.reason == "conflated"
    assert verdict.members["into"] == {
        "seq": reports[1].seq,
        "message_id": reports[1].message_id,
        "last_seq": reports[3].seq,
        "last_message_id": reports[3].message_id,
    }
    assert f"number {reports[3].seq} of the log" in verdict.text()
    assert inquiry.ask(reports[3], one).reason == "queued"
    inquiry.manager.hub.shed(inquiry.bench.metadata(one).handle, DATA)
    assert "That one was dropped, too (slow)." in inquiry.ask(reports[0], one).text()
    assert inquiry.ask(reports[3], one).reason == "slow"


def test_the_message_that_took_its_place_may_not_be_kept_any_more(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher()
    inquiry.slow(one)
    inquiry.manager.hub.max_queue_messages = 4
    reports = [inquiry.publish({"type": "vitals"}) for _ in range(4)]
    first = inquiry.record(reports[0])
    inquiry.manager.records.configure(RecordsSettings(messages=0))
    verdict = inquiry.explainer.explain(first, one, inquiry.all_seeing)
    assert verdict is not None
    assert verdict.members["into"]["last_seq"] == reports[3].seq
    assert verdict.members["into"]["last_message_id"] is None


@pytest.mark.parametrize("reason", DROP_REASONS)
def test_what_was_dropped_says_for_what(inquiry: Inquiry, reason: str) -> None:
    one, handle = inquiry.watcher()
    other, _ = inquiry.watcher("u2")
    report = inquiry.publish()
    inquiry.manager.hub.discard(handle, DROP_REASONS.index(reason))
    assert inquiry.ask(report, one).reason == reason
    inquiry.bench.loop.run()
    assert inquiry.ask(report, other).reason == "written"


def test_what_the_journal_does_not_reach_back_to_is_not_claimed(inquiry: Inquiry) -> None:
    one, handle = inquiry.watcher()
    other, _ = inquiry.watcher("u2")
    hub = inquiry.manager.hub
    report = inquiry.publish()
    hub.discard(handle, DROP_REASONS.index("slow"))
    inquiry.bench.loop.run()
    lose_more_than_is_kept(inquiry, other)
    for connection_id in (one, other):
        verdict = inquiry.ask(report, connection_id)
        assert (verdict.reason, verdict.certain) == ("uncertain", False)


def test_a_message_that_nobody_lost_was_written_however_much_was_lost_since(inquiry: Inquiry) -> None:
    one, _ = inquiry.watcher()
    other, _ = inquiry.watcher("u2", 2)
    report = inquiry.publish()
    inquiry.bench.loop.run()
    for _ in range(2):
        lose_more_than_is_kept(inquiry, other)
    assert inquiry.ask(report, one).reason == "written"


# -- those who came back


def test_what_is_replayed_waits_leaves_is_lost_or_acknowledged_like_any_other(inquiry: Inquiry) -> None:
    report = inquiry.publish()
    outcomes = []
    for user in ("u1", "u2", "u3"):
        one, handle = inquiry.watcher(user)
        inquiry.replay(handle, report)
        assert inquiry.ask(report, one).reason == "queued"
        if user == "u2":
            inquiry.manager.hub.discard(handle, DROP_REASONS.index("slow"))
        inquiry.bench.loop.run()
        if user == "u3":
            assert inquiry.manager.records.acknowledge(report.message_id, handle)
            assert not inquiry.manager.records.acknowledge(report.message_id, handle)
        outcomes.append(inquiry.ask(report, one).reason)
    assert outcomes == ["replayed", "slow", "acknowledged"]
    record = inquiry.record(report)
    assert record.as_dict()["acknowledged"] == 1
    assert inquiry.manager.records.bytes == record.cost


def test_what_became_of_a_replay_is_not_claimed_beyond_the_journal(inquiry: Inquiry) -> None:
    """The counts of a message say nothing of what was sent once more."""
    report = inquiry.publish()
    one, handle = inquiry.watcher()
    inquiry.replay(handle, report)
    inquiry.manager.hub.discard(handle, DROP_REASONS.index("slow"))
    lose_more_than_is_kept(inquiry, one)
    assert inquiry.ask(report, one).reason == "uncertain"


def test_one_that_was_catching_up_and_had_it_from_the_history_was_sent_it(inquiry: Inquiry) -> None:
    one, handle = inquiry.watcher()
    inquiry.manager.hub.set_out(handle, (0, 0), True)
    report = inquiry.publish()
    assert report.refused == {"catching_up": 1}
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.remarks) == ("refused_catching_up", ("It is catching up still.",))
    other, _ = inquiry.watcher("u2")
    inquiry.replay(handle, report)
    inquiry.bench.loop.run()
    assert inquiry.ask(report, one).reason == "replayed"
    assert inquiry.ask(report, other).reason == "connected_later"


def test_one_that_caught_up_without_it_is_told_so(inquiry: Inquiry) -> None:
    one, handle = inquiry.watcher()
    inquiry.manager.hub.set_out(handle, (0, 0), True)
    report = inquiry.publish()
    inquiry.manager.hub.go_live(handle)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("refused_catching_up", True)
    assert "It has caught up without it." in verdict.text()


def test_one_that_is_still_catching_up_may_get_what_came_before_it(inquiry: Inquiry) -> None:
    report = inquiry.publish()
    one, handle = inquiry.watcher()
    inquiry.manager.hub.set_out(handle, (0, 0), True)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("connected_later", False)
    assert "It is catching up still." in verdict.text()
    inquiry.manager.hub.go_live(handle)
    verdict = inquiry.ask(report, one)
    assert (verdict.reason, verdict.certain) == ("connected_later", True)


def test_more_replays_than_are_kept_make_it_uncertain(inquiry: Inquiry) -> None:
    _, early = inquiry.watcher("u1")
    inquiry.manager.hub.set_out(early, (0, 0), True)
    refused = inquiry.publish()
    later, handle = inquiry.watcher("u2")
    inquiry.manager.hub.set_out(handle, (0, 0), True)
    for seq in range(1, inquiry.manager.hub.replays.capacity + 2):
        frame = Frame(b"x", None, DATA, topic="t", log="another", seq=seq)
        assert inquiry.manager.hub.replay(handle, frame) == 0
        if seq % 100 == 0:
            inquiry.bench.loop.run()
    for each in (early, handle):
        inquiry.manager.hub.go_live(each)
    one = next(name for name, known in inquiry.manager.connections.items() if known.handle == early)
    for connection_id, reason in ((one, "refused_catching_up"), (later, "connected_later")):
        verdict = inquiry.ask(refused, connection_id)
        assert (verdict.reason, verdict.certain) == (reason, False)


# -- those it was not for


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


# -- users


def test_a_user_is_told_of_all_connections_open_ones_first(inquiry: Inquiry) -> None:
    ended, _ = inquiry.watcher("u1")
    inquiry.manager.disconnect(ended)
    first, _ = inquiry.watcher("u1", filters={"n": 2})
    second, _ = inquiry.watcher("u1")
    inquiry.watcher("u2")
    record = inquiry.record(inquiry.publish())
    verdicts = inquiry.explainer.explain_user(record, "u1", inquiry.all_seeing, 10)
    assert [(one.connection_id, one.reason) for one in verdicts] == [
        (first, "filtered"),
        (second, "queued"),
        (ended, "ended_before"),
    ]
    assert len(inquiry.explainer.explain_user(record, "u1", inquiry.all_seeing, 2)) == 2
    assert inquiry.explainer.explain_user(record, "nobody", inquiry.all_seeing, 2) == []


def test_of_many_subscriptions_those_that_match_are_shown_and_the_number_is_bounded(inquiry: Inquiry) -> None:
    one, _ = inquiry.bench.connect()
    for number in range(40):
        assert inquiry.manager.subscribe(one, "ecg", f"t{number}", {"n": number})
    report = inquiry.manager.broadcast_to_type("ecg", {"n": -1})
    inquiry.bench.clock.advance(1)
    verdict = inquiry.ask(report, one)
    assert verdict.reason == "filtered"
    assert len(verdict.subscriptions) == 20
    assert inquiry.manager.subscribe(one, "ecg", "t39", {"n": -1})
    verdict = inquiry.ask(report, one)
    assert verdict.reason == "changed"
    assert verdict.subscriptions[0].outcome == "matches"
