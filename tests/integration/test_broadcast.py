"""From a publisher to everybody who should have it, once, in order, with a report that adds up."""

import asyncio
import json
import threading
from typing import Any

import pytest
from live_server import LiveServer, until

from wsserver.errors import ServerError
from wsserver.settings import RoleSettings

REPORT = {
    "message_id", "topic", "log", "seq", "durability", "duplicate", "considered", "filtered", "denied",
    "matched", "delivered", "refused",
}  # fmt: skip


def adds_up(report: dict[str, Any]) -> bool:
    return report["matched"] == report["delivered"] + sum(report["refused"].values())


async def test_the_specifications_ecg_example_arrives(server: LiveServer) -> None:
    client = await server.enter("doc", "doctor", patients=["123"])
    await client.ask(
        "subscribe", subscription_type="patient", target_id="123",
        filters={"data_type": "ecg", "severity": ["normal", "warning", "critical"]},
    )  # fmt: skip
    message = {"type": "ecg_data", "patient_id": 123, "data": [1.2, 1.5, 1.8], "sampling_rate": 500}
    report = await server.manager.broadcast_to_patient(123, message)
    assert report == 1
    (got,) = await client.published()
    meta = got.pop("_meta")
    assert got == message
    assert meta["topic"] == "patient:123"


@pytest.mark.parametrize(
    ("door", "topic"),
    [("patient/1", "patient:1"), ("type/ecg", "ecg:*"), ("type/patient", "patient:*"), ("all", "*")],
)
async def test_the_report_of_each_rest_door_has_exactly_these_members(
    server: LiveServer, door: str, topic: str
) -> None:
    client = await server.enter("d", "doctor", "patient:1", "type:ecg", "*", "patient:*")
    report = await server.publish(door, {"type": "note", "text": "ä\u2028\U0001f600"})
    assert set(report) == REPORT
    assert (report["topic"], report["seq"], report["durability"], report["duplicate"]) == (
        topic,
        1,
        "memory",
        False,
    )
    assert (report["matched"], report["delivered"], report["refused"]) == (1, 1, {})
    assert adds_up(report)
    assert report["considered"] >= 1
    assert (report["filtered"], report["denied"]) == (0, 0)
    (got,) = await client.published()
    meta = got.pop("_meta")
    assert got == {"type": "note", "text": "ä\u2028\U0001f600"}
    assert set(meta) == {"id", "topic", "log", "seq", "ts"}
    assert (meta["id"], meta["topic"], meta["log"], meta["seq"]) == (
        report["message_id"], topic, report["log"], 1,
    )  # fmt: skip


async def test_considered_is_matching_and_filtered_and_denied(server: LiveServer) -> None:
    await server.enter("a", "doctor", "patient:1", "patient:*", "*")
    picky = await server.enter("b", "doctor")
    await picky.ask("subscribe", topic="patient:1", filters={"severity": "critical"})
    await server.enter("n", "nurse", "patient:*", patients=["2"])
    await server.enter("c", "doctor", "patient:2", "type:ecg")
    report = await server.publish("patient/1", {"n": 1})
    assert {name: report[name] for name in ("considered", "filtered", "denied", "matched", "delivered")} == {
        "considered": 5, "filtered": 1, "denied": 1, "matched": 1, "delivered": 1,
    }  # fmt: skip


async def test_one_copy_however_many_subscriptions_match(server: LiveServer) -> None:
    client = await server.enter("a", "doctor", "patient:1", "patient:*", "*", "type:ecg", "ecg:bed")
    await server.publish("patient/1", {"n": 1})
    await server.publish("type/ecg", {"n": 2})
    await server.publish("all", {"n": 3})
    assert [message["n"] for message in await client.published()] == [1, 2, 3]


async def test_two_connections_of_one_user_get_a_copy_each(server: LiveServer) -> None:
    one, two = await server.enter("a", "doctor", "patient:1"), await server.enter("a", "doctor", "patient:1")
    assert (await server.publish("patient/1", {"n": 1}))["delivered"] == 2
    assert len(await one.published()) == len(await two.published()) == 1


async def test_a_type_reaches_every_target_of_it_and_one_target_only_its_own(server: LiveServer) -> None:
    whole = await server.enter("a", "doctor", "type:ecg")
    bed = await server.enter("b", "doctor", "ecg:bed-4")
    patient = await server.enter("c", "doctor", "patient:1")
    assert await server.manager.broadcast_to_type("ecg", {"n": 1}) == 2
    assert await server.manager.broadcast_to_type("ecg", {"n": 2}, target_id="bed-4") == 2
    assert await server.manager.broadcast_to_type("ecg", {"n": 3}, target_id="bed-5") == 1
    assert [message["n"] for message in await whole.published()] == [1, 2, 3]
    assert [message["n"] for message in await bed.published()] == [1, 2]
    assert await patient.published() == []


async def test_a_patients_message_does_not_reach_type_subscribers(server: LiveServer) -> None:
    client = await server.enter("a", "doctor", "type:ecg", "type:ecg_data")
    report = await server.publish("patient/1", {"type": "ecg_data"})
    assert (report["considered"], report["delivered"]) == (0, 0)
    assert await client.published() == []


async def test_in_process_calls_work_with_and_without_await(server: LiveServer) -> None:
    client = await server.enter("a", "doctor", "patient:1")
    manager = server.manager
    manager.broadcast_to_patient(1, {"n": 1})
    await manager.broadcast_to_patient("1", {"n": 2})
    manager.broadcast_to_all({"n": 3})
    await manager.broadcast_to_subscribers({"patient_id": 1, "n": 4})
    (connection_id,) = manager.connections
    await manager.send_message(connection_id, {"n": 5})
    manager.send_message_batch()
    assert [message["n"] for message in await client.published()] == [1, 2, 3, 4, 5]
    assert await manager.send_message("c_unknown", {"n": 6}) == 0


async def test_the_backend_in_this_process_may_announce_a_shutdown_and_others_may_not(
    server: LiveServer,
) -> None:
    client = await server.enter()
    await server.manager.broadcast_to_all({"type": "system_shutdown", "message": "at noon"})
    (got,) = await client.published()
    assert (got["type"], got["message"]) == ("system_shutdown", "at noon")
    for kind in ("error", "connected", "gap", "subscribe", "pong"):
        with pytest.raises(ServerError):
            server.manager.broadcast_to_all({"type": kind})


async def test_other_threads_publish_in_their_own_order(server: LiveServer) -> None:
    client = await server.enter("a", "doctor", "patient:1")
    outcomes: list[Any] = []

    def work(name: str) -> None:
        for number in range(50):
            future = server.manager.publish_threadsafe("patient:1", {"from": name, "n": number})
            outcomes.append(future.result(10).delivered)

    threads = [threading.Thread(target=work, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    await until(lambda: len(outcomes) == 150)
    for thread in threads:
        thread.join()
    assert outcomes == [1] * 150
    got = await client.published()
    for name in "xyz":
        assert [message["n"] for message in got if message["from"] == name] == list(range(50))
    seqs = [message["_meta"]["seq"] for message in got]
    assert seqs == sorted(set(seqs))


async def test_a_thread_gets_the_error_of_its_own_message(server: LiveServer) -> None:
    with pytest.raises(ServerError):
        server.manager.publish_threadsafe("patient:", {})
    future = server.manager.publish_threadsafe("patient:1", {"type": "error"})
    with pytest.raises(ServerError):
        await asyncio.wrap_future(future)


async def test_fifty_clients_get_everything_exactly_once_and_in_order(server: LiveServer) -> None:
    clients = [await server.enter(f"u{number}", "doctor", "patient:1") for number in range(50)]

    async def over_rest(start: int) -> None:
        for number in range(start, start + 20):
            assert (await server.publish("patient/1", {"n": number}))["delivered"] == 50

    async def in_process(start: int) -> None:
        for number in range(start, start + 100):
            assert await server.manager.broadcast_to_patient(1, {"n": number}) == 50
            if number % 16 == 0:
                await asyncio.sleep(0)

    await asyncio.gather(over_rest(0), in_process(100), over_rest(50))
    expected: list[int] | None = None
    for client in clients:
        got = await client.published()
        numbers = [message["n"] for message in got]
        assert sorted(numbers) == [*range(20), *range(50, 70), *range(100, 200)]
        for low, high in ((0, 20), (50, 70), (100, 200)):
            assert [number for number in numbers if low <= number < high] == list(range(low, high))
        assert [message["_meta"]["seq"] for message in got] == list(range(1, 141))
        expected = expected or numbers
        assert numbers == expected


async def test_what_became_of_a_message_is_accounted_for(server: LiveServer) -> None:
    clients = [await server.enter(f"u{number}", "doctor", "patient:1") for number in range(3)]
    report = await server.manager.broadcast_to_patient(1, {"n": 1})
    outcome = report.outcome()
    assert outcome["queued"] + outcome["written"] + sum(outcome["dropped"].values()) == 3
    for client in clients:
        assert len(await client.published()) == 1
    assert report.outcome() == {
        "written": 3, "queued": 0,
        "dropped": {"slow": 0, "conflated": 0, "expired": 0, "closed": 0, "shutdown": 0},
    }  # fmt: skip


async def test_values_arrive_as_they_were_published(server: LiveServer) -> None:
    client = await server.enter("a", "doctor", "patient:1")
    values = {
        "int": 2**53, "neg": -(2**53), "zero": -0.0, "small": 5e-324, "big": 1.7976931348623157e308,
        "tenth": 0.1, "true": True, "null": None, "empty": {}, "list": [],
        "text": "\x00\x7f\u2028\U0010ffff\"\\/", "": "nameless", "_meta2": 1, "nested": [[[{"a": [1, 2.5,
        "x"]}]]],
    }  # fmt: skip
    await server.publish("patient/1", values)
    await server.manager.broadcast_to_patient(1, values)
    for got in await client.published():
        del got["_meta"]
        assert got == values
        assert json.dumps(got) == json.dumps(values)


# -- over the socket

PUBLISHER = {
    "device": RoleSettings(
        subscribe=("*",),
        wildcard=True,
        publish=("patient", "type", "all"),
        publish_types=("note", "ecg_data"),
    ),
    "doctor": RoleSettings(subscribe=("*",), wildcard=True),
}


async def test_a_client_that_may_broadcasts_and_is_told_the_report(start_server) -> None:
    server = await start_server(access={"roles": PUBLISHER})
    reader = await server.enter("d", "doctor", "patient:1")
    device = await server.enter("dev1", "device", "patient:1")
    message = {"type": "note", "text": "x", "sender": "somebody-else"}
    ack = await device.ask("broadcast", target_type="patient", target_id=1, message=message)
    assert ack["type"] == "broadcast_ack"
    assert set(ack) == REPORT | {"type", "request_id"}
    assert (ack["topic"], ack["delivered"], ack["matched"]) == ("patient:1", 1, 1)
    (got,) = await reader.published()
    assert (got["_meta"]["id"], got["sender"], got["text"]) == (ack["message_id"], "dev1", "x")
    assert await device.published() == []
    ack = await device.ask("broadcast", target_type="patient", target_id="1", message=message, echo=True)
    assert (ack["delivered"], len(device.waiting)) == (2, 1)


@pytest.mark.parametrize(
    ("target", "topic"),
    [
        ({"target_type": "all"}, "*"),
        ({"target_type": "*"}, "*"),
        ({"target_type": "ecg"}, "ecg:*"),
        ({"target_type": "type", "target_id": "ecg"}, "ecg:*"),
        ({"target_type": "ecg", "target_id": "bed"}, "ecg:bed"),
        ({"target_type": "patient", "target_id": "1"}, "patient:1"),
    ],
)
async def test_every_target_of_a_clients_broadcast(start_server, target: dict[str, Any], topic: str) -> None:
    server = await start_server(access={"roles": PUBLISHER})
    device = await server.enter("dev1", "device", "patient:1", "type:ecg")
    ack = await device.ask("broadcast", message={"type": "note"}, echo=True, **target)
    assert (ack.get("topic"), ack.get("delivered")) == (topic, 1)


@pytest.mark.parametrize(
    "broadcast",
    [
        {"target_type": "patient", "message": {"type": "note"}},
        {"target_type": "patient", "target_id": "a b", "message": {"type": "note"}},
        {"target_type": "type", "message": {"type": "note"}},
        {"target_type": "type", "target_id": "patient", "message": {"type": "note"}},
        {"target_type": "all", "target_id": "1", "message": {"type": "note"}},
        {"target_type": "all", "message": []},
        {"target_type": "all"},
        {"target_type": "patient", "target_id": "1", "message": {"type": "note", "patient_id": 2}},
        {"target_type": "all", "message": {"type": "note", "_meta": {}}},
        {"target_type": "all", "message": {"type": "note", "n": 2**60}},
    ],
)
async def test_a_clients_broadcast_that_means_nothing_is_1003(
    start_server, broadcast: dict[str, Any]
) -> None:
    server = await start_server(access={"roles": PUBLISHER})
    device = await server.enter("dev1", "device", "*")
    assert (await device.ask("broadcast", **broadcast))["code"] == 1003
    assert await device.published() == []


async def test_a_message_for_nobody_is_no_error(server: LiveServer) -> None:
    report = await server.publish("patient/404", {"n": 1})
    assert (report["considered"], report["matched"], report["delivered"]) == (0, 0, 0)
