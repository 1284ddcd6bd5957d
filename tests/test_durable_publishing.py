"""Durable messages with a store on disk: told and delivered after the commit, in order, or not at all."""

import asyncio
from typing import Any

import pytest
from hand_store import HandStore
from store_records import mark
from workbench import Bench, Workbench

from wsserver.errors import BACKPRESSURE, INTERNAL_ERROR, ServerError
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import Topic
from wsserver.store.store import StoreUnavailable


def on_hand(bench: Bench) -> HandStore:
    """Put the bench's messages on a disk that is moved by hand."""
    store = HandStore()
    bench.manager.broadcasts.store = store
    return store


@pytest.fixture
def bench() -> Bench:
    return Bench(backpressure={"conflatable_types": ()}, store={"volatile_types": ("ecg_data",)})


@pytest.fixture
def disk(bench: Bench) -> HandStore:
    return on_hand(bench)


def numbers(websocket: Any) -> list[int]:
    return [message["n"] for message in websocket.messages]


def test_nobody_gets_a_message_before_it_is_stored(bench: Bench, disk: HandStore) -> None:
    one, websocket = bench.connect("u1", "doctor", 1)
    assert bench.manager.subscribe(one, "patient", 1)
    report = bench.manager.broadcast_to_patient(1, {"n": 1})
    bench.loop.run()
    assert report.is_pending
    assert websocket.messages == []
    assert bench.manager.history.messages == 0
    assert bench.manager.broadcasts.logs.durable.head == 0
    disk.commit()
    bench.loop.run()
    assert numbers(websocket) == [1]
    assert int(report) == 1
    log = bench.manager.broadcasts.logs.durable
    assert (report.seq, report.durability, report.log, log.head) == (1, "fsync", log.name, 1)
    assert bench.manager.history.messages == 1
    assert bench.manager.records.get(report.message_id) is not None
    assert bench.manager.broadcasts.accounts.check(bench.manager.records, recount=True) == []


def test_what_is_sent_says_what_was_stored(bench: Bench, disk: HandStore) -> None:
    one, websocket = bench.connect("u1", "doctor", 1)
    assert bench.manager.subscribe(one, "patient", 1)
    report = bench.manager.broadcast_to_patient(1, {"n": 1, "type": "note"})
    bench.clock.advance(5)
    disk.commit()
    bench.loop.run()
    (record,), (message,) = disk.records, websocket.messages
    assert message["_meta"]["id"] == record.id == report.message_id
    assert message["_meta"]["ts"] == "2027-01-15T08:00:00.000Z"
    assert (record.topic, record.type, record.patient_id) == ("patient:1", "note", "1")
    assert record.members == b',"n":1,"type":"note"}'


def test_volatile_messages_never_wait(bench: Bench, disk: HandStore) -> None:
    one, websocket = bench.connect("u1", "doctor", 1)
    assert bench.manager.subscribe(one, "patient", 1)
    bench.manager.broadcast_to_patient(1, {"n": 1})
    report = bench.manager.broadcast_to_patient(1, {"n": 2, "type": "ecg_data"})
    assert (int(report), report.durability, report.seq) == (1, "memory", 1)
    assert report.log == bench.manager.broadcasts.logs.volatile.name
    bench.loop.run()
    assert numbers(websocket) == [2]
    direct = bench.manager.send_message(one, {"n": 3, "patient_id": 1, "severity": "critical"})
    assert (int(direct), direct.log) == (1, report.log)


def test_messages_are_delivered_in_the_order_of_their_places(bench: Bench, disk: HandStore) -> None:
    one, websocket = bench.connect("u1", "doctor", 1)
    assert bench.manager.subscribe(one, "patient", 1)
    reports = [bench.manager.broadcast_to_patient(1, {"n": number}) for number in range(6)]
    disk.commit(2)
    disk.refuse(2)
    disk.commit()
    bench.loop.run()
    assert numbers(websocket) == [0, 1, 4, 5]
    assert [message["_meta"]["seq"] for message in websocket.messages] == [1, 2, 3, 4]
    assert [report.fault is None for report in reports] == [True, True, False, False, True, True]


def test_whoever_is_subscribed_when_it_is_stored_gets_it(bench: Bench, disk: HandStore) -> None:
    gone, left = bench.connect("u1", "doctor", 1)
    assert bench.manager.subscribe(gone, "patient", 1)
    report = bench.manager.broadcast_to_patient(1, {"n": 1})
    bench.manager.disconnect(gone)
    came, websocket = bench.connect("u2", "doctor", 1)
    assert bench.manager.subscribe(came, "patient", 1)
    disk.commit()
    bench.loop.run()
    assert numbers(websocket) == [1]
    assert left.messages == []
    assert int(report) == 1


def test_a_publisher_may_change_its_message_at_once(bench: Bench, disk: HandStore) -> None:
    one, websocket = bench.connect("u1", "doctor", 1)
    assert bench.manager.subscribe(one, "patient", 1, {"n": 1, "list": {"$contains": "a"}})
    message: dict[str, Any] = {"n": 1, "list": ["a"]}
    bench.manager.broadcast_to_patient(1, message)
    message["n"] = 2
    message["list"].clear()
    disk.commit()
    bench.loop.run()
    assert [(one["n"], one["list"]) for one in websocket.messages] == [(1, ["a"])]


async def test_what_cannot_be_stored_reaches_nobody(bench: Bench, disk: HandStore) -> None:
    one, websocket = bench.connect("u1", "doctor", 1)
    assert bench.manager.subscribe(one, "patient", 1)
    report = bench.manager.broadcast_to_patient(1, {"n": 1})
    disk.refuse(reason="io_error")
    with pytest.raises(StoreUnavailable) as caught:
        await report
    assert (caught.value.kind, caught.value.http_status) == (BACKPRESSURE, 503)
    assert caught.value.details == {"reason": "store", "store": "io_error"}
    assert caught.value.retry_after_ms == 1000
    bench.loop.run()
    assert websocket.messages == []
    assert bench.manager.history.messages == 0


def test_while_the_disk_fails_publishers_are_told_at_once(bench: Bench, disk: HandStore) -> None:
    disk.fault = "read_only"
    with pytest.raises(StoreUnavailable):
        bench.manager.broadcast_to_patient(1, {"severity": "critical"})
    assert int(bench.manager.broadcast_to_all({"type": "ecg_data"})) == 0


async def test_a_fault_in_delivering_is_told_and_holds_up_nobody(
    bench: Bench, disk: HandStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (bench.manager.broadcast_to_patient(1, {"n": number}) for number in range(2))
    with monkeypatch.context() as broken:
        broken.setattr(bench.manager.history, "keep", None)
        disk.commit(1)
    disk.commit()
    with pytest.raises(ServerError) as caught:
        await first
    assert caught.value.kind is INTERNAL_ERROR
    assert int(await second) == 0


def test_a_key_is_stored_with_its_message(bench: Bench, disk: HandStore) -> None:
    engine = bench.manager.broadcasts
    engine.publish(Topic("patient", "1"), PublishedMessage({}, topic=Topic("patient", "1")), key=mark())
    assert disk.keys == {b"i" * 32: mark()}


async def test_gather_awaits_a_ward_of_pending_reports(bench: Bench, disk: HandStore) -> None:
    reports = [bench.manager.broadcast_to_patient(patient, {"n": 1}) for patient in range(1, 6)]
    waiting = asyncio.ensure_future(asyncio.gather(*reports))
    await asyncio.sleep(0)
    disk.commit()
    assert [report.seq for report in await waiting] == [1, 2, 3, 4, 5]


def test_other_threads_are_answered_after_the_commit(bench: Bench, disk: HandStore) -> None:
    good = bench.manager.publish_threadsafe("patient:1", {"n": 1})
    bad = bench.manager.publish_threadsafe("patient:1", {"n": 2})
    bench.loop.run()
    assert not good.done()
    disk.commit(1)
    assert good.result(0).seq == 1
    disk.refuse()
    with pytest.raises(StoreUnavailable):
        bad.result(0)


# -- the order of one connection's commands


async def publisher(bench: Workbench) -> Any:
    return await bench.client("u1", "service", patients="*")


async def workbench(**sections: Any) -> tuple[Workbench, HandStore]:
    bench = await Workbench(store={"volatile_types": ("ecg_data",)}, **sections).start()
    return bench, on_hand(bench)


def broadcast(n: int, **message: Any) -> dict[str, Any]:
    return {
        "type": "broadcast", "target_type": "patient", "target_id": "1", "request_id": str(n),
        "message": {"n": n, **message},
    }  # fmt: skip


def answers(frames: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["type"], one.get("request_id", "")) for one in frames]


async def test_a_client_is_answered_after_the_commit_and_in_order() -> None:
    bench, disk = await workbench()
    client = await publisher(bench)
    for number in range(3):
        assert await bench.ask(client, **broadcast(number)) == []
    # All three wait for the same commit.
    assert len(disk.waiting) == 3
    assert await bench.ask(client, type="ping", request_id="ping") == []
    disk.commit(2)
    await bench.settle()
    assert answers(client.take()) == [("broadcast_ack", "0"), ("broadcast_ack", "1")]
    disk.commit()
    await bench.settle()
    assert answers(client.take()) == [("broadcast_ack", "2"), ("pong", "ping")]
    assert answers(await bench.ask(client, type="ping", request_id="2")) == [("pong", "2")]


async def test_a_volatile_broadcast_does_not_overtake_a_durable_one() -> None:
    bench, disk = await workbench()
    client, watcher = await publisher(bench), await bench.client("u2", "doctor", patients="*")
    await bench.ask(watcher, type="subscribe", topic="patient:1")
    await bench.ask(client, **broadcast(1))
    await bench.ask(client, **broadcast(2, type="ecg_data"))
    await bench.ask(client, **broadcast(3))
    assert watcher.take() == []
    assert len(disk.waiting) == 1
    disk.commit()
    await bench.settle()
    disk.commit()
    await bench.settle()
    assert [one["n"] for one in watcher.take()] == [1, 2, 3]
    assert answers(client.take()) == [("broadcast_ack", str(number)) for number in (1, 2, 3)]


async def test_refusals_keep_the_order_as_well() -> None:
    bench, disk = await workbench()
    client = await publisher(bench)
    await bench.ask(client, **broadcast(1))
    await bench.ask(client, **broadcast(2, _meta=1))
    disk.fault = "disk_full"
    await bench.ask(client, **broadcast(3))
    disk.fault = None
    await bench.ask(client, type="nonsense", request_id="4")
    assert client.take() == []
    disk.commit()
    await bench.settle()
    told = client.take()
    assert answers(told) == [("broadcast_ack", "1"), ("error", "2"), ("error", "3"), ("error", "4")]
    assert told[2]["details"] == {"reason": "store", "store": "disk_full"}


async def test_a_broadcast_that_cannot_be_stored_is_an_error_and_what_waits_goes_on() -> None:
    bench, disk = await workbench()
    client = await publisher(bench)
    await bench.ask(client, **broadcast(1))
    await bench.ask(client, type="ping", request_id="2")
    disk.refuse()
    await bench.settle()
    told = client.take()
    assert answers(told) == [("error", "1"), ("pong", "2")]
    assert told[0]["code"] == 1005


async def test_a_client_that_left_while_its_broadcast_was_stored_is_not_answered() -> None:
    bench, disk = await workbench()
    client = await publisher(bench)
    await bench.ask(client, **broadcast(1))
    await bench.ask(client, type="ping")
    bench.manager.disconnect(bench.owner(client).connection_id)
    disk.commit()
    await bench.settle()
    assert bench.manager.broadcasts.logs.durable.head == 1


async def test_a_client_is_not_read_while_its_commands_wait() -> None:
    bench, disk = await workbench()
    client = await publisher(bench)
    await bench.ask(client, **broadcast(1))
    assert client.connection is not None
    assert not client.connection.is_paused
    await bench.ask(client, type="ping")
    assert client.connection.is_paused
    disk.commit()
    await bench.settle()
    assert not client.connection.is_paused
