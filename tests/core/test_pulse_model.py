"""The timing wheel against a twin that looks at everybody at every tick."""

from dataclasses import dataclass
from math import ceil

import pytest
from clinic import TICK, Clinic, pings
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from recording_transport import RecordingTransport

from wsserver_core.connection import Connection

MASK = (1 << 64) - 1
SEED = 7


class Dice:
    """xorshift64*, from Vigna's paper."""

    def __init__(self) -> None:
        self.state = SEED

    def draw(self) -> float:
        x = self.state
        x ^= x >> 12
        x = (x ^ (x << 25)) & MASK
        x ^= x >> 27
        self.state = x
        return (((x * 0x2545F4914F6CDD1D) & MASK) >> 11) / (1 << 53)


@dataclass
class Patient:
    connection: Connection
    transport: RecordingTransport
    heard: float
    ping_due: int
    mortal: bool
    pings: int = 0
    suspect: bool = False
    again_at: int = 0
    rtt: float | None = None


def ticks(seconds: float) -> int:
    return max(1, min(ceil(seconds / TICK), 1 << 30))


class Twin:
    """The rules, one connection after the other, each at every tick. Without jitter."""

    def __init__(self, interval: float, timeout: float) -> None:
        self.dice = Dice()
        self.interval, self.timeout = interval, timeout
        self.patients: list[Patient] = []
        self.tick = 0
        self.now = self.ruled_since = 1000.0

    def first_ping(self) -> int:
        return self.tick + ticks(self.dice.draw() * self.interval)

    def advance(self, step: float) -> list[Connection]:
        self.now += step
        absent = step > 2 * TICK
        if absent:
            self.ruled_since = min(self.ruled_since + step - TICK, self.now)
            for one in self.patients:
                one.heard = min(one.heard + step - TICK, self.now)
            step = TICK
        silent = []
        target = self.tick + round(step / TICK)
        for _ in range(round(step / TICK)):
            self.tick += 1
            for one in self.patients:
                if self.tick < one.again_at:
                    continue
                limit = self.timeout * (2 if one.rtt is not None and one.rtt > 1 else 1)
                if one.mortal and self.now - max(one.heard, self.ruled_since) >= limit:
                    if absent and not one.suspect:
                        one.suspect = True
                        one.again_at = target + 1
                    else:
                        one.suspect = False
                        one.again_at = target + ticks(self.interval)
                        silent.append(one.connection)
                    continue
                one.suspect = False
                if self.tick >= one.ping_due:
                    self.dice.draw()
                    gap = min(self.interval, (self.interval + self.timeout) / 2)
                    one.ping_due = self.tick + ticks(gap - TICK / 2)
                    one.pings += 1
        return silent


class WheelAgainstItsTwin(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clinic = Clinic(interval=3.0, timeout=10.0, jitter=0.0, seed=SEED)
        self.twin = Twin(3.0, 10.0)

    @rule(mortal=st.booleans())
    def watch(self, mortal: bool) -> None:
        connection, transport = self.clinic.admit(mortal=mortal)
        self.twin.patients.append(
            Patient(connection, transport, self.twin.now, self.twin.first_ping(), mortal)
        )

    def choose(self, place: int) -> Patient:
        return self.twin.patients[place % len(self.twin.patients)]

    @precondition(lambda self: self.twin.patients)
    @rule(place=st.integers(0, 99))
    def hear(self, place: int) -> None:
        one = self.choose(place)
        self.clinic.say(one.connection)
        one.heard = self.twin.now

    @precondition(lambda self: self.twin.patients)
    @rule(place=st.integers(0, 99), rtt=st.sampled_from([0.125, 1.0, 20.0]))
    def measure(self, place: int, rtt: float) -> None:
        one = self.choose(place)
        # Whoever measures has heard something.
        self.hear(place)
        self.clinic.pulse.note_round_trip(one.connection.handle, rtt)
        one.rtt = self.clinic.pulse.figures(one.connection.handle)[2]

    @precondition(lambda self: self.twin.patients)
    @rule(place=st.integers(0, 99), how=st.sampled_from(["forget", "lose", "both"]))
    def leave(self, place: int, how: str) -> None:
        one = self.choose(place)
        if how != "lose":
            assert self.clinic.pulse.forget(one.connection.handle)
        if how != "forget":
            one.connection.connection_lost(None)
        self.twin.patients.remove(one)

    @rule(steps=st.integers(1, 50), length=st.sampled_from([TICK, 2 * TICK]))
    def pass_time(self, steps: int, length: float) -> None:
        for _ in range(steps):
            self.step(length)

    @rule(length=st.sampled_from([0.75, 2.0, 9.5, 30.0, 1e4]))
    def be_absent(self, length: float) -> None:
        self.step(length)

    @rule(interval=st.sampled_from([0.25, 3.0, 7.75, 400.0]), factor=st.sampled_from([1.25, 3.0, 50.0]))
    def configure(self, interval: float, factor: float) -> None:
        twin, timeout = self.twin, interval * factor
        changed = (interval, timeout) != (twin.interval, twin.timeout)
        self.clinic.pulse.configure(interval, timeout)
        if not changed:
            return
        twin.interval, twin.timeout, twin.ruled_since = interval, timeout, twin.now
        for one in sorted(twin.patients, key=lambda one: one.connection.handle & 0xFFFFFFFF):
            one.ping_due = twin.first_ping()
            one.again_at, one.suspect = 0, False

    def step(self, length: float) -> None:
        found = self.clinic.step(length)
        expected = self.twin.advance(length)
        assert sorted(one.handle for one in found) == sorted(one.handle for one in expected)
        for one in self.twin.patients:
            assert len(pings(one.transport)) == one.pings
            assert self.clinic.hub.last_received(one.connection.handle) == one.heard

    def teardown(self) -> None:
        self.clinic.run(1000)
        assert self.clinic.pulse.watched == len(self.twin.patients)


WheelAgainstItsTwin.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestWheelAgainstItsTwin = WheelAgainstItsTwin.TestCase


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_wheel_agrees_with_its_twin_over_many_long_stories() -> None:
    run_state_machine_as_test(
        WheelAgainstItsTwin, settings=settings(max_examples=1_000, stateful_step_count=80, deadline=None)
    )
