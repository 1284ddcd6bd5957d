"""When to ping, and when a line is dead: by timestamps, whenever somebody looks."""

import pytest
from hand_clock import HandClock

from wsserver.client.heartbeat import Heartbeat, Pulse


def looks(heartbeat: Heartbeat, clock: HandClock, seconds: float) -> list[tuple[float, Pulse]]:
    """Look whenever it wants to be looked at; what came of it, and when, from now on."""
    began, seen = clock.now, []
    while heartbeat.next_look <= began + seconds:
        clock.now = max(clock.now, heartbeat.next_look)
        pulse = heartbeat.look()
        seen.append((round(clock.now - began, 6), pulse))
        if pulse is Pulse.DEAD:
            break
    return seen


def beating(clock: HandClock, interval: float = 30, grace: float = 10, **more: float) -> Heartbeat:
    return Heartbeat(interval, grace, clock.monotonic, **more)


def test_the_first_ping_comes_early_and_then_one_each_interval() -> None:
    clock = HandClock()
    heartbeat = beating(clock, first=2)
    seen = []
    for _ in range(3):
        clock.now = heartbeat.next_look
        assert heartbeat.look() is Pulse.PING
        seen.append(clock.now - 1000)
        heartbeat.heard()
        heartbeat.next_look = heartbeat.next_look if heartbeat.next_look > clock.now else clock.now
        while heartbeat.next_look < seen[-1] + 1000 + 30:
            clock.now = heartbeat.next_look
            assert heartbeat.look() is Pulse.NOTHING
    assert seen == [2, 32, 62]


def test_silence_after_a_ping_is_death_when_grace_is_over() -> None:
    clock = HandClock()
    assert looks(beating(clock), clock, 100) == [(30, Pulse.PING), (40, Pulse.DEAD)]


def test_pings_in_between_do_not_put_death_off() -> None:
    clock = HandClock()
    seen = looks(beating(clock, interval=4, grace=10), clock, 100)
    assert seen[-1] == (14, Pulse.DEAD)
    assert [pulse for _, pulse in seen].count(Pulse.PING) == 3


def test_any_frame_is_life() -> None:
    clock = HandClock()
    heartbeat = beating(clock)
    clock.now = 1030.0
    assert heartbeat.look() is Pulse.PING
    clock.now = 1039.9
    heartbeat.heard()
    clock.now = heartbeat.next_look
    assert heartbeat.look() is Pulse.NOTHING
    assert heartbeat.next_look == 1060.0


def test_who_stood_still_asks_once_more_before_it_gives_up() -> None:
    clock = HandClock()
    heartbeat = beating(clock)
    clock.now = 1030.0
    assert heartbeat.look() is Pulse.PING
    clock.stand_still(3600)
    assert heartbeat.look() is Pulse.PING
    began = clock.now
    assert looks(heartbeat, clock, 100)[-1] == (10, Pulse.DEAD)
    assert clock.now == began + 10


def test_who_does_not_read_cannot_tell_silence_from_death() -> None:
    clock = HandClock()
    heartbeat = beating(clock)
    heartbeat.reading(False)
    seen = looks(heartbeat, clock, 500)
    assert {pulse for _, pulse in seen} <= {Pulse.PING, Pulse.NOTHING}
    assert [pulse for _, pulse in seen].count(Pulse.PING) == 16
    heartbeat.reading(True)
    resumed = clock.now
    assert looks(heartbeat, clock, 100)[-1][1] is Pulse.DEAD
    assert clock.now >= resumed + 10


def test_round_trips_are_summed_up() -> None:
    heartbeat = beating(HandClock())
    assert heartbeat.rtt is None
    for milliseconds in range(1, 101):
        heartbeat.round_trip(milliseconds / 1000)
    assert heartbeat.rtt == {"last": 0.1, "avg": pytest.approx(0.0685), "p95": 0.097}
