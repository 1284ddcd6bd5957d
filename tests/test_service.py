"""All parts together: expiry of tokens, start and stop."""

import asyncio
import logging

import pytest
from far_end import FarEnd
from workbench import Workbench, assert_nothing_left, settings_with

from wsserver.access.verification_key import KeyFault
from wsserver.connection_manager import ConnectionManager, connection_manager
from wsserver.service import Service
from wsserver.settings.roles import RoleSettings


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench().start()


def alive(bench: Workbench, far_end: FarEnd, seconds: float) -> None:
    """Let time pass for a client that answers pings."""
    for _ in range(round(seconds)):
        far_end.send_raw(10, b"")
        bench.pass_time(1)


# -- tokens


async def test_a_token_is_announced_to_expire_60_seconds_before_and_then_its_bearer_is_closed_with_4001(
    bench: Workbench,
) -> None:
    far_end = await bench.client(lifetime=300)
    alive(bench, far_end, 239)
    assert far_end.take() == []
    alive(bench, far_end, 1)
    assert far_end.take() == [{"type": "token_expiring", "expires_in": 60.0}]
    alive(bench, far_end, 59)
    assert far_end.take() == []
    assert far_end.close_code is None
    alive(bench, far_end, 1)
    (error,) = far_end.take()
    assert (error["code"], far_end.close_code) == (1001, 4001)
    assert not bench.manager.connections
    assert len(bench.service.expiries) == 0


async def test_a_short_token_is_announced_at_half_of_what_is_left(bench: Workbench) -> None:
    far_end = await bench.client(lifetime=20)
    bench.pass_time(9)
    assert far_end.take() == []
    bench.pass_time(1)
    assert far_end.take() == [{"type": "token_expiring", "expires_in": 10.0}]
    bench.pass_time(10)
    assert far_end.close_code == 4001


async def test_a_renewed_token_is_announced_and_ends_at_its_own_time(bench: Workbench) -> None:
    far_end = await bench.client(lifetime=100)
    alive(bench, far_end, 50)
    assert [one["type"] for one in far_end.take()] == ["token_expiring"]
    await bench.ask(far_end, type="auth", token=bench.token(lifetime=200))
    alive(bench, far_end, 139)
    assert far_end.take() == []
    alive(bench, far_end, 1)
    assert far_end.take() == [{"type": "token_expiring", "expires_in": 60.0}]
    alive(bench, far_end, 60)
    assert far_end.close_code == 4001


async def test_a_renewal_by_a_shorter_token_ends_sooner(bench: Workbench) -> None:
    far_end = await bench.client(lifetime=3600)
    await bench.ask(far_end, type="auth", token=bench.token(lifetime=20))
    bench.pass_time(20)
    assert [one["type"] for one in far_end.take()] == ["token_expiring", "error"]
    assert far_end.close_code == 4001


async def test_a_clock_set_back_delays_an_expiry_and_forgets_none(bench: Workbench) -> None:
    bench.clock.wall += 10**8
    bench.service.housekeeping.tick()
    bench.clock.wall -= 10**8
    far_end = await bench.client(lifetime=20)
    bench.pass_time(20)
    assert far_end.close_code == 4001


async def test_a_connection_that_no_token_stands_behind_never_expires(bench: Workbench) -> None:
    one, _ = bench.connect("u1")
    bench.service._look_after_token(bench.manager.connections[one])
    assert len(bench.service.expiries) == 0


async def test_a_connection_that_left_is_looked_for_and_no_more(bench: Workbench) -> None:
    far_end = await bench.client(lifetime=20)
    far_end.leave()
    bench.pass_time(30)
    assert len(bench.service.expiries) == 0


# -- chores


async def test_expired_subscriptions_are_cleaned_up_at_their_interval() -> None:
    bench = await Workbench(subscription={"timeout": 100.0, "cleanup_interval": 300.0}).start()
    one, websocket = bench.connect()
    assert bench.manager.subscribe(one, "ecg")
    bench.pass_time(299)
    assert len(bench.manager.subscription_manager) == 1
    bench.pass_time(1)
    assert len(bench.manager.subscription_manager) == 0
    assert websocket.take()[-1]["code"] == 1007


async def test_a_live_connection_keeps_its_subscriptions_by_its_heart_beat() -> None:
    bench = await Workbench(subscription={"timeout": 100.0, "cleanup_interval": 10.0}).start()
    far_end = await bench.client()
    await bench.ask(far_end, type="subscribe", topic="type:ecg")
    alive(bench, far_end, 250)
    assert len(bench.manager.subscription_manager) == 1
    assert far_end.take() == []


async def test_no_chore_fails_in_an_hour_of_everything(
    bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.connect("foreign")
    bench.newcomer()
    await bench.client("silent")
    with caplog.at_level(logging.WARNING):
        bench.pass_time(300)
        for _ in range(50):
            bench.pass_time(10)
            bench.clock.advance(56)
    assert caplog.records == []


# -- life


async def test_it_starts_serves_and_stops_on_the_running_loop_and_leaves_nothing() -> None:
    bench = Workbench()
    bench.manager.bind(None)
    service = Service(bench.manager.settings, manager=bench.manager)
    await service.start()
    assert service.running
    one, websocket = bench.connect()
    bench.manager.subscribe(one, "ecg")
    report = await asyncio.to_thread(
        lambda: bench.manager.publish_threadsafe("type:ecg", {"n": 1}).result(10)
    )
    assert report == 1
    await service.stop()
    await service.stop()
    assert not service.running
    assert [opcode for opcode, _ in websocket.frames] == [1, 8]
    assert (websocket.close_code, websocket.closed) == (1001, 1)
    assert_nothing_left(bench.manager)
    assert bench.manager.hub.open_count == 0


async def test_stopping_drops_sockets_that_do_not_answer(bench: Workbench) -> None:
    stubborn = await bench.client()
    stubborn.stuck = True
    asyncio.get_running_loop().call_soon(lambda: None)
    bench.manager.bind(asyncio.get_running_loop())
    stubborn._loop = asyncio.get_running_loop()
    await bench.service.stop()
    assert bench.manager.hub.open_count == 0
    assert_nothing_left(bench.manager)
    assert bench.left == 1


async def test_draining_sends_all_away(bench: Workbench) -> None:
    _, websocket = bench.connect()
    assert await bench.service.drain(0.0) == 1
    bench.loop.run()
    assert bench.service.draining
    assert websocket.types == ["system_shutdown"]
    assert websocket.close_code == 4020


async def test_draining_dismisses_those_who_have_not_said_who_they_are(bench: Workbench) -> None:
    newcomer = bench.newcomer()
    await bench.service.drain(0.0)
    bench.loop.run()
    assert (newcomer.take()[0]["code"], newcomer.close_code) == (1013, 4020)
    assert len(bench.service.admission) == 0


async def test_new_settings_hold_for_open_connections_as_well(bench: Workbench) -> None:
    far_end = await bench.client(patients=["1"])
    await bench.ask(far_end, type="subscribe", topic="type:ecg")
    roles = {"doctor": RoleSettings(subscribe=("patient",))}
    await bench.service.reconfigure(
        settings_with(
            access={"roles": roles},
            inbound={"max_message_size": 200},
            connection={"heartbeat_interval": 5.0, "timeout": 20.0},
        )
    )
    bench.loop.run()
    assert [one["code"] for one in far_end.take()] == [1011]
    assert len(bench.manager.subscription_manager) == 0
    assert [one["code"] for one in await bench.ask(far_end, type="ping", t="x" * 64, x="y" * 200)] == [1004]
    health = bench.service.health
    assert (health.interval, health.timeout) == (5.0, 20.0)


async def test_settings_with_keys_that_cannot_be_used_change_nothing(bench: Workbench) -> None:
    before = bench.service.settings
    with pytest.raises(KeyFault):
        await bench.service.reconfigure(settings_with(auth={"secret": "short"}))
    assert bench.service.settings is before
    await bench.client()


def test_the_manager_gets_the_settings_and_is_the_default_one_unless_given() -> None:
    settings = settings_with(connection={"max_connections": 7})
    manager = ConnectionManager()
    service = Service(settings, manager=manager)
    assert service.manager.limits.max_connections == 7
    assert service.clock is manager.clock
    try:
        assert Service(settings_with()).manager is connection_manager
    finally:
        connection_manager.configure(settings_with())


async def test_renewing_over_and_over_leaves_no_trail(bench: Workbench) -> None:
    far_end = await bench.client(lifetime=86_400)
    for _ in range(1100):
        bench.service._look_after_token(next(iter(bench.manager.connections.values())))
    assert len(bench.service.expiries) < 1100
    far_end.leave()
    bench.pass_time(1)
