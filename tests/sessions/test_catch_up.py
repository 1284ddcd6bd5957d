"""How the history is read for those who come back: gaps, turns, and ends."""

from collections.abc import Iterator
from typing import Any

import pytest
from far_end import FarEnd
from workbench import Bench, Workbench, principal

from wsserver.protocol.control import Gap
from wsserver.protocol.topic import Topic
from wsserver.sessions import catch_up as catch_up_module
from wsserver.sessions import interest as interest_module
from wsserver.sessions.catch_up import CatchUps
from wsserver.store import history as history_module

Told = list[tuple[int, list[Gap]]]


class Return:
    """One connection that catches up from a position, without admission."""

    def __init__(self, bench: Bench, start: tuple[int, int], *topics: tuple[str, str], patients: Any = None):
        self.manager = bench.manager
        self.id, self.websocket = bench.connect("u", principal=principal(bench, "u", patients))
        self.metadata = bench.metadata(self.id)
        for topic in topics:
            assert bench.manager.subscribe(self.id, *topic)
        self.told: Told = []
        bench.manager.hub.set_out(self.metadata.handle, start, True)
        self.catch_up = bench.manager.catch_ups.prepare(
            self.metadata, start, lambda replayed, gaps: self.told.append((replayed, gaps))
        )

    def begin(self) -> "Return":
        self.manager.catch_ups.begin(self.catch_up)
        return self

    @property
    def numbers(self) -> list[int]:
        return [message["n"] for message in self.websocket.messages if "_meta" in message]

    @property
    def gaps(self) -> list[dict[str, Any]]:
        return [message for message in self.websocket.messages if message.get("type") == "gap"]


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine: what one turn does is decided by counts alone."""
    monkeypatch.setattr(catch_up_module, "SECONDS", 1e9)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(history={"size": 3})
    yield bench
    assert not bench.loop.faults


def publish(bench: Bench, topic: str, *numbers: int, patient: int | None = None) -> None:
    for n in numbers:
        body = {"n": n} | ({} if patient is None else {"patient_id": patient})
        bench.manager.publish(Topic.parse(topic), body)


def volatile(bench: Bench) -> str:
    return bench.manager.broadcasts.logs.volatile.name


class TestGaps:
    def test_what_is_trimmed_is_told_topic_by_topic_and_nobody_elses(self, bench: Bench) -> None:
        publish(bench, "ecg:1", *range(6))
        publish(bench, "ward:1", *range(6, 12))
        publish(bench, "ecg:2", 12)
        one = Return(bench, (0, 0), ("ecg", "1"), ("ecg", "2")).begin()
        gap = Gap(log=volatile(bench), topic="ecg:1", from_=1, to=3, reason="trimmed")
        assert one.told == [(4, [gap])]
        bench.loop.run()
        assert one.numbers == [3, 4, 5, 12]
        assert one.gaps == []

    def test_a_loss_behind_the_position_is_none(self, bench: Bench) -> None:
        publish(bench, "ecg:1", *range(6))
        assert Return(bench, (0, 3), ("ecg", "1")).begin().told == [(3, [])]
        assert Return(bench, (0, 6), ("ecg", "1")).begin().told == [(0, [])]

    def test_each_log_has_its_own(self, bench: Bench) -> None:
        publish(bench, "ecg:1", *range(4), patient=7)
        publish(bench, "ecg:1", *range(4, 8))
        logs = bench.manager.broadcasts.logs
        assert Return(bench, (1, 0), ("ecg", "1")).begin().told == [
            (
                3,
                [
                    Gap(log=logs.durable.name, topic="ecg:1", from_=2, to=4, reason="trimmed"),
                    Gap(log=logs.volatile.name, topic="ecg:1", from_=1, to=1, reason="trimmed"),
                ],
            )
        ]

    def test_messages_to_everybody_and_to_the_whole_type_count(self, bench: Bench) -> None:
        publish(bench, "*", *range(4))
        publish(bench, "ecg:*", *range(4, 8))
        one = Return(bench, (0, 0), ("ecg", "5")).begin()
        assert [(gap.topic, gap.from_, gap.to) for gap in one.told[0][1]] == [("*", 1, 1), ("ecg:*", 1, 5)]

    def test_a_topic_that_may_not_be_seen_is_not_named(self, bench: Bench) -> None:
        publish(bench, "patient:1", *range(4))
        publish(bench, "patient:2", *range(4, 8))
        one = Return(bench, (0, 0), ("patient", "*"), patients={"2"}).begin()
        assert [gap.topic for gap in one.told[0][1]] == ["patient:2"]

    @pytest.mark.parametrize("merged", [64, 1])
    def test_they_are_the_same_however_the_topics_are_read(
        self, bench: Bench, merged: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(interest_module, "MERGED", merged)
        for patient in (1, 2, 3):
            publish(bench, f"patient:{patient}", *range(patient + 2))
        publish(bench, "ward:1", *range(9))
        one = Return(bench, (0, 0), ("patient", "*"), patients={"1", "2", "3"}).begin()
        assert one.told[0][0] == 9
        assert {(gap.topic, gap.to) for gap in one.told[0][1]} == {("patient:2", 4), ("patient:3", 9)}

    def test_of_very_many_one_for_each_log_is_told(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catch_up_module, "MAX_GAPS", 2)
        for target in range(3):
            publish(bench, f"ecg:{target}", *range(5))
        one = Return(bench, (0, 1), ("ecg", "*")).begin()
        assert one.told[0][1] == [Gap(log=volatile(bench), from_=2, to=12, reason="trimmed")]

    def test_what_goes_during_the_replay_is_told_once_and_before_what_follows(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catch_up_module, "EXAMINED", 1)
        publish(bench, "ecg:1", 0, 1, 2)
        one = Return(bench, (0, 0), ("ecg", "1")).begin()
        while not one.told:
            bench.loop.turn()
        assert one.told == [(3, [])]
        for n in range(3, 15, 3):
            publish(bench, "ecg:1", n, n + 1, n + 2)
            bench.loop.turn()
        bench.loop.run()
        seen = [(m["n"],) if "_meta" in m else (m["from"], m["to"]) for m in one.websocket.messages]
        missing = [n for entry in seen if len(entry) == 2 for n in range(entry[0] - 1, entry[1])]
        got = [entry[0] for entry in seen if len(entry) == 1]
        assert got == sorted(set(got))
        assert sorted(got + missing) == list(range(15))
        assert missing
        first_gap = next(place for place, entry in enumerate(seen) if len(entry) == 2)
        assert all(entry[0] < missing[0] for entry in seen[:first_gap])

    def test_what_goes_while_nothing_of_it_is_sent_is_told_from_where_the_last_gap_ended(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catch_up_module, "EXAMINED", 1)
        bench = Bench(history={"size": 6, "size_by_type": {"wave": 1}})
        publish(bench, "ward:1", *range(6))

        def wave() -> None:
            bench.manager.publish(Topic.parse("ecg:1"), {"n": 99, "type": "wave"})

        wave()
        one = Return(bench, (0, 0), ("ward", "1"), ("ecg", "1")).begin()
        while not one.told:
            bench.loop.turn()
        wave()
        while not one.catch_up.floors:
            bench.loop.turn()
        wave()
        bench.loop.run()
        assert one.numbers == [*range(6), 99]
        first, second = one.gaps
        assert (first["to"], second["from"], second["to"]) == (7, 8, 8)

    @pytest.mark.parametrize("merged", [64, 0])
    def test_what_is_gone_of_topics_that_are_not_remembered_is_told_of_any_topic(
        self, monkeypatch: pytest.MonkeyPatch, merged: int
    ) -> None:
        monkeypatch.setattr(interest_module, "MERGED", merged)
        monkeypatch.setattr(history_module, "MAX_TOPICS", 2)
        bench = Bench(history={"size": 0})
        for target in range(5):
            publish(bench, f"ecg:{target}", target)
        one = Return(bench, (0, 0), ("ecg", "*")).begin()
        gaps = {gap.topic: (gap.from_, gap.to) for gap in one.told[0][1]}
        # Those that are remembered are told by their names.
        assert gaps["ecg:3"] == (1, 4)
        assert gaps["ecg:4"] == (1, 5)
        assert gaps[None] == (1, 3)

    @pytest.mark.parametrize("merged", [64, 0])
    def test_what_was_gone_before_it_was_subscribed_is_no_loss(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, merged: int
    ) -> None:
        monkeypatch.setattr(interest_module, "MERGED", merged)
        publish(bench, "ecg:1", *range(6))
        publish(bench, "ward:1", *range(6, 8))
        one = Return(bench, (0, 0), ("ward", "1"))
        assert bench.manager.subscribe(one.id, "ecg", "1")
        # One of these is gone before it could be sent, and that is a loss.
        publish(bench, "ecg:1", *range(8, 12))
        one.begin()
        gap = Gap(log=volatile(bench), topic="ecg:1", from_=9, to=9, reason="trimmed")
        assert one.told == [(5, [gap])]
        bench.loop.run()
        assert one.numbers == [6, 7, 9, 10, 11]

    async def test_a_gap_that_waits_goes_with_the_right_to_its_patient(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catch_up_module, "EXAMINED", 1)
        bench = await Workbench(history={"size": 2}).start()
        client = await bench.client("u", patients=["1", "2"])
        metadata = bench.owner(client)
        for patient in ("1", "2"):
            assert bench.manager.subscribe(metadata.connection_id, "patient", patient)
        bench.manager.hub.set_out(metadata.handle, (0, 0), True)
        for patient in (2, 1, 1):
            bench.manager.broadcast_to_patient(patient, {"n": 0})
        catch_ups = bench.manager.catch_ups
        catch_up = catch_ups.prepare(metadata, (0, 0), lambda *_: None)
        catch_ups.begin(catch_up)
        while catch_up.welcome is not None:
            bench.loop.turn()
        client.stuck = True
        for patient in (1, 1, 2, 2, 2):
            bench.manager.broadcast_to_patient(patient, {"n": 1})
        bench.loop.run()
        bench.manager.replace_principal(metadata, principal(bench, "u", {"2"}))
        assert client.connection is not None
        client.stuck, client._buffered = False, 0
        client.connection.resume_writing()
        bench.loop.run()
        gaps = [message["topic"] for message in client.messages if message.get("type") == "gap"]
        assert gaps == ["patient:2"]


class TestTurns:
    def test_what_its_client_has_in_one_log_is_not_counted_for_the_other(self, bench: Bench) -> None:
        publish(bench, "ecg:1", 0, patient=7)
        publish(bench, "ecg:1", 1)
        publish(bench, "ecg:1", 2, patient=7)
        one = Return(bench, (0, 1), ("ecg", "1")).begin()
        assert one.told == [(2, [])]
        bench.loop.run()
        assert one.numbers == [0, 2]

    def test_one_that_is_ended_by_its_welcome_has_not_caught_up(self, bench: Bench) -> None:
        publish(bench, "ecg:1", 0)
        one = Return(bench, (0, 0), ("ecg", "1"))
        one.catch_up.welcome = lambda *_: bench.manager.forget(one.metadata)
        one.begin()
        bench.loop.run()
        assert bench.manager.catch_ups.completed == 0

    def test_in_one_turn_so_much_is_looked_at_for_each_and_all_come_on(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = Bench()
        monkeypatch.setattr(catch_up_module, "EXAMINED", 10)
        publish(bench, "ecg:1", *range(100))
        several = [Return(bench, (0, 0), ("ecg", "1")) for _ in range(3)]
        for one in several:
            one.begin()
        assert [one.catch_up.counted for one in several] == [10, 10, 10]
        for _ in range(9):
            bench.loop.turn()
        assert [one.told for one in several] == [[(100, [])]] * 3
        before = [one.catch_up.replayed for one in several]
        bench.loop.turn()
        assert [one.catch_up.replayed for one in several] == [number + 10 for number in before]
        bench.loop.run()
        assert [one.numbers for one in several] == [list(range(100))] * 3
        assert len(bench.manager.catch_ups) == 0
        assert bench.manager.catch_ups.completed == 3

    def test_what_the_rights_hide_is_not_counted_as_what_will_follow(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = Bench()
        monkeypatch.setattr(catch_up_module, "EXAMINED", 10)
        publish(bench, "ecg:1", *range(50), patient=1)
        publish(bench, "ecg:1", *range(50), patient=2)
        one = Return(bench, (0, 0), ("ecg", "1"), patients={"1", "2"}).begin()
        assert one.catch_up.counted == 10
        bench.manager.replace_principal(one.metadata, principal(bench, "u", {"2"}))
        bench.loop.run()
        assert one.told == [(50, [])]
        assert len(one.numbers) == 50

    def test_one_whose_turn_comes_after_its_end_is_passed_over(self, bench: Bench) -> None:
        publish(bench, "ecg:1", *range(3))
        one = Return(bench, (0, 0), ("ecg", "1"))
        bench.manager.disconnect(one.id)
        one.begin()
        bench.loop.run()
        assert (one.told, one.numbers) == ([], [])
        assert len(bench.manager.catch_ups) == 0


async def test_while_many_catch_up_others_have_their_turn() -> None:
    bench = await Workbench().start()
    watcher = await bench.client("w", patients="*")
    await bench.ask(watcher, type="subscribe", topic="type:ward")
    for n in range(1000):
        bench.manager.broadcast_to_type("ecg", {"n": n})
    clients: list[FarEnd] = []
    for number in range(20):
        client = await bench.client(f"u{number}", patients="*")
        metadata = bench.owner(client)
        bench.manager.subscribe(metadata.connection_id, "ecg")
        bench.manager.hub.set_out(metadata.handle, (0, 0), True)
        catch_ups: CatchUps = bench.manager.catch_ups
        catch_ups.begin(catch_ups.prepare(metadata, (0, 0), lambda *_: None))
        clients.append(client)
    turns = 0
    while len(bench.manager.catch_ups):
        bench.manager.broadcast_to_type("ward", {"n": turns})
        bench.loop.turn()
        turns += 1
        assert turns < 2000
    assert turns >= 5
    bench.loop.run()
    assert [one["n"] for one in watcher.take()] == list(range(turns))
    assert all(len(client.messages) == 1001 for client in clients)
