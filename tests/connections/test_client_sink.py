"""What the core reads, sorted by who is speaking."""

import pytest
from far_end import PING, PONG, TEXT, FarEnd
from workbench import Workbench, assert_nothing_left

from wsserver_core.buckets import MESSAGES


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench(rate_limit={"messages_per_second": 10.0, "burst": 20}).start()


@pytest.fixture
async def doctor(bench: Workbench) -> FarEnd:
    far_end = await bench.client()
    bench.pass_time(10)
    far_end.take()
    return far_end


async def test_messages_over_the_rate_are_dropped_one_by_one_with_1010(
    bench: Workbench, doctor: FarEnd
) -> None:
    for number in range(25):
        doctor.send(type="ping", t=number)
    await bench.settle()
    answers = doctor.take()
    assert [one["t"] for one in answers if one["type"] == "pong"] == list(range(20))
    errors = [one for one in answers if one["type"] == "error"]
    # A tenth of a second for the token, and the tick by which the core's clock may be behind.
    assert [(one["code"], one["retry_after_ms"]) for one in errors] == [(1010, 350)] * 5
    bench.pass_time(0.5)
    doctor.send(type="ping")
    await bench.settle()
    assert doctor.take()[-1]["type"] == "pong"
    assert doctor.close_code is None


async def test_who_keeps_on_flooding_is_closed_with_4110(bench: Workbench, doctor: FarEnd) -> None:
    refusals = bench.manager.settings.rate_limit.refusals
    for _ in range(20 + refusals):
        doctor.send(type="ack", message_id="m")
    await bench.settle()
    assert doctor.close_code is None
    doctor.send(type="ack", message_id="m")
    await bench.settle()
    assert doctor.close_code == 4110
    last = doctor.take()[-1]
    assert (last["code"], last["retry_after_ms"]) == (1010, 5000)
    assert_nothing_left(bench.manager)


async def test_a_newcomer_that_floods_is_closed_at_once(bench: Workbench) -> None:
    bench.service.rates.connections.set(MESSAGES, 1.0, 1.0)
    far_end = bench.newcomer()
    for _ in range(2):
        far_end.send(type="ping")
    await bench.settle()
    assert [one["code"] for one in far_end.take()] == [1001, 1010]
    assert far_end.close_code == 4110


async def test_too_many_pings_end_the_connection_with_4110(bench: Workbench, doctor: FarEnd) -> None:
    for _ in range(51):
        doctor.send_raw(PING, b"")
    await bench.settle()
    assert doctor.close_code == 4110
    assert doctor.take()[-1]["code"] == 1010


async def test_an_oversized_message_is_dropped_with_its_size_and_the_connection_stays(
    bench: Workbench, doctor: FarEnd
) -> None:
    limit = bench.manager.settings.inbound.max_message_size
    doctor.send_raw(TEXT, b"x" * (limit + 1))
    await bench.settle()
    (answer,) = doctor.take()
    assert (answer["code"], answer["details"]) == (1004, {"size": limit + 1, "max_message_size": limit})
    assert doctor.close_code is None


async def test_a_newcomers_oversized_message_ends_it(bench: Workbench) -> None:
    far_end = bench.newcomer()
    far_end.send_raw(TEXT, b"x" * (16 * 1024 + 1))
    await bench.settle()
    assert (far_end.take()[0]["code"], far_end.close_code) == (1004, 4501)


async def test_a_pong_that_answers_our_ping_sets_the_round_trip(bench: Workbench, doctor: FarEnd) -> None:
    bench.pass_time(40)
    *_, payload = [payload for opcode, payload in doctor.frames if opcode == PING]
    stranger = bench.newcomer()
    stranger.send_raw(PONG, payload)
    doctor.send_raw(PONG, b"unasked")
    assert bench.owner(doctor).rtt is None
    asked_at = bench.clock.monotonic()
    bench.clock.advance(0.125)
    doctor.send_raw(PONG, payload)
    assert 0.125 <= bench.owner(doctor).rtt <= bench.clock.monotonic() - asked_at + 40


async def test_when_the_socket_is_gone_everything_of_the_connection_is(
    bench: Workbench, doctor: FarEnd
) -> None:
    await bench.ask(doctor, type="subscribe", topic="type:ecg")
    doctor.leave()
    bench.loop.run()
    assert_nothing_left(bench.manager)
    assert bench.left == 1
    assert bench.service.sink.closes == {1006: 1}


async def test_closes_are_counted_by_their_code_once_each(bench: Workbench, doctor: FarEnd) -> None:
    await bench.ask(doctor, type="disconnect")
    assert bench.service.sink.closes == {}
    doctor.send_raw(8, b"\x03\xe8")
    bench.loop.run()
    doctor.leave()
    bench.loop.run()
    assert bench.service.sink.closes == {1000: 1}
    assert bench.left == 1


async def test_a_closing_connection_is_not_listened_to(bench: Workbench, doctor: FarEnd) -> None:
    bench.manager.disconnect(bench.owner(doctor).connection_id)
    assert await bench.ask(doctor, type="ping") == []
