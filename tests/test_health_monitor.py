"""Pings spread over the interval, and the end of the silent."""

import struct
from itertools import pairwise
from typing import Any

import pytest
from fake_clock import FakeClock
from far_end import PING, FarEnd
from workbench import Workbench

from wsserver.health_monitor import HealthMonitor

INTERVAL, TIMEOUT = 30.0, 90.0


class Sweeps:
    """A hub that notes how it is swept."""

    def __init__(self, top: int) -> None:
        self.top = top
        self.calls: list[tuple[int, int, float]] = []
        self.stale: list[Any] = []

    def sweep(self, start: int, count: int, stale_before: float, ping: object) -> tuple[int, list[Any]]:
        assert ping is not None
        self.calls.append((start, count, stale_before))
        stale, self.stale = self.stale, []
        return (start + count) % self.top, stale


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def monitor(hub: Sweeps, clock: FakeClock, interval: float = INTERVAL) -> tuple[HealthMonitor, list[Any]]:
    ended: list[Any] = []
    return HealthMonitor(hub, clock, interval=interval, timeout=TIMEOUT, stale=ended.append), ended


def run(health: HealthMonitor, clock: FakeClock, seconds: float, step: float = 0.25) -> None:
    for _ in range(round(seconds / step)):
        clock.advance(step)
        health.tick()


@pytest.mark.parametrize("top", [1, 7, 100, 10_000])
def test_everybody_is_pinged_once_per_interval_and_never_all_at_once(clock: FakeClock, top: int) -> None:
    hub = Sweeps(top)
    health, _ = monitor(hub, clock)
    health.tick()
    run(health, clock, 10 * INTERVAL)
    counts = [count for _, count, _ in hub.calls]
    assert abs(sum(counts) - 10 * top) <= 1
    assert max(counts) <= max(1, top / 100)


def test_one_slot_is_due_again_a_whole_interval_later(clock: FakeClock) -> None:
    hub = Sweeps(1)
    health, _ = monitor(hub, clock)
    moments = []
    health.tick()
    for _ in range(400):
        before = len(hub.calls)
        run(health, clock, 0.25)
        if len(hub.calls) > before:
            moments.append(clock.monotonic())
    gaps = {after - before for before, after in pairwise(moments)}
    assert gaps == {INTERVAL}


def test_silence_is_judged_only_after_a_whole_timeout_of_listening(clock: FakeClock) -> None:
    hub = Sweeps(100)
    health, _ = monitor(hub, clock)
    health.tick()
    run(health, clock, TIMEOUT)
    assert hub.calls[-1][2] == clock.monotonic() - TIMEOUT


def test_after_an_absence_of_our_own_nobody_is_silent_until_a_timeout_has_passed(clock: FakeClock) -> None:
    hub = Sweeps(100)
    health, _ = monitor(hub, clock)
    run(health, clock, 2 * TIMEOUT)
    hub.calls.clear()
    clock.advance(INTERVAL / 2 + 1)
    health.tick()
    run(health, clock, TIMEOUT - 1)
    assert hub.calls
    assert {stale_before for _, _, stale_before in hub.calls} == {-1.0}
    run(health, clock, 2)
    assert hub.calls[-1][2] > 0


def test_a_stall_owes_nobody_a_storm_of_pings(clock: FakeClock) -> None:
    hub = Sweeps(1000)
    health, _ = monitor(hub, clock)
    run(health, clock, INTERVAL)
    hub.calls.clear()
    clock.advance(3600)
    run(health, clock, 1)
    assert sum(count for _, count, _ in hub.calls) <= 1000 * 1.25 / INTERVAL + 4


def test_a_short_interval_is_no_reason_to_take_each_tick_for_a_stall(clock: FakeClock) -> None:
    hub = Sweeps(10)
    health, _ = monitor(hub, clock, interval=0.2)
    run(health, clock, 2 * TIMEOUT)
    assert sum(count for _, count, _ in hub.calls) >= 10 * 4 * TIMEOUT
    assert hub.calls[-1][2] == clock.monotonic() - TIMEOUT


def test_the_silent_are_handed_over_and_counted(clock: FakeClock) -> None:
    hub = Sweeps(4)
    health, ended = monitor(hub, clock)
    hub.stale = ["a", "b"]
    run(health, clock, INTERVAL)
    assert ended == ["a", "b"]
    assert health.closed == 2


def test_a_pong_tells_its_round_trip_if_it_answers_a_ping_of_ours(clock: FakeClock) -> None:
    health, _ = monitor(Sweeps(1), clock)
    sent = struct.pack("!d", clock.monotonic())
    clock.advance(0.125)
    assert health.round_trip(sent) == 0.125
    clock.advance(TIMEOUT)
    for payload in (
        sent,
        b"",
        b"x",
        struct.pack("!d", clock.monotonic() + 1),
        struct.pack("!d", float("nan")),
    ):
        assert health.round_trip(payload) is None


# -- with real connections


async def test_who_answers_pings_stays_and_who_is_silent_is_told_1006_and_closed_4006() -> None:
    bench = await Workbench().start()
    silent = await bench.client("u1")
    alive = await bench.client("u2")

    def answer(far_end: FarEnd, known: int) -> int:
        pings = [payload for opcode, payload in far_end.frames if opcode == PING]
        for payload in pings[known:]:
            far_end.send_raw(10, payload)
        return len(pings)

    known = 0
    for _ in range(130):
        bench.pass_time(1)
        known = answer(alive, known)
    assert 3 <= known <= 5
    assert alive.close_code is None
    assert bench.owner(alive).rtt is not None
    assert silent.close_code == 4006
    assert silent.take()[-1]["code"] == 1006
    assert [one.user_id for one in bench.manager.connections.values()] == ["u2"]


async def test_a_foreign_websocket_is_pinged_and_never_ended_for_silence() -> None:
    bench = await Workbench().start()
    one, websocket = bench.connect("u1")
    bench.pass_time(300)
    assert one in bench.manager.connections
    assert PING in [opcode for opcode, _ in websocket.frames]
