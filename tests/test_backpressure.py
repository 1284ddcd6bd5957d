"""Flow control: what slow clients are told, and when publishers have to wait."""

import asyncio
import logging
from typing import Any

import pytest
from workbench import Bench, RecordingWebSocket, principal, settings_with

from wsserver.backpressure import SHED_INTERVAL, BackpressureHandler
from wsserver.connections.foreign_link import ForeignLink
from wsserver.errors import BACKPRESSURE, ServerError
from wsserver.protocol.report import DeliveryReport
from wsserver_core.outgoing import ALERT, CRITICAL, DATA, Frame


class SlowBench(Bench):
    """``stall`` makes a client's socket full, ``read`` lets it take all there is."""

    def stall(self, connection_id: str) -> None:
        self.manager.hub.block(self.metadata(connection_id).handle)

    def read(self, connection_id: str) -> None:
        self.manager.hub.unblock(self.metadata(connection_id).handle)
        self.loop.run()

    def pass_time(self, seconds: float) -> None:
        """Time passes as the server sees it: in ticks."""
        for _ in range(round(seconds / 0.25)):
            self.clock.advance(0.25)
            self.manager.hub.now = self.clock.monotonic()
            self.manager.backpressure.tick()
            self.loop.run()

    def vitals(self, number: int, **more: Any) -> DeliveryReport:
        return self.manager.broadcast_to_patient(1, {"type": "vitals", "n": number, **more})

    def watcher(self, user: str = "u1") -> tuple[str, RecordingWebSocket]:
        connection_id, websocket = self.connect(user, patient_id=1)
        assert self.manager.subscribe(connection_id, "patient", 1)
        return connection_id, websocket


@pytest.fixture
def bench() -> SlowBench:
    return SlowBench()


def gaps(websocket: RecordingWebSocket) -> list[dict[str, Any]]:
    return [message for message in websocket.messages if message.get("type") == "gap"]


def numbers(websocket: RecordingWebSocket) -> list[int]:
    return [message["n"] for message in websocket.messages if "n" in message]


# -- clients


def test_one_that_stalls_gets_the_newest_data_every_alert_and_the_news_of_what_it_lost(
    bench: SlowBench,
) -> None:
    one, websocket = bench.watcher()
    bench.stall(one)
    reports = [bench.vitals(0)]
    bench.pass_time(6)
    assert bench.manager.slow_connections() == 1
    reports += [bench.vitals(number) for number in range(1, 5)]
    alert = bench.manager.broadcast_to_patient(1, {"type": "alert", "n": 100})
    critical = bench.vitals(101, severity="critical")
    reports += [bench.vitals(number) for number in range(5, 8)]
    bench.read(one)
    assert numbers(websocket) == [100, 101, 7]
    assert gaps(websocket) == [
        {
            "type": "gap",
            "log": bench.manager.broadcasts.logs.durable.name,
            "topic": "patient:1",
            "from": reports[0].seq,
            "to": reports[6].seq,
            "count": 7,
            "reason": "conflated",
        }
    ]
    assert bench.manager.slow_connections() == 0
    assert bench.manager.backpressure.closed == 0
    for report in (alert, critical, reports[-1]):
        assert report.outcome() == {"written": 1, "queued": 0, "dropped": dict.fromkeys(NO_DROPS, 0)}
    for report in reports[:-1]:
        outcome = report.outcome()
        assert (outcome["written"], outcome["dropped"]["conflated"]) == (0, 1)
        assert report.delivered == outcome["written"] + sum(outcome["dropped"].values())


NO_DROPS = ("slow", "conflated", "expired", "closed", "shutdown")


def test_seqs_still_rise_after_a_gap(bench: SlowBench) -> None:
    one, websocket = bench.watcher()
    bench.stall(one)
    bench.vitals(0)
    bench.pass_time(6)
    for number in range(1, 10):
        bench.vitals(number, severity="warning" if number % 4 == 0 else "normal")
    bench.read(one)
    seqs = [message["_meta"]["seq"] for message in websocket.messages if "_meta" in message]
    assert seqs == sorted(seqs)
    assert numbers(websocket) == [4, 8, 9]


def test_one_that_stays_slow_for_too_long_is_closed_with_4005_after_what_matters(
    bench: SlowBench, caplog: pytest.LogCaptureFixture
) -> None:
    one, websocket = bench.watcher()
    handle = bench.metadata(one).handle
    bench.stall(one)
    last = bench.vitals(0)
    bench.manager.broadcast_to_patient(1, {"type": "alert", "n": 100})
    with caplog.at_level(logging.INFO, "wsserver"):
        bench.pass_time(5 + bench.manager.settings.backpressure.slow_timeout)
        assert bench.manager.backpressure.closed == 0
        bench.pass_time(1)
    assert bench.manager.backpressure.closed == 1
    assert [record.getMessage() for record in caplog.records] == [
        "a connection that reads too slowly is closed (4005)"
    ]
    bench.manager.hub.unblock(handle)
    bench.loop.run()
    assert numbers(websocket) == [100]
    assert [(gap["from"], gap["count"], gap["reason"]) for gap in gaps(websocket)] == [(last.seq, 1, "slow")]
    assert websocket.close_code == 4005
    assert last.outcome()["dropped"]["slow"] == 1


def test_a_topic_is_not_named_to_somebody_who_may_not_see_the_patient_any_more(bench: SlowBench) -> None:
    one, websocket = bench.connect("u", principal=principal(bench, "u", {"1", "2"}))
    for patient in (1, 2):
        assert bench.manager.subscribe(one, "patient", patient)
    bench.stall(one)
    bench.vitals(0)
    bench.pass_time(6)
    for number in range(3):
        bench.vitals(number)
        bench.manager.broadcast_to_patient(2, {"type": "vitals", "n": number})
    bench.manager.replace_principal(bench.metadata(one), principal(bench, "u", {"2"}))
    bench.read(one)
    assert [gap["topic"] for gap in gaps(websocket)] == ["patient:2"]
    assert {message["_meta"]["topic"] for message in websocket.messages if "_meta" in message} == {
        "patient:2"
    }


def test_a_gap_that_waits_is_withdrawn_with_the_right_to_its_patient(bench: SlowBench) -> None:
    one, websocket = bench.connect("u", principal=principal(bench, "u", {"1", "2"}))
    metadata = bench.metadata(one)
    for patient in (1, 2):
        assert bench.manager.subscribe(one, "patient", patient)
    bench.stall(one)
    for number in range(2):
        bench.vitals(number)
        bench.manager.broadcast_to_patient(2, {"type": "vitals", "n": number})
        bench.pass_time(6)
    # The hub tells the losses, and the socket is full again before they leave.
    bench.manager.hub.unblock(metadata.handle)
    bench.manager.hub.flush_all()
    bench.manager.hub.on_relief(metadata.link)
    bench.stall(one)
    bench.manager.hub.insist(metadata.handle, Frame(b"\x81\x02{}"))
    bench.manager.replace_principal(metadata, principal(bench, "u", {"2"}))
    bench.read(one)
    assert [gap["topic"] for gap in gaps(websocket)] == ["patient:2"]


def test_each_patient_keeps_its_newest_values_on_a_topic_of_many(bench: SlowBench) -> None:
    one, websocket = bench.connect("u", principal=principal(bench, "u", None))
    assert bench.manager.subscribe(one, "vitals", "*")
    bench.stall(one)
    for number in range(6):
        bench.manager.broadcast_to_type("vitals", {"type": "vitals", "patient_id": number % 3, "n": number})
        bench.pass_time(3)
    bench.read(one)
    assert numbers(websocket) == [3, 4, 5]
    assert [gap["count"] for gap in gaps(websocket)] == [3]


def test_losses_of_a_link_of_which_nothing_is_known_are_told_to_nobody(bench: SlowBench) -> None:
    websocket = RecordingWebSocket()
    link = ForeignLink(bench.manager.hub, websocket)
    bench.manager.hub.block(link.handle)
    for number in range(1000):
        bench.manager.hub.enqueue(
            link.handle, Frame(b"", None, DATA, topic="t", log="l", seq=number, stream="s")
        )
    bench.manager.hub.unblock(link.handle)
    bench.loop.run()
    assert gaps(websocket) == []
    assert bench.loop.faults == []


def test_nobody_is_slow_because_the_server_itself_was_away(bench: SlowBench) -> None:
    one, _ = bench.watcher()
    bench.pass_time(1)
    bench.stall(one)
    bench.vitals(0)
    bench.clock.advance(30)
    bench.manager.hub.now = bench.clock.monotonic()
    bench.manager.backpressure.tick()
    assert bench.manager.slow_connections() == 0
    bench.pass_time(1)
    assert bench.manager.slow_connections() == 1


@pytest.mark.parametrize(("seconds", "slow"), [(1.0, 1), (1.25, 0)])
def test_a_tick_that_is_a_little_late_is_no_absence(bench: SlowBench, seconds: float, slow: int) -> None:
    one, _ = bench.watcher()
    bench.stall(one)
    bench.vitals(0)
    bench.pass_time(5)
    bench.clock.advance(seconds)
    bench.manager.hub.now = bench.clock.monotonic()
    bench.manager.backpressure.tick()
    assert bench.manager.slow_connections() == slow


def test_nobody_is_closed_for_being_slow_while_the_server_was_away(bench: SlowBench) -> None:
    one, _ = bench.watcher()
    bench.stall(one)
    bench.vitals(0)
    bench.pass_time(6)
    bench.clock.advance(300)
    bench.pass_time(100)
    assert (bench.manager.slow_connections(), bench.manager.backpressure.closed) == (1, 0)
    bench.pass_time(30)
    assert bench.manager.backpressure.closed == 1


def test_the_bounds_of_queues_follow_the_settings(bench: SlowBench) -> None:
    hub = bench.manager.hub
    bench.manager.configure(
        settings_with(backpressure={"max_queue_messages": 7, "max_queue_bytes": 70, "slow_share": 0.3})
    )
    assert (hub.max_queue_messages, hub.max_queue_bytes, hub.slow_share) == (7, 70, 0.3)


def test_settings_that_change_hold_for_connections_that_are_open(bench: SlowBench) -> None:
    one, _ = bench.watcher()
    bench.stall(one)
    bench.vitals(0)
    bench.pass_time(2)
    assert bench.manager.slow_connections() == 0
    bench.manager.configure(settings_with(broadcast={"timeout": 1}))
    bench.pass_time(0.25)
    assert bench.manager.slow_connections() == 1
    bench.manager.configure(settings_with(broadcast={"timeout": 1}, backpressure={"slow_timeout": 2}))
    bench.pass_time(3)
    assert bench.manager.backpressure.closed == 1


# -- publishers


def refusal(bench: SlowBench, importance: int, size: int = 100) -> int | None:
    """The seconds after which a publisher is to come again, in ms; None when it is let in."""
    try:
        bench.manager.backpressure.admit(importance, size)
    except ServerError as error:
        return error.retry_after_ms if error.kind is BACKPRESSURE else None
    return None


def test_data_waits_while_the_queues_fill_their_budget_with_hysteresis() -> None:
    bench = SlowBench(backpressure={"max_total_bytes": 1 << 20})
    clients = [bench.watcher(f"u{number}") for number in range(10)]
    for number, (one, _) in enumerate(clients):
        bench.stall(one)
        bench.manager.send_message(one, {"type": "alarm", "n": number, "text": "x" * 99_000})
    pinned = bench.manager.hub.pinned_bytes
    assert 0.94 < pinned / (1 << 20) < 0.96
    assert [refusal(bench, importance) for importance in (DATA, ALERT, CRITICAL)] == [1000, None, None]
    with pytest.raises(ServerError, match="1005"):
        bench.vitals(0)
    assert refusal(bench, ALERT, 100_000) == 1000
    assert refusal(bench, CRITICAL, 100_000) is None
    assert refusal(bench, CRITICAL, 300_000) == 1000
    bench.read(clients[0][0])
    assert refusal(bench, DATA) == 1000, "between the two marks it stays as it was"
    bench.read(clients[1][0])
    assert refusal(bench, DATA) is None
    assert bench.manager.backpressure.get_metrics()["publishers_refused"] == 5


def test_the_slow_lose_data_and_then_alerts_before_publishers_wait() -> None:
    bench = SlowBench(backpressure={"max_total_bytes": 1 << 20})
    clients = [bench.watcher(f"u{number}") for number in range(10)]
    notes = []
    for one, _ in clients:
        bench.stall(one)
        notes.append(bench.manager.send_message(one, {"type": "note", "text": "x" * 45_000}))
        bench.manager.send_message(one, {"type": "alarm", "text": "x" * 45_000})
    bench.pass_time(6)
    assert bench.manager.slow_connections() == 10
    hub = bench.manager.hub
    # What may go went before anybody was refused: data first, and only as much as is needed.
    assert hub.pinned_bytes <= 0.8 * (1 << 20)
    assert 1 <= hub.frames_dropped["slow"] <= 2
    assert refusal(bench, DATA) is None
    assert sum(note.outcome()["dropped"]["slow"] for note in notes) == hub.frames_dropped["slow"]
    for one, _ in clients:
        assert bench.manager.send_message(one, {"severity": "critical", "text": "x" * 45_000}) == 1
        bench.clock.advance(1)
    for one, _ in clients:
        bench.read(one)
    lost = [gap["count"] for _, websocket in clients for gap in gaps(websocket)]
    assert sum(lost) == hub.frames_dropped["slow"] > 10
    criticals = [m for _, websocket in clients for m in websocket.messages if m.get("severity") == "critical"]
    assert len(criticals) == 10


def test_the_slow_are_asked_for_room_now_and_then_and_their_publishers_let_in() -> None:
    bench = SlowBench(backpressure={"max_total_bytes": 1 << 20})
    clients = [bench.watcher(f"u{number}")[0] for number in range(10)]
    for one in clients:
        bench.stall(one)
        bench.manager.send_message(one, {"type": "note", "text": "x" * 45_000})
    bench.pass_time(6)
    hub = bench.manager.hub
    while hub.pinned_bytes <= 0.91 * (1 << 20):
        bench.manager.send_message(clients[0], {"severity": "critical", "text": "x" * 45_000})
    # A walk over all the slow for each message would cost more than the messages.
    assert hub.frames_dropped["slow"] == 1
    assert refusal(bench, DATA) == 1000
    bench.clock.advance(SHED_INTERVAL)
    assert refusal(bench, DATA) is None
    assert hub.frames_dropped["slow"] > 1


def test_a_large_message_counts_before_it_waits() -> None:
    bench = SlowBench(backpressure={"max_total_bytes": 1 << 20})
    one, _ = bench.watcher()
    bench.stall(one)
    bench.manager.send_message(one, {"text": "x" * 500_000})
    assert refusal(bench, DATA, 300_000) is None
    assert refusal(bench, DATA, 450_000) == 1000


def test_data_waits_while_memory_is_short(bench: SlowBench) -> None:
    bench.manager.backpressure.memory_pressure = True
    assert [refusal(bench, importance) for importance in (DATA, ALERT, CRITICAL)] == [1000, None, None]
    assert bench.manager.backpressure.get_metrics()["publishers_wait"] is True
    bench.manager.backpressure.memory_pressure = False
    assert refusal(bench, DATA) is None


def test_publishers_wait_for_memory_that_is_left_until_the_next_look(bench: SlowBench) -> None:
    handler = bench.manager.backpressure
    handler.note_room(1000, 2000)
    assert [handler.must_wait(DATA, 1000), handler.must_wait(DATA, 1001)] == [False, True]
    assert [handler.must_wait(ALERT, 2000), handler.must_wait(ALERT, 2001)] == [False, True]
    assert not handler.must_wait(CRITICAL, 5000)
    one, _ = bench.watcher("u1")
    bench.manager.send_message(one, {"severity": "critical", "text": "x" * 500})
    assert handler.must_wait(DATA, 900), "what is queued since then takes of that room"
    handler.note_room(-1, -1)
    assert handler.must_wait(DATA)
    handler.note_room(float("inf"), float("inf"))
    assert not handler.must_wait(DATA, 1 << 20)


def crowded() -> tuple[SlowBench, list[RecordingWebSocket]]:
    """A server that is behind: so much published in one turn that it had to stop sending in between."""
    bench = SlowBench(backpressure={"max_queue_messages": 40}, broadcast={"batch_size": 1})
    clients = [bench.watcher(f"u{number}") for number in range(3)]
    for number in range(10):
        bench.vitals(number)
    return bench, [websocket for _, websocket in clients]


def test_data_waits_while_the_server_is_behind_and_nobody_is_slow_for_it() -> None:
    bench, websockets = crowded()
    bench.vitals(10)
    assert bench.manager.backpressure.is_behind
    with pytest.raises(ServerError, match="1005"):
        bench.vitals(11)
    assert bench.vitals(12, severity="critical") == 3
    bench.loop.run()
    assert bench.vitals(13) == 3
    bench.loop.run()
    assert [numbers(websocket) for websocket in websockets] == [[*range(11), 12, 13]] * 3
    assert bench.manager.hub.slow_entered == 0


async def test_a_publisher_that_awaits_its_reports_is_never_too_fast() -> None:
    bench, websockets = crowded()

    async def turn() -> None:
        while True:
            bench.loop.turn()
            await asyncio.sleep(0)

    turning = asyncio.ensure_future(turn())
    for number in range(10, 500):
        report = bench.vitals(number)
        assert await report is report
    turning.cancel()
    bench.loop.run()
    assert [numbers(websocket) for websocket in websockets] == [list(range(500))] * 3
    assert bench.manager.backpressure.refused == 0


def test_another_threads_messages_wait_in_the_inbox_while_the_server_is_behind() -> None:
    bench, websockets = crowded()
    futures = [
        bench.manager.publish_threadsafe("patient:1", {"type": "vitals", "n": number})
        for number in range(10, 400)
    ]
    bench.loop.run()
    assert [int(future.result(timeout=0)) for future in futures] == [3] * 390
    assert [numbers(websocket) for websocket in websockets] == [list(range(400))] * 3


def test_figures_add_up(bench: SlowBench) -> None:
    one, _ = bench.watcher()
    bench.stall(one)
    bench.vitals(0)
    bench.pass_time(6)
    bench.vitals(1)
    assert bench.manager.backpressure.get_metrics() == {
        "slow_connections": 1,
        "became_slow": 1,
        "closed_slow": 0,
        "dropped_slow": 0,
        "conflated": 1,
        "queued_messages": 1,
        "pinned_bytes": bench.manager.hub.pinned_bytes,
        "max_total_bytes": 256 * 1024 * 1024,
        "crowded_connections": 0,
        "publishers_refused": 0,
        "publishers_wait": False,
    }
    assert isinstance(bench.manager.backpressure, BackpressureHandler)
