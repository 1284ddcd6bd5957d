"""What became of a traced message at each connection: every outcome that there is."""

from collections.abc import Callable
from typing import Any

import pytest
from workbench import Bench

from wsserver.observe.trace_order import TraceOrder
from wsserver.observe.traced_copies import MAX_LISTED, Row
from wsserver.protocol.topic import Topic
from wsserver.publishing.bystanders import Bystanders
from wsserver_core.outgoing import ALERT, DROP_REASONS, Frame


class Watch(Bench):
    """A bench on which everything is traced."""

    def __init__(self) -> None:
        super().__init__(connection={"max_connections_per_role": 1000})
        self.manager.traces.bystanders = Bystanders(self.manager).of
        self.manager.traces.arm(TraceOrder(messages=1000), "ops")

    def watcher(self, user_id: str = "u1", filters: dict[str, Any] | None = None) -> tuple[str, int]:
        one, _ = self.connect(user_id, "doctor", 1)
        assert self.manager.subscribe(one, "patient", 1, filters)
        return one, self.metadata(one).handle

    def publish(self, message: dict[str, Any] | None = None, **more: Any) -> Any:
        return self.manager.publish(Topic.of_patient(1), {"n": 1} if message is None else message, **more)

    def first(self) -> dict[str, Any]:
        *_, oldest = self.manager.traces.latest(1000)
        return oldest.as_dict()

    def row(self, connection_id: str) -> dict[str, Any]:
        (found,) = (row for row in self.first()["connections"] if row["connection_id"] == connection_id)
        assert found.pop("user_id") == "u1"
        assert found.pop("connection_id") == connection_id
        return found


@pytest.fixture
def watch() -> Watch:
    return Watch()


Case = Callable[[Watch], tuple[str, dict[str, Any]]]


def written(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, _ = watch.watcher()
    watch.publish()
    watch.clock.advance(0.002)
    watch.loop.run()
    return one, {"outcome": "written", "us": 2000}


def acknowledged(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, handle = watch.watcher()
    report = watch.publish()
    watch.loop.run()
    assert watch.manager.records.acknowledge(report.message_id, handle)
    return one, {"outcome": "acknowledged", "us": 0}


def queued(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, handle = watch.watcher()
    watch.manager.hub.enqueue(handle, Frame(b"x"))
    watch.publish()
    return one, {"outcome": "queued", "ahead": 1}


def dropped(reason: str) -> Case:
    def case(watch: Watch) -> tuple[str, dict[str, Any]]:
        one, handle = watch.watcher()
        watch.publish()
        watch.manager.hub.discard(handle, DROP_REASONS.index(reason))
        return one, {"outcome": reason}

    return case


def conflated(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, handle = watch.watcher()
    watch.manager.hub.block(handle)
    watch.manager.hub.max_queue_messages = 4
    reports = [watch.publish({"type": "vitals"}) for _ in range(4)]
    return one, {"outcome": "conflated", "into": reports[1].message_id}


def refused_slow(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, handle = watch.watcher()
    watch.manager.hub.block(handle)
    watch.manager.hub.max_queue_messages = 1
    watch.manager.hub.enqueue(handle, Frame(b"x", None, ALERT))
    watch.publish()
    return one, {"outcome": "refused_slow"}


def refused_closing(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, handle = watch.watcher()
    watch.manager.hub.enqueue(handle, Frame(b"x"), True)
    watch.publish()
    return one, {"outcome": "refused_closing"}


def refused_catching_up(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, handle = watch.watcher()
    watch.manager.hub.set_out(handle, (0, 0), True)
    watch.publish()
    return one, {"outcome": "refused_catching_up"}


def replayed(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, handle = watch.watcher()
    watch.manager.hub.set_out(handle, (0, 0), True)
    watch.publish()
    (kept,) = watch.manager.history.after(0)
    assert watch.manager.hub.replay(handle, kept.again) == 0
    watch.clock.advance(0.25)
    watch.loop.run()
    return one, {"outcome": "replayed", "us": 250_000}


def replayed_to_a_newcomer(watch: Watch) -> tuple[str, dict[str, Any]]:
    watch.publish()
    one, handle = watch.watcher()
    watch.manager.hub.set_out(handle, (0, 0), True)
    (kept,) = watch.manager.history.after(0)
    assert watch.manager.hub.replay(handle, kept.again) == 0
    watch.loop.run()
    return one, {"outcome": "replayed", "us": 0}


def lost_in_a_replay(watch: Watch) -> tuple[str, dict[str, Any]]:
    watch.publish()
    one, handle = watch.watcher()
    watch.manager.hub.set_out(handle, (0, 0), True)
    (kept,) = watch.manager.history.after(0)
    assert watch.manager.hub.replay(handle, kept.again) == 0
    watch.manager.hub.discard(handle, DROP_REASONS.index("slow"))
    return one, {"outcome": "slow"}


def filtered(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, _ = watch.watcher(filters={"n": 1, "severity": ["critical"], "hr": {"$gt": 90}})
    watch.publish()
    return one, {"outcome": "filtered", "clauses": ["hr.$gt", "severity"]}


def denied(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, _ = watch.connect("u1", "doctor", 2)
    assert watch.manager.subscribe(one, "patient", "*")
    watch.publish()
    return one, {"outcome": "denied"}


def own_message(watch: Watch) -> tuple[str, dict[str, Any]]:
    one, handle = watch.watcher()
    watch.publish(exclude=handle)
    return one, {"outcome": "own_message"}


@pytest.mark.parametrize(
    "case",
    [
        written, acknowledged, queued, *map(dropped, DROP_REASONS), conflated, refused_slow, refused_closing,
        refused_catching_up, replayed, replayed_to_a_newcomer, lost_in_a_replay, filtered, denied,
        own_message,
    ],
    ids=lambda case: case.__name__,
)  # fmt: skip
def test_each_outcome_is_told_as_it_is(watch: Watch, case: Case) -> None:
    connection_id, told = case(watch)
    assert watch.row(connection_id) == told


def test_those_who_lack_it_are_told_of_first_and_the_rest_is_counted(watch: Watch) -> None:
    ids = [watch.watcher(f"u{number}")[0] for number in range(MAX_LISTED + 20)]
    late = watch.metadata(ids[-1]).handle
    watch.manager.hub.set_out(late, (0, 0), True)
    watch.publish()
    watch.manager.hub.discard(watch.metadata(ids[-2]).handle, 0)
    watch.loop.run()
    told = watch.first()
    rows = [(row["connection_id"], row["outcome"]) for row in told["connections"]]
    assert rows[:2] == [(ids[-2], "slow"), (ids[-1], "refused_catching_up")]
    assert [outcome for _, outcome in rows[2:]] == ["written"] * (MAX_LISTED - 2)
    assert (len(rows), told["more"]) == (MAX_LISTED, 20)
    stage = told["stages"][-1]
    assert (stage["written"], stage["queued"], stage["dropped"]) == (MAX_LISTED + 18, 0, {"slow": 1})
    (traced,) = watch.manager.traces.latest(1)
    short = traced.as_dict(limit=3)
    assert (len(short["connections"]), short["more"]) == (3, MAX_LISTED + 17)


def test_beyond_what_is_told_one_by_one_losses_are_counted(watch: Watch) -> None:
    watchers = [watch.watcher(f"u{number}") for number in range(MAX_LISTED + 5)]
    watch.publish()
    for _, handle in reversed(watchers):
        watch.manager.hub.discard(handle, 0)
    told = watch.first()
    assert told["stages"][-1]["dropped"] == {"slow": MAX_LISTED, "others": 5}
    # Of the last five it is known that they were to have it, and not what became of that.
    (traced,) = watch.manager.traces.latest(1)
    outcomes = {row["connection_id"]: row["outcome"] for row in traced.as_dict(limit=1000)["connections"]}
    assert [outcomes[one] for one, _ in watchers[:5]] == ["uncertain"] * 5
    assert {outcomes[one] for one, _ in watchers[5:]} == {"slow"}
    assert (told["settled"], told["stage"]) == (True, "queued")


def test_one_that_has_ended_is_still_known_if_anybody_looked_before(watch: Watch) -> None:
    one, _ = watch.watcher()
    watch.publish()
    watch.loop.run()
    watch.manager.disconnect(one)
    watch.loop.run()
    assert watch.row(one) == {"outcome": "written", "us": 0}


def test_one_that_came_back_and_was_gone_before_anybody_looked_has_no_name(watch: Watch) -> None:
    connection_id, _ = replayed_to_a_newcomer(watch)
    watch.manager.disconnect(connection_id)
    watch.loop.run()
    (row,) = watch.first()["connections"]
    assert row == {"connection_id": None, "user_id": None, "outcome": "replayed", "us": 0}


def test_what_it_costs_is_counted_with_all_whom_it_was_for(watch: Watch) -> None:
    watch.publish()
    (alone,) = watch.manager.traces.latest(1)
    for number in range(300):
        watch.watcher(f"u{number}")
    watch.publish()
    many, _ = watch.manager.traces.latest(2)
    assert alone.cost < 3_000
    assert 60_000 < many.cost < 75_000


def test_a_row_names_nobody_in_a_log() -> None:
    assert "secret" not in repr(Row("c_1", "secret", "written"))
