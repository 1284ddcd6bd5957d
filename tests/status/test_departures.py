"""How connections ended in the last 15 minutes."""

from collections import Counter

from wsserver.status.departures import SPAN, STEP, Departures


def test_before_the_first_look_nothing_is_known():
    assert Departures().lately(0.0, {1000: 5}) == ({}, 0.0)


def test_it_counts_from_the_first_look():
    departures, ended = Departures(), Counter({1000: 5})
    departures.note(100.0, ended)
    ended.update({1000: 2, 4005: 1})
    assert departures.lately(103.0, ended) == ({"1000": 2, "4005": 1}, 3.0)


def test_codes_that_clients_make_up_are_one():
    departures, ended = Departures(), Counter()
    departures.note(0.0, ended)
    ended.update({3000 + number: 1 for number in range(500)})
    assert departures.lately(1.0, ended) == ({"other": 500}, 1.0)


def test_what_is_longer_ago_is_forgotten():
    departures, ended = Departures(), Counter()
    for second in range(2 * SPAN):
        if second == 100:
            ended[4006] += 1
        if second == SPAN + 500:
            ended[1006] += 1
        departures.note(float(second), ended)
    found, over = departures.lately(2.0 * SPAN, ended)
    assert found == {"1006": 1}
    assert SPAN - STEP <= over <= SPAN


def test_it_keeps_no_more_than_a_look_in_ten_seconds():
    departures = Departures()
    for second in range(5000):
        departures.note(float(second), {})
    assert len(departures._looks) == SPAN // STEP
