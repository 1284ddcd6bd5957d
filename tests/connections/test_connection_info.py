"""What is told of one connection, by a clock and sockets that are moved by hand."""

import msgspec
import pytest
from far_end import FarEnd
from workbench import Bench, Workbench

from wsserver.connections.connection_info import MAX_EVENTS, STATES, ConnectionInfo
from wsserver.errors import ConnectionNotFound
from wsserver.operators.masking import mask
from wsserver_core.connection import PAUSED_FOR_RATE


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench().start()


def info(bench: Bench, connection_id: str | None = None) -> ConnectionInfo:
    return bench.manager.get_connection_info(connection_id or next(iter(bench.manager.connections)))


async def test_a_row_says_who_it_is_and_what_went_over_its_socket(bench: Workbench) -> None:
    far_end = await bench.client("dr-4711", "doctor", patients=["p-1"])
    bench.pass_time(10)
    await bench.ask(far_end, type="subscribe", topic="patient:p-1")
    bench.owner(far_end).rtt = 0.0124
    bench.pass_time(2)
    row = bench.manager.inspector.row(bench.owner(far_end), str)
    figures = bench.manager.hub.connection_figures(bench.owner(far_end).handle)
    assert msgspec.to_builtins(row) == {
        "connection_id": bench.owner(far_end).connection_id,
        "user_id": "dr-4711",
        "role": "doctor",
        "patient_id": None,
        "address": None,
        "protocol": "wsserver.v1.json",
        "connected_at": "2027-01-15T08:00:00.000Z",
        "connected_seconds": 12.0,
        "idle_seconds": 2.0,
        "rtt_ms": 12.4,
        "subscriptions": 1,
        "messages_in": far_end.connection.messages_received if far_end.connection else 0,
        "bytes_in": far_end.connection.bytes_received if far_end.connection else 0,
        "messages_out": figures[0] if figures else 0,
        "bytes_out": len(far_end.data),
        "pending_messages": 0,
        "pending_bytes": 0,
        "dropped": 0,
        "state": "ok",
    }
    assert row.messages_in == 2
    assert row.bytes_in > 0


def test_a_row_is_shown_as_is_asked(bench: Workbench) -> None:
    one, _ = bench.connect("dr-4711", patient_id="p-0815")
    row = bench.manager.inspector.row(bench.metadata(one), mask)
    assert (row.user_id, row.patient_id, row.connection_id) == ("•••11", "•••15", one)


async def test_the_address_is_what_counts_it_at_the_door(bench: Workbench) -> None:
    class Place:
        address = "203.0.113.9"

        def __call__(self) -> None: ...

    far_end = await bench.client()
    bench.owner(far_end).leave = Place()
    assert info(bench).address == "203.0.113.9"


# -- states


async def test_a_state_says_the_worst(bench: Workbench) -> None:
    far_end = await bench.client(patients="*")
    metadata, hub = bench.owner(far_end), bench.manager.hub
    inspector = bench.manager.inspector
    assert inspector.state(metadata) == "ok"
    bench.pass_time(59)
    assert inspector.state(metadata) == "late"
    metadata.link.pause_reading(PAUSED_FOR_RATE)
    assert inspector.state(metadata) == "held_back"
    metadata.catch_up = object()
    assert inspector.state(metadata) == "catching_up"
    metadata.catch_up = None
    metadata.link.resume_reading(PAUSED_FOR_RATE)
    await bench.ask(far_end, type="subscribe", topic="type:ecg")
    assert inspector.state(metadata) == "ok"
    hub.block(metadata.handle)
    bench.manager.broadcast_to_type("ecg", {"n": 1})
    bench.pass_time(6)
    assert inspector.state(metadata) == "slow"
    metadata.link.close(1000)
    assert inspector.state(metadata) == "closing"
    assert set(STATES) == {"ok", "late", "held_back", "catching_up", "slow", "closing"}


# -- the whole


async def test_all_of_it_is_told_but_no_secret(bench: Workbench) -> None:
    far_end = bench.newcomer()
    token = bench.token("dr1", lifetime=100, patients=["1", "2"], token_id="t_1")
    far_end.send(type="connect", token=token, subscriptions=["patient:1"])
    await bench.settle()
    secret = far_end.take()[-1]["session_id"]
    await bench.ask(far_end, type="subscribe", topic="type:ecg", filters={"vitals.hr": {"$gt": 120}})
    bench.clock.advance(10)
    told = info(bench)
    assert msgspec.to_builtins(told.token) == {
        "token_id": "t_1", "expires_at": "2027-01-15T08:01:40.000Z", "expires_in": 90.0, "patients": 2,
    }  # fmt: skip
    assert msgspec.to_builtins(told.session) == {"kept": True, "ttl_seconds": 120.0, "resumed": False}
    subscribed = [
        (one.subscription_type, one.target_id, one.filters, one.idle_seconds) for one in told.subscribed
    ]
    assert subscribed == [
        ("patient", "1", {}, 10.0),
        ("ecg", "*", {"vitals.hr": {"$gt": 120}}, 10.0),
    ]
    assert [event["kind"] for event in told.events] == ["subscribed", "subscribed"]
    assert (told.slow, told.gaps, told.gaps_told, told.rights_changed_at) == (None, [], 0, None)
    assert (told.health.state, told.health.timeout_seconds, told.health.missed_pings) == ("healthy", 90.0, 0)
    text = msgspec.json.encode(told).decode()
    assert secret not in text
    assert token not in text


async def test_the_newest_events_are_told(bench: Workbench) -> None:
    far_end = await bench.client(patients="*")
    connection_id = bench.owner(far_end).connection_id
    for number in range(MAX_EVENTS + 10):
        bench.manager.subscribe(connection_id, "ecg", number)
    events = info(bench).events
    assert [one["target_id"] for one in events] == [str(number) for number in range(MAX_EVENTS + 9, 9, -1)]


async def test_losses_that_its_client_was_told_of_are_told(bench: Workbench) -> None:
    far_end = await bench.client(patients="*")
    await bench.ask(far_end, type="subscribe", topic="patient:1")
    metadata, hub = bench.owner(far_end), bench.manager.hub
    hub.block(metadata.handle)
    bench.manager.broadcast_to_patient(1, {"type": "vitals", "n": 0})
    bench.pass_time(6)
    for number in range(1, 4):
        bench.manager.broadcast_to_patient(1, {"type": "vitals", "n": number})
    slow = info(bench).slow
    assert slow is not None
    assert (slow.lost, slow.ending) == (info(bench).dropped, False)
    assert slow.lost >= 2
    assert 0 < slow.slow_seconds <= 1
    assert 0 <= slow.oldest_seconds <= 6.25
    hub.unblock(metadata.handle)
    bench.pass_time(1)
    told = info(bench)
    assert (told.slow, told.gaps_told) == (None, len(told.gaps))
    assert {gap.topic for gap in told.gaps} == {"patient:1"}
    assert sum(gap.count or 0 for gap in told.gaps) == told.dropped == slow.lost
    assert msgspec.to_builtins(told.gaps[0])["from"] == told.gaps[0].from_


async def test_what_a_client_that_came_back_was_told_is_told(bench: Workbench) -> None:
    far_end = bench.newcomer()
    far_end.send(type="connect", token=bench.token(patients="*"), subscriptions=["patient:1"])
    await bench.settle()
    connected = far_end.take()[-1]
    bench.manager.history.configure(msgspec.structs.replace(bench.manager.settings.history, size=0))
    far_end.leave()
    bench.manager.broadcast_to_patient(1, {"type": "vitals", "n": 0})
    again = bench.newcomer()
    session = {"id": connected["session_id"], "cursor": connected["cursor"]}
    again.send(type="connect", token=bench.token(patients="*"), session=session)
    await bench.settle()
    gaps = again.take()[-1]["session"]["gaps"]
    told = info(bench)
    assert told.session.resumed
    assert [(gap.log, gap.topic, gap.reason) for gap in told.gaps] == [
        (gap["log"], gap.get("topic"), gap["reason"]) for gap in reversed(gaps)
    ]
    assert gaps


async def test_rights_that_have_changed_and_commands_that_were_refused_are_told(bench: Workbench) -> None:
    far_end = await bench.client(patients=["1", "2"])
    far_end.send(type="subscribe", topic="nonsense::")
    await bench.settle()
    bench.clock.advance(5)
    metadata = bench.owner(far_end)
    bench.manager.replace_principal(metadata, bench.service.authenticator.without(metadata.principal, ["2"]))
    told = info(bench)
    assert told.rights_changed_at == "2027-01-15T08:00:05.000Z"
    assert told.token.patients == 1
    assert told.refused_commands == metadata.faults


def test_one_that_no_token_stands_behind_never_expires(bench: Workbench) -> None:
    one, _ = bench.connect("u1", patient_id="1")
    told = info(bench, one)
    assert (told.token.expires_at, told.token.expires_in, told.token.patients) == (None, None, 1)
    assert (told.messages_in, told.bytes_in, told.health.state) == (0, 0, "unmonitored")
    assert not told.session.kept


def test_an_unknown_one_is_not_found(bench: Workbench) -> None:
    with pytest.raises(ConnectionNotFound):
        bench.manager.get_connection_info("c_nobody")


async def test_looking_changes_nothing(bench: Workbench) -> None:
    far_end: FarEnd = await bench.client(patients="*")
    await bench.ask(far_end, type="subscribe", topic="patient:1")
    before = bench.manager.subscription_manager.history.total, bench.manager.hub.frames_queued
    assert info(bench) == info(bench)
    assert (bench.manager.subscription_manager.history.total, bench.manager.hub.frames_queued) == before
    assert far_end.take() == []
