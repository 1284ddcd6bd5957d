"""One look at the load: every signal in the unit of its alert."""

from workbench import Bench

from wsserver.load.load_signals import LEAST_SLOW, LoadSignals
from wsserver.observe.alerts import thresholds_of
from wsserver.observe.descriptor_room import DescriptorRoom
from wsserver.observe.loop_lag import LoopLag
from wsserver.observe.process_memory import MemoryUsage, ProcessMemory


class Looking(Bench):
    def __init__(self) -> None:
        super().__init__()
        self.totals = [0, 0]
        self.latency: float | None = None
        self.slow = 0
        self.manager.slow_connections = lambda: self.slow
        self.signals = LoadSignals(
            self.manager,
            memory=ProcessMemory(self.clock, limit=1000, rss=lambda: 345),
            lag=LoopLag(self.clock),
            descriptors=DescriptorRoom(self.clock, read_limit=lambda: 400, count=lambda: 150),
            totals=lambda: (self.totals[0], self.totals[1]),
            latency=lambda: self.latency,
        )


def test_every_alert_that_is_measured_has_a_signal():
    looking = Looking()
    assert set(looking.signals.read().values) == set(thresholds_of(looking.manager.settings))


def test_the_values_are_in_the_units_of_their_alerts():
    looking = Looking()
    looking.connect()
    looking.latency = 12.5
    looking.signals.read()
    looking.totals = [100, 3]
    looking.clock.advance(1)
    load = looking.signals.read()
    assert load.memory == MemoryUsage(345, 1000)
    assert load.values == {
        "connection_count": 1,
        "error_rate": 3.0,
        "latency": 12.5,
        "memory_usage": 34.5,
        "loop_lag": 0.0,
        "descriptors": 50.0,
        "slow_connections": 0.0,
    }


def test_a_late_loop_is_told_in_seconds_and_milliseconds_and_once():
    looking = Looking()
    looking.signals.lag.measure()
    looking.clock.advance(2.1)
    looking.signals.lag.measure()
    load = looking.signals.read()
    assert round(load.loop_lag, 6) == 2.0
    assert round(load.values["loop_lag"] or 0, 3) == 2000
    assert looking.signals.read().loop_lag == 0


def test_a_few_slow_ones_are_no_share():
    looking = Looking()
    for number in range(20):
        looking.connect(f"u{number}")
    looking.slow = LEAST_SLOW - 1
    assert looking.signals.read().values["slow_connections"] == 0
    looking.slow = LEAST_SLOW
    assert looking.signals.read().values["slow_connections"] == 50
