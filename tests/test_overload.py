"""Overload: entered for what hurts everybody, left by itself, and nothing of it stays behind."""

import logging
from typing import Any

import msgspec
import pytest
from workbench import Bench, Workbench

from wsserver import overload as overload_module
from wsserver.errors import ServerError
from wsserver.load.load_signals import LoadSignals
from wsserver.observe.alerts import AlertBook, AlertChange, Level, thresholds_of
from wsserver.observe.descriptor_room import DescriptorRoom
from wsserver.observe.loop_lag import LoopLag
from wsserver.observe.process_memory import ProcessMemory
from wsserver.overload import (
    CLEANUP_PAUSE,
    HOLD_OFF,
    Cause,
    Overload,
    adopt,
    checked_details,
    handle_system_overload,
    monitor_memory_usage,
    send_alert,
    trigger_emergency_cleanup,
)
from wsserver.settings import Settings
from wsserver_core.outgoing import ALERT, DATA


class Ward(Bench):
    """A manager whose memory and lag a test sets by hand."""

    def __init__(self, **sections: dict[str, Any]) -> None:
        super().__init__(**sections)
        self.percent = 50.0
        self.lag = LoopLag(self.clock)
        self.lag.measure()
        self.given_back = 0
        self.changes: list[AlertChange] = []
        memory = ProcessMemory(self.clock, limit=100_000, rss=lambda: int(self.percent * 1000))
        signals = LoadSignals(
            self.manager,
            memory=memory,
            lag=self.lag,
            descriptors=DescriptorRoom(self.clock, read_limit=lambda: 20_000, count=lambda: 100),
            totals=lambda: (0, 0),
            latency=lambda: None,
        )
        settings = self.manager.settings
        self.alerts = AlertBook(thresholds_of(settings), settings.alerts, self.clock)
        self.alerts.listeners.append(self.changes.append)
        self.overload = Overload(self.manager, signals, self.alerts, give_back=self._give_back)

    def _give_back(self) -> None:
        self.given_back += 1

    def look(self, times: int = 1, *, percent: float | None = None, late: float = 0.0) -> None:
        """So many seconds, each with its look."""
        if percent is not None:
            self.percent = percent
        for _ in range(times):
            self.clock.advance(0.1 + late)
            self.lag.measure()
            for _ in range(9):
                self.clock.advance(0.1)
                self.lag.measure()
            self.overload.tick()

    @property
    def normal(self) -> bool:
        manager = self.manager
        return manager.accepting and (manager.cleanup_interval, manager.hub.batch_size) == (60.0, 100)


@pytest.fixture
def ward() -> Ward:
    return Ward()


# -- memory


def test_below_the_mark_nothing_happens(ward):
    ward.look(5, percent=79)
    assert ward.normal
    assert ward.given_back == 0
    assert not ward.overload.active


def test_at_eighty_percent_it_clears_away_and_goes_on(ward):
    ward.look(percent=80)
    assert ward.given_back == 1
    assert ward.normal
    assert not ward.overload.active


def test_it_clears_away_once_a_minute_however_long_it_lasts(ward):
    ward.look(round(CLEANUP_PAUSE) - 1, percent=85)
    assert ward.given_back == 1
    ward.look(3)
    assert ward.given_back == 2


def test_while_memory_is_short_it_is_given_back_every_ten_seconds(ward):
    ward.look(percent=95)
    assert ward.given_back == 1
    ward.look(9, percent=75)
    assert ward.given_back == 1
    ward.look(2)
    assert ward.given_back == 2
    ward.look(percent=60)
    ward.look(30, percent=75)
    assert ward.given_back == 2


def test_at_ninety_percent_it_takes_nobody_new_and_does_less_at_a_time(ward):
    ward.look(percent=89.9)
    assert not ward.overload.active
    ward.look(percent=90)
    assert ward.overload.causes == ["memory"]
    assert not ward.manager.accepting
    assert ward.manager.cleanup_interval == 30
    assert ward.manager.hub.batch_size == 25
    assert ward.overload.hurried(300) == 30
    assert ward.alerts.level("SYSTEM_OVERLOAD") is Level.CRITICAL
    with pytest.raises(ServerError, match="1013"):
        ward.connect()


def test_it_stays_between_the_marks_and_ends_below_seventy_by_itself(ward):
    ward.look(percent=90)
    ward.look(200, percent=70)
    assert ward.overload.active
    ward.look(percent=69.9)
    assert ward.normal
    assert ward.overload.hurried(300) == 300
    assert ward.alerts.level("SYSTEM_OVERLOAD") is Level.OK
    assert ward.connect()


def test_those_who_are_connected_go_on(ward):
    connection_id, websocket = ward.connect("u1", "doctor", "1")
    ward.manager.subscribe(connection_id, "patient", "1")
    ward.look(percent=99)
    with pytest.raises(ServerError, match="1005"):
        ward.manager.broadcast_to_patient("1", {"type": "vitals"})
    report = ward.manager.broadcast_to_patient("1", {"type": "alarm"})
    ward.loop.run()
    assert report.delivered == 1
    assert b"alarm" in websocket.data
    assert len(ward.manager.subscription_manager) == 1


def test_it_is_entered_once_and_told_once(ward):
    ward.look(30, percent=95)
    told = [change for change in ward.changes if change.name == "SYSTEM_OVERLOAD"]
    assert len(told) == 1
    assert told[0].details == {
        "connections": 0,
        "subscriptions": 0,
        "memory_usage": 95.0,
        "loop_lag_ms": 0.0,
        "cause": "memory",
    }
    assert ward.overload.entered == 1


def test_publishers_are_held_back_for_memory_and_for_nothing_else(ward):
    ward.look(percent=95)
    assert ward.manager.backpressure.memory_pressure
    ward.overload.enter(Cause.OPERATOR)
    ward.look(percent=50)
    assert not ward.manager.backpressure.memory_pressure
    assert ward.overload.active


def test_memory_is_watched_between_the_looks(ward):
    handler = ward.manager.backpressure
    ward.percent = 80
    ward.overload.watch_memory()
    # Up to 90 % of 100,000 bytes for data, up to 97 % for alerts.
    assert [handler.must_wait(DATA, size) for size in (10_000, 10_001)] == [False, True]
    assert [handler.must_wait(ALERT, size) for size in (17_000, 17_001)] == [False, True]
    ward.percent = 90
    ward.overload.watch_memory()
    assert ward.overload.causes == ["memory"]
    assert handler.must_wait(DATA)
    ward.overload.leave_by_hand()
    assert not handler.must_wait(DATA, 1 << 20), "at once, and not from the next look on"
    ward.overload.watch_memory()
    assert not ward.overload.active
    assert not handler.must_wait(DATA, 1 << 20)
    ward.clock.advance(HOLD_OFF)
    ward.overload.watch_memory()
    assert ward.overload.active
    ward.overload.close()
    assert not handler.must_wait(DATA, 1 << 20)


def test_memory_that_was_used_up_between_two_looks_is_an_overload(ward):
    handler = ward.manager.backpressure
    ward.percent = 80
    ward.overload.watch_memory()
    assert handler.must_wait(DATA, 20_000)
    ward.overload.watch_memory()
    assert ward.overload.causes == ["memory"]
    assert handler.must_wait(DATA)
    ward.look(percent=69)
    assert not ward.overload.active


def test_switched_off_memory_holds_nobody_back():
    ward = Ward(overload={"automatic": False, "memory_limit": 100_000})
    ward.percent = 99
    ward.overload.watch_memory()
    assert not ward.overload.active
    assert not ward.manager.backpressure.must_wait(DATA, 1 << 20)


# -- the loop


def test_one_stall_is_an_alarm_and_no_overload(ward):
    ward.look(late=2.0)
    ward.look()
    assert ward.alerts.level("loop_lag") is Level.CRITICAL
    assert not ward.overload.active


def test_three_late_looks_in_a_row_are_an_overload_and_ten_good_ones_its_end(ward):
    ward.look(2, late=1.0)
    ward.look()
    ward.look(2, late=1.0)
    assert not ward.overload.active
    ward.look(late=1.0)
    assert ward.overload.causes == ["loop_lag"]
    # Not late, and not in time either: 70 % of a second.
    ward.look(50, late=0.8)
    assert ward.overload.active
    ward.look(9)
    assert ward.overload.active
    ward.look()
    assert ward.normal


def test_the_loop_is_late_while_it_is_and_five_seconds_more(ward):
    ward.look(late=1.2)
    assert ward.overload.loop_is_late
    ward.look(6)
    assert not ward.overload.loop_is_late


# -- what else may refuse and change


def test_an_operators_refusal_outlives_an_overload(ward):
    ward.look(percent=95)
    ward.manager.set_accept_connections(False)
    ward.look(percent=10)
    assert not ward.overload.active
    assert not ward.manager.accepting
    ward.manager.set_accept_connections(True)
    assert ward.manager.accepting


def test_an_operator_who_accepts_does_not_end_an_overload(ward):
    ward.look(percent=95)
    ward.manager.set_accept_connections(True)
    assert not ward.manager.accepting


def test_figures_that_are_smaller_anyway_stay(ward):
    small = Ward(connection={"cleanup_interval": 7.0}, broadcast={"batch_size": 2})
    small.look(percent=95)
    assert small.manager.cleanup_interval == 7.0
    assert small.manager.hub.batch_size == 1
    small.look(percent=10)
    assert (small.manager.cleanup_interval, small.manager.hub.batch_size) == (7.0, 2)


def test_what_somebody_sets_meanwhile_stays(ward):
    ward.look(percent=95)
    ward.manager.set_broadcast_batch_size(60)
    ward.look(percent=10)
    assert ward.manager.hub.batch_size == 60
    assert ward.manager.cleanup_interval == 60


def test_reloaded_settings_hold_after_an_overload_and_not_in_it(ward):
    ward.look(percent=95)
    changed = msgspec.structs.replace(
        ward.manager.settings,
        broadcast=msgspec.structs.replace(ward.manager.settings.broadcast, batch_size=40),
        overload=msgspec.structs.replace(ward.manager.settings.overload, memory_limit=100_000),
    )
    ward.manager.configure(changed)
    ward.overload.configure(changed)
    assert ward.manager.hub.batch_size == 10
    ward.look(percent=10)
    assert ward.manager.hub.batch_size == 40


def test_reloaded_marks_count_from_the_next_look(ward):
    ward.look(percent=60)
    settings = ward.manager.settings
    tight = msgspec.structs.replace(settings.overload, enter_at=60.0, cleanup_at=55.0, leave_at=30.0)
    ward.overload.configure(
        msgspec.structs.replace(settings, overload=msgspec.structs.replace(tight, memory_limit=100_000))
    )
    ward.look()
    assert ward.overload.causes == ["memory"]


def test_the_limit_of_memory_may_be_reloaded(ward):
    settings = ward.manager.settings
    half = msgspec.structs.replace(settings.overload, memory_limit=50_000)
    ward.overload.configure(msgspec.structs.replace(settings, overload=half))
    ward.look(percent=45)
    assert ward.overload.active


def test_switched_off_it_only_watches():
    ward = Ward(overload={"automatic": False, "memory_limit": 100_000})
    ward.look(20, percent=99, late=1.5)
    assert ward.normal
    assert ward.given_back == 0
    assert ward.alerts.level("memory_usage") is Level.CRITICAL


def test_switching_it_off_ends_what_it_began(ward):
    ward.look(percent=95)
    settings = ward.manager.settings
    off = msgspec.structs.replace(settings.overload, automatic=False, memory_limit=100_000)
    ward.overload.configure(msgspec.structs.replace(settings, overload=off))
    assert not ward.overload.active


# -- by hand


def test_an_operators_overload_lasts_until_the_operator_ends_it(ward):
    assert ward.overload.enter(Cause.OPERATOR, "maintenance")
    assert not ward.overload.enter(Cause.OPERATOR)
    ward.look(100)
    assert ward.overload.causes == ["operator"]
    assert ward.changes[-1].details["reason"] == "maintenance"
    assert ward.overload.leave_by_hand()
    assert not ward.overload.leave_by_hand()
    assert ward.normal


def test_after_the_operator_ended_one_none_begins_by_itself_for_a_minute(ward):
    ward.look(percent=95)
    ward.overload.leave_by_hand()
    ward.look(round(HOLD_OFF) - 1)
    assert not ward.overload.active
    ward.look(2)
    assert ward.overload.active


def test_several_causes_end_with_the_last(ward):
    ward.look(percent=95)
    ward.overload.enter(Cause.OPERATOR)
    ward.look(percent=10)
    assert ward.overload.causes == ["operator"]
    assert not ward.manager.accepting
    ward.overload.leave(Cause.OPERATOR)
    assert ward.normal
    assert ward.overload.entered == 1
    assert not ward.overload.leave(Cause.OPERATOR)


def test_a_requested_overload_ends_when_all_has_been_calm(ward):
    ward.overload.enter(Cause.REQUESTED)
    ward.look(9)
    ward.look(percent=75)
    ward.look(9, percent=50)
    assert ward.overload.active
    ward.look()
    assert ward.normal


def test_closing_restores_without_a_word(ward):
    ward.look(percent=95)
    told = len(ward.changes)
    ward.overload.close()
    assert ward.normal
    assert len(ward.changes) == told


# -- clearing away


def test_clearing_away_drops_what_has_expired_and_nothing_else():
    ward = Ward(subscription={"timeout": 100.0, "strict_timeout": True})
    old, _ = ward.connect("u1", "doctor", "1")
    ward.manager.subscribe(old, "patient", "1")
    ward.clock.advance(60)
    fresh, _ = ward.connect("u2", "doctor", "2")
    ward.manager.subscribe(fresh, "patient", "2")
    ward.clock.advance(41)
    dropped = ward.overload.trigger_emergency_cleanup()
    assert dropped == {"subscriptions": 1, "orphans": 0}
    assert [one.target_id for one in ward.manager.subscription_manager.get_all_subscriptions()] == ["2"]
    assert ward.given_back == 1


def test_cleaners_of_others_are_called_and_counted(ward, caplog):
    ward.overload.cleaners["cache"] = lambda: 7
    assert ward.overload.trigger_emergency_cleanup()["cache"] == 7
    assert "7 cache" in caplog.text


# -- the specification's functions


@pytest.fixture
def default(ward, monkeypatch) -> Ward:
    monkeypatch.setattr(overload_module, "_default", ward.overload)
    return ward


async def test_the_functions_speak_to_the_server_of_this_process(default):
    assert await handle_system_overload() == 1
    assert handle_system_overload() == 0
    assert default.overload.causes == ["requested"]
    assert trigger_emergency_cleanup() == {"subscriptions": 0, "orphans": 0}
    assert default.given_back == 1


def test_monitoring_memory_triggers_a_cleanup_over_the_mark(default):
    assert monitor_memory_usage() == 50
    assert default.given_back == 0
    default.percent = 80
    assert monitor_memory_usage() == 80
    assert default.given_back == 1


async def test_an_alert_of_ones_own_is_logged_and_handed_on(default, caplog):
    caplog.set_level(logging.WARNING)
    assert await send_alert("DISK_FULL", {"free_mb": 3}) == 1
    assert send_alert("again") == 1
    assert [(one.name, one.details) for one in default.changes] == [
        ("DISK_FULL", {"free_mb": 3}),
        ("again", None),
    ]
    assert "alert DISK_FULL is critical" in caplog.text


@pytest.mark.parametrize(
    ("name", "details"),
    [
        ("", None),
        ("a\nb", None),
        ("x" * 65, None),
        ("x", {"data": "y" * 5000}),
        ("x", {1: object()}),
        ("x", {"deep": "\ud800"}),
    ],
)
def test_an_alert_that_is_none_changes_nothing(default, name, details):
    with pytest.raises(ValueError, match=r"must|take"):
        send_alert(name, details)
    assert default.changes == []


def test_details_are_copied():
    given = {"a": [1]}
    kept = checked_details(given)
    given["a"].append(2)
    assert kept == {"a": [1]}


def test_without_a_server_they_work_on_the_connection_manager_alone(monkeypatch):
    monkeypatch.setattr(overload_module, "_default", None)
    try:
        assert handle_system_overload() == 1
        assert not overload_module.default_manager.accepting
        assert monitor_memory_usage() > 0
    finally:
        overload_module.default_overload().close()
    assert overload_module.default_manager.accepting


def test_the_last_server_made_on_the_default_manager_is_the_one(monkeypatch, ward):
    monkeypatch.setattr(overload_module, "_default", None)
    adopt(ward.overload)
    assert overload_module.default_overload() is ward.overload


# -- in the service


async def test_the_service_looks_once_a_second_and_hurries_its_cleanups():
    bench = await Workbench(
        subscription={"timeout": 100.0, "cleanup_interval": 300.0}, overload={"memory_limit": 1 << 40}
    ).start()
    service = bench.service
    bench.pass_time(1.25)
    assert service.alerts.value("memory_usage") is not None
    assert service.alerts.value("connection_count") == 0
    service.overload.enter(Cause.OPERATOR)
    far_end = bench.newcomer()
    far_end.send(type="connect", token=bench.token())
    await bench.settle()
    assert [one["code"] for one in far_end.take() if one["type"] == "error"] == [1013]
    service.overload.leave_by_hand()
    await bench.client()
    assert set(service.overload.cleaners) >= {"subscriptions", "orphans", "revocations"}
    dropped = service.overload.trigger_emergency_cleanup()
    assert dropped == dict.fromkeys(service.overload.cleaners, 0), "nobody has left anything behind"
    service.revocations.revoke_token("t1", bench.clock.time() + 5)
    bench.clock.advance(10)
    assert service.overload.trigger_emergency_cleanup()["revocations"] == 1


async def test_the_service_watches_memory_at_every_tick():
    bench = await Workbench().start()
    bench.service.overload.signals.memory.limit = 1
    bench.pass_time(0.25)
    assert bench.service.overload.causes == ["memory"]


async def test_the_service_takes_new_thresholds_on_reload():
    bench = await Workbench().start()
    fresh = Settings(
        auth=bench.manager.settings.auth,
        alerts=msgspec.structs.replace(bench.manager.settings.alerts, connection_count_warning=1),
        overload=msgspec.structs.replace(bench.manager.settings.overload, memory_limit=12345),
    )
    await bench.service.reconfigure(fresh)
    assert bench.service.alerts.thresholds["connection_count"].warning == 1
    assert bench.service.overload.signals.memory.limit == 12345
