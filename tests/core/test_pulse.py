"""The timing wheel: who is pinged when, whose pong is believed, and who is handed over as silent."""

import struct
from itertools import pairwise

import pytest
from clinic import INTERVAL, TICK, TIMEOUT, Clinic, masked, pings


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


# -- pings


def test_the_bytes_of_a_ping_are_its_number_and_its_token(clinic: Clinic) -> None:
    _, transport = clinic.admit()
    clinic.token = 0xDEADBEE0
    clinic.run_until_pinged(transport)
    number = clinic.token - 0xDEADBEE0
    assert bytes(transport.sent) == b"\x89\x08" + struct.pack("!II", number, clinic.token)


def test_each_is_pinged_first_within_an_interval_and_then_every_interval_with_jitter() -> None:
    clinic = Clinic(timeout=1e6)
    patients = [clinic.admit()[1] for _ in range(300)]
    moments: list[list[float]] = [[] for _ in patients]
    for _ in range(round(20 * INTERVAL / TICK)):
        before = [len(one.sent) for one in patients]
        clinic.step()
        for place, one in enumerate(patients):
            if len(one.sent) > before[place]:
                moments[place].append(clinic.hub.now)
    firsts = sorted(times[0] - 1000.0 for times in moments)
    assert firsts[0] < INTERVAL / 20
    assert INTERVAL * 0.95 < firsts[-1] <= INTERVAL
    gaps = sorted(later - earlier for times in moments for earlier, later in pairwise(times))
    assert INTERVAL * 0.8 - TICK <= gaps[0] < INTERVAL * 0.81
    assert INTERVAL * 1.19 < gaps[-1] <= INTERVAL * 1.2 + TICK
    assert abs(sum(gaps) / len(gaps) - INTERVAL) < TICK


def test_pings_never_come_all_at_once() -> None:
    clinic = Clinic(timeout=1e6)
    for _ in range(2400):
        clinic.admit()
    worst = total = 0
    for _ in range(round(10 * INTERVAL / TICK)):
        before = clinic.pulse.pings
        clinic.step()
        worst, total = max(worst, clinic.pulse.pings - before), clinic.pulse.pings
    # 20 a tick on the average.
    assert abs(total - 24_000) < 1_300
    assert worst < 50


def test_those_of_one_tick_share_one_ping_and_each_tick_has_its_own() -> None:
    clinic = Clinic(interval=1.0)
    patients = [clinic.admit()[1] for _ in range(40)]
    clinic.step()
    first = {pings(one)[0] for one in patients if one.sent}
    assert len(first) == 1
    clinic.run(3)
    assert len({payload for one in patients for payload in pings(one)}) == 13


def test_an_interval_beyond_the_wheel_is_kept_as_well() -> None:
    clinic = Clinic(interval=1000.0, timeout=5000.0, jitter=0.0)
    _, transport = clinic.admit()
    clinic.run_until_pinged(transport)
    first = clinic.hub.now
    clinic.run_until_pinged(transport, 1)
    assert clinic.hub.now - first == 1000.0


def test_an_interval_of_less_than_a_tick_is_a_tick() -> None:
    clinic = Clinic(interval=0.01)
    _, transport = clinic.admit()
    clinic.run(5)
    assert len(pings(transport)) == 20


def test_an_interval_for_ever_is_never() -> None:
    clinic = Clinic(interval=1e15, timeout=1e18)
    _, transport = clinic.admit()
    assert clinic.run(600) == []
    assert pings(transport) == []


def test_even_with_an_interval_next_to_the_timeout_there_is_time_to_answer() -> None:
    clinic = Clinic(interval=80.0, timeout=90.0)
    connection, transport = clinic.admit()
    for known in range(50):
        payload = clinic.run_until_pinged(transport, known)
        # Whoever answers within five seconds has answered in time.
        clinic.run(4.75)
        clinic.feed(connection, masked(10, payload))
    assert clinic.silent == []


def test_a_connection_which_takes_no_frames_is_not_asked(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    connection.close(1000)
    clinic.run(60)
    assert clinic.pulse.pings == 0


# -- silence


def test_the_silent_are_handed_over_when_the_timeout_is_over_and_not_before(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    assert clinic.run(TIMEOUT - TICK) == []
    assert clinic.step() == [connection]


def test_any_frame_is_a_sign_of_life(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    clinic.run(80)
    clinic.say(connection)
    assert clinic.run(TIMEOUT - TICK) == []
    assert clinic.step() == [connection]


def test_one_that_is_not_forgotten_comes_again_after_an_interval(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    assert clinic.run(TIMEOUT) == [connection]
    assert clinic.run(INTERVAL - TICK) == []
    assert clinic.step() == [connection]


def test_one_that_is_heard_after_all_is_asked_within_an_interval_and_has_its_whole_time(
    clinic: Clinic,
) -> None:
    connection, transport = clinic.admit()
    assert clinic.run(TIMEOUT) == [connection]
    clinic.say(connection)
    known = len(pings(transport))
    clinic.run(INTERVAL)
    assert len(pings(transport)) == known + 1
    assert clinic.run(TIMEOUT - INTERVAL - TICK) == []
    assert clinic.step() == [connection]


def test_the_forgotten_are_left_alone(clinic: Clinic) -> None:
    connection, transport = clinic.admit()
    assert clinic.pulse.is_watched(connection.handle)
    assert clinic.pulse.forget(connection.handle)
    assert not clinic.pulse.forget(connection.handle)
    assert not clinic.pulse.is_watched(connection.handle)
    assert clinic.run(2 * TIMEOUT) == []
    assert pings(transport) == []
    assert clinic.pulse.watched == 0


def test_the_immortal_are_pinged_and_never_handed_over(clinic: Clinic) -> None:
    _, transport = clinic.admit(mortal=False)
    assert clinic.run(10 * TIMEOUT) == []
    assert 25 <= len(pings(transport)) <= 35


def test_a_connection_that_is_gone_drops_out_by_itself(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    connection.connection_lost(None)
    assert clinic.run(2 * TIMEOUT) == []
    assert clinic.pulse.watched == 0


def test_the_next_one_in_a_slot_owes_nothing_of_the_last_ones_silence(clinic: Clinic) -> None:
    first, _ = clinic.admit()
    clinic.run(80)
    first.connection_lost(None)
    second, _ = clinic.admit()
    assert second.handle & 0xFFFFFFFF == first.handle & 0xFFFFFFFF
    assert clinic.pulse.watched == 1
    assert not clinic.pulse.forget(first.handle)
    assert clinic.run(TIMEOUT - TICK) == []
    assert clinic.step() == [second]


def test_watching_twice_changes_nothing(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    clinic.run(TIMEOUT - TICK)
    clinic.pulse.watch(connection.handle, mortal=False)
    assert clinic.pulse.watched == 1
    assert clinic.step() == [connection]


def test_a_fault_while_one_is_pinged_costs_nobody_a_turn() -> None:
    clinic = Clinic(interval=TICK, jitter=0.0)
    patients = [clinic.admit()[1] for _ in range(5)]

    def fail(callback: object) -> None:
        raise OSError("no")

    clinic.loop.call_soon = fail
    with pytest.raises(OSError, match="no"):
        clinic.step()
    del clinic.loop.call_soon
    clinic.run(1)
    assert all(len(pings(one)) >= 4 for one in patients)


def test_who_is_gone_cannot_be_watched(clinic: Clinic) -> None:
    connection, _ = clinic.connect()
    handle = connection.handle
    connection.connection_lost(None)
    for wrong in (handle, 0, 1 << 40):
        with pytest.raises(ValueError, match="no such connection"):
            clinic.pulse.watch(wrong)


@pytest.mark.parametrize(
    "settings",
    [
        {"interval": 0.0},
        {"timeout": -1.0},
        {"timeout": float("nan")},
        {"tick": 0.0},
        {"jitter": 1.0},
        {"jitter": -0.1},
        {"slow_factor": 0.5},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Clinic(**settings)


# -- our own absences


def test_time_in_which_we_were_away_is_nobodys_silence(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    clinic.run(80)
    assert clinic.step(120.0) == []
    # One tick of it counts.
    assert clinic.run(TIMEOUT - 80 - TICK - TICK) == []
    assert clinic.step() == [connection]
    assert clinic.pulse.absences == 1
    assert clinic.pulse.absent_seconds == 120.0 - TICK


def test_after_an_absence_what_waits_in_the_sockets_is_read_before_anybody_is_judged(clinic: Clinic) -> None:
    waiting, _ = clinic.admit()
    dead, _ = clinic.admit()
    clinic.run(TIMEOUT - TICK)
    assert clinic.step(2.0) == []
    clinic.say(waiting)
    assert clinic.step() == [dead]


def test_being_late_all_the_time_saves_nobody_for_ever(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    steps = 0
    while not clinic.step(2.0):
        steps += 1
    assert clinic.silent == [connection]
    # Of each two seconds one tick counts.
    assert steps == TIMEOUT / TICK


def test_one_is_never_heard_in_the_future(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    clinic.hub.now += 100.0
    clinic.say(connection)
    clinic.pulse.advance(clinic.hub.now, 1)
    assert clinic.hub.last_received(connection.handle) == clinic.hub.now


def test_an_absence_brings_no_storm_of_pings() -> None:
    clinic = Clinic()
    for _ in range(1200):
        clinic.admit()
    clinic.run(INTERVAL)
    before = clinic.pulse.pings
    clinic.step(3600.0)
    assert clinic.pulse.pings - before < 60


def test_an_absence_makes_neither_a_round_trip_nor_a_missed_ping(clinic: Clinic) -> None:
    connection, transport = clinic.admit()
    payload = clinic.run_until_pinged(transport)
    clinic.step(500.0)
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now) is None
    clinic.run_until_pinged(transport, 1)
    clinic.step(500.0)
    clinic.run_until_pinged(transport, 2)
    assert clinic.pulse.missed == 0
    figures = clinic.pulse.figures(connection.handle)
    assert figures is not None
    assert figures[1:] == (0, None)


def test_a_clock_that_stands_still_or_goes_back_does_nothing(clinic: Clinic) -> None:
    clinic.admit()
    for seconds in (0.0, -50.0):
        assert clinic.step(seconds) == []
    assert clinic.pulse.absences == 0


def test_the_time_before_the_beginning_is_no_absence(clinic: Clinic) -> None:
    clinic.hub.now += 5000
    clinic.pulse.begin(clinic.hub.now)
    clinic.step()
    assert clinic.pulse.absences == 0


# -- answers


def test_a_pong_tells_the_round_trip_once(clinic: Clinic) -> None:
    connection, transport = clinic.admit()
    payload = clinic.run_until_pinged(transport)
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now + 0.125) == 0.125
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now + 0.2) is None
    assert clinic.pulse.answered == 1


def test_a_ping_that_waited_for_room_in_the_socket_measures_nothing(clinic: Clinic) -> None:
    connection, transport = clinic.admit()
    transport.room = 0
    clinic.run(INTERVAL)
    assert clinic.hub.is_blocked(connection.handle)
    transport.give_room()
    clinic.loop.run()
    payload = pings(transport)[0]
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now) is None
    assert clinic.pulse.answered == 1, "it is an answer all the same"
    # The next one finds the way free.
    payload = clinic.run_until_pinged(transport, 1)
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now + 0.125) == 0.125


def test_a_socket_that_fills_up_behind_a_ping_spoils_its_round_trip(clinic: Clinic) -> None:
    connection, transport = clinic.admit()
    payload = clinic.run_until_pinged(transport)
    clinic.hub.block(connection.handle)
    clinic.hub.unblock(connection.handle)
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now + 5.0) is None


def test_a_pong_that_waited_until_we_read_on_measures_nothing(clinic: Clinic) -> None:
    connection, transport = clinic.admit()
    connection.pause_reading(1)
    payload = clinic.run_until_pinged(transport)
    connection.resume_reading(1)
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now + 5.0) is None
    payload = clinic.run_until_pinged(transport, 1)
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now + 0.25) == 0.25


def test_an_older_ping_that_waited_measures_nothing_either(clinic: Clinic) -> None:
    connection, transport = clinic.admit()
    first = clinic.run_until_pinged(transport)
    connection.pause_reading(1)
    connection.resume_reading(1)
    second = clinic.run_until_pinged(transport, 1)
    assert clinic.pulse.answer(connection.handle, first, clinic.hub.now) is None
    assert clinic.pulse.answer(connection.handle, second, clinic.hub.now) is None


def test_a_pong_that_answers_no_ping_of_this_connection_tells_nothing(clinic: Clinic) -> None:
    connection, transport = clinic.admit()
    other, others_transport = clinic.admit()
    real = clinic.run_until_pinged(transport)
    number, token = struct.unpack("!II", real)
    later = clinic.run_until_pinged(others_transport, len(pings(others_transport)))
    while struct.unpack("!I", later[:4])[0] <= number:
        later = clinic.run_until_pinged(others_transport, len(pings(others_transport)))
    forged = [
        b"",
        real[:7],
        real + b"\0",
        struct.pack("!II", number, token ^ 1),
        struct.pack("!II", number + 1, token),
        struct.pack("!II", number - 1, token),
        struct.pack("!II", 0, 0),
        struct.pack("!II", 0xFFFFFFFF, token),
    ]
    if len(pings(transport)) == 1:
        forged.append(later)
    for payload in forged:
        assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now) is None, payload
    assert clinic.pulse.answered == 0
    assert clinic.pulse.answer(connection.handle, real, clinic.hub.now) is not None
    clinic.pulse.forget(other.handle)
    assert clinic.pulse.answer(other.handle, later, clinic.hub.now) is None


def test_a_ping_of_256_seconds_ago_is_forgotten() -> None:
    clinic = Clinic(interval=100.0, timeout=10_000.0)
    connection, transport = clinic.admit()
    payload = clinic.run_until_pinged(transport)
    clinic.run(255)
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now) == 255
    payload = clinic.run_until_pinged(transport, len(pings(transport)))
    clinic.run(256)
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now) is None


def test_answers_may_come_later_than_the_next_ping() -> None:
    clinic = Clinic(interval=1.0, jitter=0.0, timeout=100.0)
    connection, transport = clinic.admit()
    clinic.run(10)
    for payload in pings(transport)[:3]:
        assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now) > 6
    # Late ones have been counted as missed.
    assert clinic.pulse.answered == 0
    assert clinic.pulse.missed == len(pings(transport)) - 1


def test_in_good_faith_the_newest_ping_is_answered_and_that_is_a_sign_of_life(clinic: Clinic) -> None:
    connection, transport = clinic.admit()
    assert clinic.pulse.answer(connection.handle, None, clinic.hub.now) is None
    clinic.run_until_pinged(transport)
    clinic.run(2)
    assert clinic.pulse.answer(connection.handle, None, clinic.hub.now) == 2.0
    assert clinic.hub.last_received(connection.handle) == clinic.hub.now
    assert clinic.pulse.answer(connection.handle, None, clinic.hub.now) is None


def test_round_trips_are_smoothed(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    handle = connection.handle
    assert clinic.pulse.note_round_trip(handle, 0.5)
    assert clinic.pulse.figures(handle)[2] == 0.5
    clinic.pulse.note_round_trip(handle, 1.5)
    assert clinic.pulse.figures(handle)[2] == 0.5 + 1.0 / 8
    assert not clinic.pulse.note_round_trip(handle + (1 << 32), 1.0)


def test_a_slow_connection_has_twice_the_time_and_no_more(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    handle = connection.handle
    clinic.pulse.note_round_trip(handle, 1.0)
    assert clinic.pulse.timeout_of(handle) == TIMEOUT
    clinic.pulse.note_round_trip(handle, 1e9)
    assert clinic.pulse.timeout_of(handle) == 2 * TIMEOUT
    assert clinic.run(2 * TIMEOUT - TICK) == []
    assert clinic.step() == [connection]
    assert clinic.pulse.timeout_of(0) == TIMEOUT


# -- new settings


def test_a_new_interval_holds_for_those_who_are_there() -> None:
    clinic = Clinic(interval=10_000.0, timeout=40_000.0)
    patients = [clinic.admit() for _ in range(100)]
    clinic.pulse.configure(10.0, 40.0)
    clinic.run(10)
    assert {len(pings(one)) for _, one in patients} == {1, 2}
    assert (clinic.pulse.interval, clinic.pulse.timeout) == (10.0, 40.0)


def test_nobody_is_judged_by_a_timeout_that_did_not_hold_yet() -> None:
    clinic = Clinic(interval=300.0, timeout=900.0)
    connection, _ = clinic.admit()
    clinic.run(200)
    clinic.pulse.configure(5.0, 20.0)
    assert clinic.run(20.0 - TICK) == []
    assert clinic.step() == [connection]


def test_an_absence_after_new_settings_is_nobodys_silence_either(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    clinic.run(10)
    clinic.pulse.configure(5.0, 20.0)
    clinic.step(15.0)
    assert clinic.run(20.0 - 2 * TICK) == []
    assert clinic.step() == [connection]


def test_a_longer_timeout_holds_at_once(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    clinic.run(80)
    clinic.pulse.configure(INTERVAL, 200.0)
    assert clinic.run(200.0 - TICK) == []
    assert clinic.step() == [connection]


def test_the_same_settings_once_more_change_nothing(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    clinic.run(80)
    clinic.pulse.configure(INTERVAL, TIMEOUT)
    assert clinic.run(10) == [connection]
    with pytest.raises(ValueError, match="must be positive"):
        clinic.pulse.configure(0.0, TIMEOUT)


def test_new_settings_find_the_gone_out(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    connection.connection_lost(None)
    clinic.pulse.configure(1.0, 2.0)
    assert clinic.pulse.watched == 0


# -- figures


def test_who_lets_a_ping_pass_is_late_until_it_is_heard(clinic: Clinic) -> None:
    connection, transport = clinic.admit()
    unlisted, _ = clinic.admit(listed=False)
    clinic.run_until_pinged(transport)
    assert clinic.pulse.census() == (1, 0, 0, 0, 0.0)
    clinic.run_until_pinged(transport, 1)
    assert clinic.pulse.census() == (1, 1, 0, 0, 0.0)
    assert clinic.pulse.figures(connection.handle) == (clinic.hub.now - 1000.0, 1, None)
    clinic.say(connection)
    assert clinic.pulse.census() == (1, 0, 0, 0, 0.0)
    assert clinic.pulse.figures(connection.handle) == (0.0, 0, None)
    assert clinic.pulse.missed == 1
    assert clinic.pulse.figures(unlisted.handle) is not None


def test_who_speaks_and_never_answers_is_not_late_but_its_pings_are_missed(clinic: Clinic) -> None:
    connection, _ = clinic.admit()
    for _ in range(100):
        clinic.run(2)
        clinic.say(connection)
        assert clinic.pulse.census()[1] == 0
    assert clinic.pulse.missed >= 5
    assert clinic.pulse.answered == 0


def test_the_answers_of_the_unlisted_are_not_counted(clinic: Clinic) -> None:
    connection, transport = clinic.admit(listed=False)
    payload = clinic.run_until_pinged(transport)
    assert clinic.pulse.answer(connection.handle, payload, clinic.hub.now) == 0.0
    clinic.run_until_pinged(transport, 2)
    assert (clinic.pulse.answered, clinic.pulse.missed) == (0, 0)


def test_the_census_adds_up_round_trips(clinic: Clinic) -> None:
    patients = [clinic.admit()[0] for _ in range(4)]
    for connection, rtt in zip(patients, (0.25, 0.5, 2.0), strict=False):
        clinic.pulse.note_round_trip(connection.handle, rtt)
    assert clinic.pulse.census() == (4, 0, 1, 3, 2.75)
    patients[0].connection_lost(None)
    assert clinic.pulse.census() == (3, 0, 1, 2, 2.5)
    assert clinic.pulse.figures(patients[0].handle) is None


def test_a_silent_ones_last_ping_is_missed_too(clinic: Clinic) -> None:
    clinic.admit()
    clinic.run(TIMEOUT)
    assert clinic.pulse.missed == clinic.pulse.pings
