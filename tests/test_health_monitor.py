"""Heartbeats of connections, and the end of those that have fallen silent."""

import secrets
from typing import Any

import msgspec
import pytest
from fake_clock import FakeClock
from far_end import PING, PONG, FarEnd
from workbench import Bench, Workbench, settings_with

import wsserver.health_monitor as module
from wsserver.connection_manager import ConnectionManager, connection_manager
from wsserver.errors import ConnectionNotFound
from wsserver.health_monitor import (
    HealthState,
    calculate_heartbeat_interval,
    get_adaptive_timeout,
    health_monitor,
)
from wsserver.lifecycle import graceful_shutdown
from wsserver_core.connection import PAUSED_FOR_RATE, Connection

INTERVAL, TIMEOUT = 30.0, 90.0


class Answering:
    """Clients that answer pings, each as the test lets them."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.known: dict[FarEnd, int] = {}

    def answer(self, far_end: FarEnd) -> int:
        """Answer what has come since the last time; returns how many pings there were in all."""
        pings = [payload for opcode, payload in far_end.frames if opcode == PING]
        for payload in pings[self.known.get(far_end, 0) :]:
            far_end.send_raw(PONG, payload)
        self.known[far_end] = len(pings)
        return len(pings)

    def pass_time(self, seconds: float, *far_ends: FarEnd, delay: float = 0.0) -> None:
        for _ in range(round(seconds / 0.25)):
            self.bench.pass_time(0.25)
            self.bench.clock.advance(delay)
            for one in far_ends:
                self.answer(one)


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench().start()


@pytest.fixture
def answering(bench: Workbench) -> Answering:
    return Answering(bench)


def state(bench: Workbench, far_end: FarEnd) -> HealthState:
    return bench.service.health.check_connection_health(bench.owner(far_end).connection_id).state


# -- pings and silence


async def test_who_answers_pings_stays_and_who_is_silent_is_told_1006_and_closed_4006(
    bench: Workbench, answering: Answering
) -> None:
    silent = await bench.client("u1")
    alive = await bench.client("u2")
    answering.pass_time(TIMEOUT - 0.25, alive)
    assert silent.close_code is None
    answering.pass_time(0.25, alive)
    assert silent.close_code == 4006
    assert silent.take()[-1]["code"] == 1006
    # The error comes before the close frame.
    assert [opcode for opcode, _ in silent.frames[-2:]] == [1, 8]
    assert [one.user_id for one in bench.manager.connections.values()] == ["u2"]
    assert not silent.is_closing()
    answering.pass_time(5.25, alive)
    assert silent.is_closing()
    answering.pass_time(20, alive)
    assert 2 <= answering.answer(alive) <= 5
    assert alive.close_code is None
    assert bench.owner(alive).rtt == 0.0
    metrics = bench.service.health.get_health_metrics()
    assert (metrics["timed_out"], metrics["healthy_connections"]) == (1, 1)


async def test_any_frame_keeps_a_connection(bench: Workbench) -> None:
    talker = await bench.client()
    for _ in range(10):
        bench.pass_time(TIMEOUT - 1)
        await bench.ask(talker, type="ping")
    assert talker.close_code is None
    assert state(bench, talker) is HealthState.HEALTHY


async def test_half_a_frame_is_a_sign_of_life(bench: Workbench) -> None:
    slow = await bench.client()
    bench.pass_time(TIMEOUT - 2)
    slow.feed(b"\x81")
    bench.pass_time(3)
    assert slow.close_code is None


async def test_nobody_is_ended_for_what_we_did_not_read(bench: Workbench) -> None:
    paused = await bench.client()
    connection = bench.owner(paused).link
    assert isinstance(connection, Connection)
    bench.pass_time(TIMEOUT - 1)
    connection.pause_reading(PAUSED_FOR_RATE)
    bench.pass_time(3 * TIMEOUT)
    assert paused.close_code is None
    connection.resume_reading(PAUSED_FOR_RATE)
    bench.pass_time(TIMEOUT - 1)
    assert paused.close_code is None
    bench.pass_time(1)
    assert paused.close_code == 4006


@pytest.mark.parametrize(
    ("ago", "ended_after"),
    [(0.0, 2 * TIMEOUT), (TIMEOUT - 0.1, 2 * TIMEOUT), (TIMEOUT, TIMEOUT), (None, TIMEOUT)],
)
async def test_who_reads_nothing_has_twice_the_time_while_its_kernel_answers(
    monkeypatch: pytest.MonkeyPatch, ago: float | None, ended_after: float
) -> None:
    bench = await Workbench(backpressure={"slow_timeout": 1000}).start()
    monkeypatch.setattr(module, "acknowledged_ago", lambda transport: ago)
    stuck, idle = await bench.client("u1"), await bench.client("u2")
    bench.manager.hub.block(bench.owner(stuck).handle)
    bench.pass_time(ended_after - 0.25)
    assert idle.close_code == (None if ended_after == TIMEOUT else 4006)
    assert len(bench.manager.connections) == 1 + (ended_after == TIMEOUT)
    # It is looked at once in an interval.
    bench.pass_time(INTERVAL)
    assert not bench.manager.connections
    assert bench.service.health.closed == 2


async def test_nobody_is_ended_because_we_stood_still(bench: Workbench) -> None:
    clients = [await bench.client(f"u{number}") for number in range(20)]
    bench.pass_time(TIMEOUT - 1)
    bench.clock.advance(120)
    bench.service.housekeeping.tick()
    assert {one.close_code for one in clients} == {None}
    # Now what had come meanwhile is read.
    for one in clients[:10]:
        one.send(type="ping")
    bench.pass_time(1)
    assert [one.close_code for one in clients] == [None] * 10 + [4006] * 10
    assert bench.service.health.get_health_metrics()["own_stalls"] == 1


async def test_short_timeouts_bear_short_stalls() -> None:
    bench = await Workbench(connection={"heartbeat_interval": 0.5, "timeout": 1.0}).start()
    answering = Answering(bench)
    client = await bench.client()
    for _ in range(50):
        answering.pass_time(0.5, client)
        # The ping has gone out and its pong cannot be read.
        bench.clock.advance(2.0)
        bench.service.housekeeping.tick()
        bench.loop.run()
    assert client.close_code is None


async def test_a_wall_clock_that_jumps_ends_nobody(bench: Workbench, answering: Answering) -> None:
    client = await bench.client(lifetime=600)
    answering.pass_time(10, client)
    for jump in (-3600, -10 * 365 * 86400):
        bench.clock.wall += jump
        answering.pass_time(TIMEOUT + 10, client)
        bench.clock.wall -= jump
    assert client.close_code is None
    assert bench.service.health.get_health_metrics()["own_stalls"] == 0
    # Forward beyond its token's life: that is no matter of silence.
    bench.clock.wall += 3600
    answering.pass_time(1, client)
    assert client.close_code == 4001


async def test_a_foreign_websocket_is_pinged_and_never_ended_for_silence(bench: Workbench) -> None:
    one, websocket = bench.connect("u1")
    bench.pass_time(300)
    assert one in bench.manager.connections
    assert PING in [opcode for opcode, _ in websocket.frames]
    health = bench.service.health
    assert health.check_connection_health(one).state is HealthState.UNMONITORED
    metrics = health.get_health_metrics()
    assert (metrics["healthy_connections"], metrics["unmonitored_connections"]) == (0, 1)
    assert metrics["heartbeat_success_rate"] is None


async def test_an_echo_socket_is_ended_for_silence_too(bench: Workbench) -> None:
    far_end = FarEnd(bench.loop)
    connection = Connection(bench.service.echo_inlet, bench.service.read_limits)
    connection.attach(far_end, -1)
    bench.service.health.watch(connection)
    assert bench.service.health.get_health_metrics()["healthy_connections"] == 0
    bench.pass_time(TIMEOUT)
    assert far_end.close_code == 4006


async def test_one_that_cannot_be_ended_does_not_save_the_others(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [await bench.client(f"u{number}") for number in range(3)]
    # In the middle: whichever way round they are ended, one comes after it.
    bad, send = bench.owner(clients[1]), bench.manager.disconnect

    def disconnect(connection_id: str, *args: Any, **more: Any) -> Any:
        if connection_id == bad.connection_id:
            raise RuntimeError("no")
        return send(connection_id, *args, **more)

    monkeypatch.setattr(bench.manager, "disconnect", disconnect)
    bench.pass_time(TIMEOUT)
    assert [one.close_code for one in clients] == [4006, None, 4006]


# -- who is monitored


async def test_monitoring_can_be_stopped_and_begun_again(bench: Workbench) -> None:
    client = await bench.client()
    connection_id, health = bench.owner(client).connection_id, bench.service.health
    assert health.stop_monitoring(connection_id)
    assert not health.stop_monitoring(connection_id)
    bench.pass_time(2 * TIMEOUT)
    assert client.close_code is None
    assert PING not in [opcode for opcode, _ in client.frames]
    assert state(bench, client) is HealthState.UNMONITORED
    client.send(type="ping")
    health.monitor_connection(connection_id)
    health.monitor_connection(connection_id)
    assert state(bench, client) is HealthState.HEALTHY
    bench.pass_time(TIMEOUT)
    assert client.close_code == 4006


async def test_the_unknown_are_told_apart(bench: Workbench) -> None:
    health = bench.service.health
    for call in (
        health.monitor_connection,
        health.check_connection_health,
        health.get_adaptive_timeout,
        lambda one: health.update_connection_metrics(one, 0.1),
    ):
        with pytest.raises(ConnectionNotFound):
            call("c_gone")
    assert not health.stop_monitoring("c_gone")
    assert health.handle_pong("c_gone") is None


async def test_an_ended_connection_is_not_monitored_any_more(bench: Workbench) -> None:
    leaving, lost = await bench.client("u1"), await bench.client("u2")
    bench.manager.disconnect(bench.owner(leaving).connection_id)
    lost.leave()
    bench.loop.run()
    assert bench.service.health.get_health_metrics()["healthy_connections"] == 0


async def test_after_shutdown_nobody_is_monitored_but_whoever_comes_later(bench: Workbench) -> None:
    client = await bench.client("u1")
    await bench.service.health.shutdown()
    bench.pass_time(2 * TIMEOUT)
    assert client.close_code is None
    later = await bench.client("u2")
    assert state(bench, later) is HealthState.HEALTHY


async def test_a_graceful_shutdown_ends_monitoring() -> None:
    bench = Bench()
    bench.connect()
    await graceful_shutdown(bench.manager, 0.0)
    assert bench.manager.health_monitor.get_health_metrics()["unmonitored_connections"] == 0


# -- round trips


async def test_a_pong_by_hand_answers_the_newest_ping(bench: Workbench) -> None:
    one, websocket = bench.connect("u1")
    health = bench.service.health
    assert health.handle_pong(one) is None
    while not websocket.frames:
        bench.pass_time(0.25)
    bench.clock.advance(0.5)
    assert health.handle_pong(one) == 0.5
    assert health.handle_pong(one) is None
    assert bench.manager.connections[one].rtt == 0.5


@pytest.mark.parametrize("payload", [b"", b"x", b"12345678", b"\0" * 8, b"\xff" * 8])
async def test_a_made_up_pong_tells_nothing(bench: Workbench, payload: bytes) -> None:
    client = await bench.client()
    bench.pass_time(INTERVAL)
    assert bench.service.health.handle_pong(bench.owner(client).connection_id, payload) is None
    assert bench.owner(client).rtt is None


async def test_pings_cannot_be_guessed(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def randbits(bits: int) -> int:
        asked.append(bits)
        return 0x01020304

    monkeypatch.setattr(secrets, "randbits", randbits)
    client = await bench.client()
    bench.pass_time(INTERVAL)
    assert {payload[4:] for opcode, payload in client.frames if opcode == PING} == {b"\x01\x02\x03\x04"}
    assert set(asked) == {32}


async def test_a_slow_connection_has_twice_the_time(bench: Workbench) -> None:
    client = await bench.client()
    metadata, health = bench.owner(client), bench.service.health
    assert health.get_adaptive_timeout(metadata) == TIMEOUT
    health.update_connection_metrics(metadata.connection_id, 1.5)
    assert health.get_adaptive_timeout(metadata.connection_id) == 2 * TIMEOUT
    found = health.check_connection_health(metadata.connection_id)
    assert (found.timeout, found.rtt_ms, found.average_rtt_ms) == (2 * TIMEOUT, 1500.0, 1500.0)
    assert health.get_health_metrics()["extended_timeouts"] == 1
    bench.pass_time(2 * TIMEOUT - 1)
    assert client.close_code is None
    bench.pass_time(1)
    assert client.close_code == 4006


async def test_a_slow_network_is_noticed_by_its_pongs(bench: Workbench) -> None:
    client = await bench.client()
    metadata, health = bench.owner(client), bench.service.health
    for _ in range(3):
        known = len([1 for opcode, _ in client.frames if opcode == PING])
        while len(pings := [payload for opcode, payload in client.frames if opcode == PING]) == known:
            bench.pass_time(0.25)
        bench.pass_time(2.5)
        client.send_raw(PONG, pings[-1])
    assert metadata.rtt == 2.5
    assert health.get_adaptive_timeout(metadata) == 2 * TIMEOUT


@pytest.mark.parametrize("rtt", [-0.001, float("nan"), float("inf")])
async def test_a_round_trip_is_a_number_of_seconds(bench: Workbench, rtt: float) -> None:
    client = await bench.client()
    with pytest.raises(ValueError, match="finite"):
        bench.service.health.update_connection_metrics(bench.owner(client).connection_id, rtt)
    assert bench.owner(client).rtt is None


# -- figures


async def test_health_is_told_of_each_connection(bench: Workbench, answering: Answering) -> None:
    client, deaf = await bench.client("u1"), await bench.client("u2")
    answering.pass_time(80, client)
    assert state(bench, client) is HealthState.HEALTHY
    found = bench.service.health.check_connection_health(bench.owner(deaf).connection_id)
    assert found.state is HealthState.UNHEALTHY
    assert (found.silent_for, found.timeout) == (80.0, TIMEOUT)
    assert 1 <= found.missed <= 3
    assert (found.rtt_ms, found.average_rtt_ms) == (None, None)
    assert msgspec.json.decode(msgspec.json.encode(found))["state"] == "unhealthy"
    connection = bench.owner(deaf).link
    assert isinstance(connection, Connection)
    connection.pause_reading(PAUSED_FOR_RATE)
    answering.pass_time(20, client)
    assert state(bench, deaf) is HealthState.STALE
    connection.resume_reading(PAUSED_FOR_RATE)
    assert state(bench, deaf) is HealthState.HEALTHY


async def test_the_figures_add_up(bench: Workbench, answering: Answering) -> None:
    health = bench.service.health
    empty = health.get_health_metrics()
    assert (empty["avg_latency"], empty["heartbeat_success_rate"]) == (None, None)
    clients = [await bench.client(f"u{number}") for number in range(4)]
    answering.pass_time(80, *clients[:3])
    for one in clients[:2]:
        health.update_connection_metrics(bench.owner(one).connection_id, 0.0)
    health.update_connection_metrics(bench.owner(clients[2]).connection_id, 0.8)
    metrics = health.get_health_metrics()
    assert (metrics["healthy_connections"], metrics["unhealthy_connections"]) == (3, 1)
    assert metrics["avg_latency"] == pytest.approx(1000 * 0.1 / 3, abs=0.01)
    assert metrics["pings"] > metrics["pongs"] > 0
    assert metrics["pings"] - metrics["pongs"] - metrics["missed"] in range(2)
    assert 60 < metrics["heartbeat_success_rate"] <= 90


async def test_the_rate_of_success_is_of_late_and_not_since_the_start(
    bench: Workbench, answering: Answering
) -> None:
    client = await bench.client()
    answering.pass_time(20 * INTERVAL, client)
    assert bench.service.health.get_health_metrics()["heartbeat_success_rate"] == 100.0
    for _ in range(8):
        answering.pass_time(15)
        client.send(type="ping")
    assert bench.service.health.get_health_metrics()["heartbeat_success_rate"] == 0.0


# -- settings


async def test_new_settings_hold_for_open_connections(bench: Workbench) -> None:
    client = await bench.client()
    bench.pass_time(60)
    known = len([1 for opcode, _ in client.frames if opcode == PING])
    await bench.service.reconfigure(settings_with(connection={"heartbeat_interval": 2.0, "timeout": 10.0}))
    health = bench.service.health
    assert (health.interval, health.timeout) == (2.0, 10.0)
    bench.pass_time(9.75)
    assert client.close_code is None
    assert len([1 for opcode, _ in client.frames if opcode == PING]) >= known + 4
    bench.pass_time(0.25)
    assert client.close_code == 4006


# -- the names of the specification


def test_the_default_monitor_is_that_of_the_default_manager() -> None:
    assert health_monitor is connection_manager.health_monitor
    assert module.health_monitor is health_monitor
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = module.nonsense


def test_the_interval_varies_by_a_fifth() -> None:
    drawn = sorted(calculate_heartbeat_interval(30) for _ in range(2000))
    assert 24.0 <= drawn[0] < 24.2
    assert 35.8 < drawn[-1] <= 36.0
    assert 24.0 <= health_monitor.calculate_heartbeat_interval(30) <= 36.0


def test_the_adaptive_timeout_of_a_connection_of_the_default_server() -> None:
    with pytest.raises(ConnectionNotFound):
        get_adaptive_timeout("c_gone")
    other = ConnectionManager(clock=FakeClock())
    assert other.health_monitor is not health_monitor
