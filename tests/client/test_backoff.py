"""Waits to the millisecond, from the table that every client of this server keeps to."""

import random

import pytest

from wsserver.client.backoff import Backoff
from wsserver.client.reconnection_config import ReconnectionConfig

# attempt: with the least, the middle and (nearly) the greatest random number.
PROPORTIONAL = {
    1: (0.9, 1.0, 1.1), 2: (1.8, 2.0, 2.2), 3: (3.6, 4.0, 4.4), 4: (7.2, 8.0, 8.8), 5: (14.4, 16.0, 17.6),
    6: (27.0, 30.0, 33.0), 10: (27.0, 30.0, 33.0), 5000: (27.0, 30.0, 33.0),
}  # fmt: skip
FULL = {
    1: (0.5, 1.0, 1.5), 2: (0.5, 1.5, 2.5), 3: (0.5, 2.5, 4.5), 4: (0.5, 4.5, 8.5), 5: (0.5, 8.5, 16.5),
    6: (0.5, 15.25, 30.0), 5000: (0.5, 15.25, 30.0),
}  # fmt: skip


@pytest.mark.parametrize(("mode", "table"), [("proportional", PROPORTIONAL), ("full", FULL)])
def test_waits_are_those_of_the_table(mode, table) -> None:
    config = ReconnectionConfig(jitter_mode=mode)
    for attempt, waits in table.items():
        drawn = [
            Backoff(config, lambda chance=chance: chance).delay(attempt) for chance in (0.0, 0.5, 1 - 1e-9)
        ]
        assert drawn == list(waits), attempt


def test_waits_of_other_options_are_as_told() -> None:
    config = ReconnectionConfig(initial_delay=0.2, max_delay=1.0, backoff_multiplier=3, jitter_factor=0)
    backoff = Backoff(config, lambda: 0.9)
    assert [backoff.delay(attempt) for attempt in (1, 2, 3, 4)] == [0.2, 0.6, 1.0, 1.0]


def test_clients_that_have_tried_for_long_do_not_meet() -> None:
    dice = random.Random(1)
    backoff = Backoff(ReconnectionConfig(), dice.random)
    assert len({backoff.delay(20) for _ in range(1000)}) > 800


def test_a_short_first_wait_is_not_made_longer_by_full_jitter() -> None:
    config = ReconnectionConfig(initial_delay=0.1, max_delay=0.3, jitter_mode="full")
    assert Backoff(config, lambda: 0.0).delay(1) == 0.1
    assert Backoff(config, lambda: 0.999999).delay(9) <= 0.3


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("mode", ["proportional", "full"])
def test_advice_is_never_cut_short_and_a_slot_of_ones_own_is_kept(mode, chance) -> None:
    backoff = Backoff(ReconnectionConfig(jitter_mode=mode), lambda: chance)
    assert 5.0 <= backoff.advised(5.0, is_own=False) <= 5.5
    assert backoff.advised(5.402, is_own=True) == 5.402
    assert backoff.advised(-1.0, is_own=True) == 0.1
    # Thirty years are no advice; what is left is what a person may wait for.
    assert backoff.advised(1e9, is_own=True) == 3600.0
    assert 3600.0 <= backoff.advised(1e9, is_own=False) <= 3960.0
