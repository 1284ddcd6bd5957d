"""Why a connection did or did not get a message: every reason, and nothing that is not known."""


import pytest
from inquiry import (
    Case,
    Inquiry,
    conflated,
    connected_later,
    dropped,
    expire,
    fill_queue,
    handle_of,
    lose_more_than_is_kept,
    never_subscribed,
    other_connection,
    own_message,
    replayed,
    sent,
    subscribed_later,
)
from workbench import Workbench, principal

from wsserver.publishing.delivery_explainer import DeliveryExplainer
from wsserver.publishing.delivery_verdict import REASONS, TEXTS, Reason
from wsserver.settings import RecordsSettings
from wsserver_core.outgoing import DATA, DROP_REASONS, Frame


@pytest.fixture
def inquiry() -> Inquiry:
    return Inquiry()


def test_the_reasons_are_a_closed_set() -> None:
    assert set(TEXTS) == set(REASONS)
    assert set(DROP_REASONS) < set(REASONS)


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
