"""Alerts rise at once, fall with hysteresis, and tell every change once."""

import logging
import math

import msgspec
import pytest
from fake_clock import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from wsserver.observe.alerts import (
    ALERT_NAMES,
    ALERT_THRESHOLDS,
    UNITS,
    AlertBook,
    AlertChange,
    Level,
    Thresholds,
    thresholds_of,
)
from wsserver.settings import AlertsSettings, ConnectionSettings, Settings


class Watch:
    """A book with one threshold that matters: warning at 75, critical at 90, 10 % margin, 30 s."""

    def __init__(self, **changed: float) -> None:
        self.clock = FakeClock()
        self.settings = AlertsSettings(**changed)
        self.book = AlertBook(thresholds_of(Settings(alerts=self.settings)), self.settings, self.clock)
        self.changes: list[AlertChange] = []
        self.book.listeners.append(self.changes.append)

    def see(self, *values: float | None, every: float = 1.0) -> Level:
        for value in values:
            level = self.book.observe("memory_usage", value)
            self.clock.advance(every)
        return level

    @property
    def steps(self) -> list[tuple[str, str]]:
        return [(change.previous.text, change.level.text) for change in self.changes]


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_the_defaults_are_the_specifications():
    assert ALERT_THRESHOLDS["connection_count"] == Thresholds(8000, 9500)
    assert ALERT_THRESHOLDS["error_rate"] == Thresholds(5.0, 10.0)
    assert ALERT_THRESHOLDS["latency"] == Thresholds(200, 500)
    assert ALERT_THRESHOLDS["memory_usage"] == Thresholds(75.0, 90.0)


def test_connection_thresholds_follow_the_limit_unless_given():
    small = Settings(connection=ConnectionSettings(max_connections=7))
    assert thresholds_of(small)["connection_count"] == Thresholds(6, 7)
    given_ = msgspec.structs.replace(
        small, alerts=AlertsSettings(connection_count_warning=2, connection_count_critical=3)
    )
    assert thresholds_of(given_)["connection_count"] == Thresholds(2, 3)


def test_every_alert_has_a_unit_and_all_but_the_states_a_threshold():
    assert set(UNITS) == set(ALERT_NAMES)
    assert set(ALERT_THRESHOLDS) == set(ALERT_NAMES) - {"SYSTEM_OVERLOAD", "audit", "break_glass", "store"}


def test_a_value_at_its_threshold_raises_at_once(watch):
    assert watch.see(74.9) is Level.OK
    assert watch.see(75.0) is Level.WARNING
    assert watch.see(90.0) is Level.CRITICAL
    assert watch.steps == [("ok", "warning"), ("warning", "critical")]


def test_critical_may_come_without_a_warning(watch):
    assert watch.see(95) is Level.CRITICAL
    assert watch.steps == [("ok", "critical")]


def test_a_value_that_hovers_is_one_alert(watch):
    watch.see(*[76, 74, 75, 73] * 60)
    assert watch.steps == [("ok", "warning")]


def test_it_falls_after_the_holding_time_below_the_margin(watch):
    watch.see(80)
    assert watch.see(*[67.4] * 30) is Level.WARNING
    assert watch.see(67.4) is Level.OK
    assert watch.steps[-1] == ("warning", "ok")


def test_a_value_above_the_margin_starts_the_holding_time_anew(watch):
    watch.see(80, *[67] * 29)
    assert watch.see(68) is Level.WARNING
    assert watch.see(*[67] * 30) is Level.WARNING
    assert watch.see(67) is Level.OK


def test_a_value_over_the_threshold_starts_the_holding_time_anew_as_well(watch):
    watch.see(80, *[67] * 29)
    assert watch.see(76, *[67] * 30) is Level.WARNING
    assert watch.see(67) is Level.OK


def test_critical_falls_to_the_level_that_holds(watch):
    watch.see(95)
    assert watch.see(*[80] * 30) is Level.CRITICAL
    assert watch.see(80) is Level.WARNING
    assert watch.see(*[10] * 31) is Level.OK
    assert watch.steps == [("ok", "critical"), ("critical", "warning"), ("warning", "ok")]


def test_without_a_holding_time_it_falls_at_once():
    watch = Watch(hold=0.0, margin=0.0)
    assert watch.see(80) is Level.WARNING
    assert watch.see(74.9) is Level.OK


def test_nothing_to_measure_is_calm_but_no_all_clear_at_once(watch):
    watch.see(80)
    assert watch.see(None) is Level.WARNING
    assert watch.see(*[None] * 30) is Level.OK
    assert watch.book.value("memory_usage") is None


def test_not_a_number_raises_nothing(watch):
    assert watch.see(math.nan) is Level.OK


def test_a_change_tells_value_threshold_peak_and_how_long_it_lasted(watch):
    watch.see(76, 99, 80, every=5.0)
    watch.see(*[10] * 31)
    first, second, last = (change.as_dict() for change in watch.changes)
    assert first == {
        "alert": "memory_usage",
        "level": "warning",
        "previous": "ok",
        "at": "2027-01-15T08:00:00.000Z",
        "value": 76,
        "threshold": 75.0,
        "unit": "percent",
        "peak": 76,
        "lasted_s": 0.0,
    }
    assert (second["value"], second["threshold"], second["peak"], second["lasted_s"]) == (99, 90.0, 99, 5.0)
    assert (last["level"], last["value"], last["peak"], last["threshold"]) == ("ok", 10, 99, 90.0)
    # A new time up has a peak of its own.
    watch.see(77)
    assert watch.changes[-1].peak == 77


def test_a_state_switches_both_ways_at_once_and_tells_each_once(watch):
    for on in (True, True, False, False):
        watch.book.switch("SYSTEM_OVERLOAD", on, {"connections": 3})
    assert watch.steps == [("ok", "critical"), ("critical", "ok")]
    assert watch.changes[0].as_dict()["details"] == {"connections": 3}


def test_active_alerts_are_listed_worst_and_oldest_first(watch):
    watch.book.observe("latency", 250)
    watch.clock.advance(1)
    watch.book.observe("error_rate", 6)
    watch.book.observe("memory_usage", 91)
    watch.clock.advance(9)
    active = watch.book.active()
    assert [(one["alert"], one["level"]) for one in active] == [
        ("memory_usage", "critical"),
        ("latency", "warning"),
        ("error_rate", "warning"),
    ]
    assert active[1]["since"] == "2027-01-15T08:00:00.000Z"


def test_whoever_acknowledges_a_raised_alert_first_stands_until_it_is_over(watch):
    watch.see(80)
    acknowledgement, is_new = watch.book.acknowledge("memory_usage", "olga")
    assert is_new
    assert acknowledgement.as_dict() == {"by": "olga", "at": "2027-01-15T08:00:01.000Z"}
    watch.clock.advance(5)
    assert watch.book.acknowledge("memory_usage", "vera") == (acknowledgement, False)
    assert watch.book.active()[0]["acknowledged"] == acknowledgement.as_dict()
    watch.see(*[10] * 32)
    assert watch.book.active() == []
    watch.see(80)
    assert watch.book.active()[0]["acknowledged"] is None


def test_an_alert_that_gets_worse_is_to_be_seen_anew_and_one_that_gets_better_is_not(watch):
    watch.see(80)
    watch.book.acknowledge("memory_usage", "olga")
    watch.see(95)
    assert watch.book.active()[0]["acknowledged"] is None
    watch.book.acknowledge("memory_usage", "vera")
    watch.see(*[78] * 32)
    assert [(one["level"], one["acknowledged"]["by"]) for one in watch.book.active()] == [("warning", "vera")]


@pytest.mark.parametrize("name", ["latency", "nothing", "mine", ""])
def test_what_is_not_raised_cannot_be_acknowledged(watch, name):
    watch.see(80)
    watch.book.notify("mine")
    assert watch.book.acknowledge(name, "olga") is None


def test_current_shows_values_and_thresholds(watch):
    watch.see(12.345)
    assert watch.book.current()["memory_usage"] == {
        "value": 12.35,
        "level": "ok",
        "unit": "percent",
        "warning": 75.0,
        "critical": 90.0,
    }


def test_the_history_is_bounded_and_newest_first():
    watch = Watch(hold=0.0, margin=0.0, history=3)
    watch.see(80, 10, 80, 10, 80)
    assert [change.level.text for change in watch.book.history(10)] == ["warning", "ok", "warning"]
    assert len(watch.book.history(2)) == 2
    assert watch.book.changes == 5
    watch.book.configure(watch.book.thresholds, AlertsSettings(history=1))
    assert len(watch.book.history(10)) == 1


def test_new_thresholds_count_from_the_next_value(watch):
    watch.see(80)
    stricter = AlertsSettings(memory_usage_warning=50, memory_usage_critical=79, hold=0)
    watch.book.configure(thresholds_of(Settings(alerts=stricter)), stricter)
    assert watch.book.level("memory_usage") is Level.WARNING
    assert watch.see(80) is Level.CRITICAL
    assert watch.see(40) is Level.OK


def test_a_notice_is_told_and_remembered_and_has_no_state(watch):
    watch.book.notify("disk_full", {"free_mb": 3})
    assert watch.changes[0].as_dict() == {
        "alert": "disk_full",
        "level": "critical",
        "previous": "ok",
        "at": "2027-01-15T08:00:00.000Z",
        "details": {"free_mb": 3},
    }
    assert watch.book.active() == []
    assert watch.book.history(1) == watch.changes


def test_changes_are_logged_without_their_details(watch, caplog):
    caplog.set_level(logging.INFO, "wsserver.alerts")
    watch.see(76)
    watch.book.notify("mine", {"secret": "canary"})
    watch.see(*[1] * 31)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "alert memory_usage is warning: 76 percent, threshold 75"),
        ("WARNING", "alert mine is critical"),
        ("INFO", "alert memory_usage is ok: 1 percent, threshold 75"),
    ]


@given(values=st.lists(st.floats(0, 120), min_size=1, max_size=200))
def test_it_is_never_calmer_than_its_value_and_every_step_is_told(values):
    watch = Watch()
    level = Level.OK
    for value in values:
        told = len(watch.changes)
        new = watch.see(value, every=7.0)
        assert new >= Thresholds(75, 90).level(value)
        assert (len(watch.changes) > told) == (new is not level)
        level = new
