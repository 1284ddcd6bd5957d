"""What is held and how the server is doing, as a scrape tells it."""

import pytest
from far_end import PING, PONG
from scrape import scrape, total, value
from workbench import Workbench

from wsserver._version import __version__
from wsserver.overload import Cause


async def test_subscriptions_are_told_by_known_types_and_patients_only_by_their_number() -> None:
    bench = await Workbench().start()
    client = await bench.client(patients=["5", "6"])
    for topic in ("patient:5", "patient:6", "patient:*", "ecg:lead1", "rare:x"):
        await bench.ask(client, type="subscribe", topic=topic)
    series = scrape(bench.service)
    assert value(series, "wsserver_subscriptions", type="patient") == 3
    assert value(series, "wsserver_subscriptions", type="ecg") == 1
    assert value(series, "wsserver_subscriptions", type="other") == 1
    assert value(series, "wsserver_patients") == 2
    assert value(series, "wsserver_topics") == 5
    assert value(series, "wsserver_subscriptions_wildcard") == 1
    assert value(series, "wsserver_subscription_events_total", kind="subscribed") == 5


async def test_a_store_that_fails_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = await Workbench().start()
    assert value(scrape(bench.service), "wsserver_store_fault") == 0
    figures = {**bench.manager.broadcasts.store.get_metrics(), "fault": "disk_full"}
    monkeypatch.setattr(bench.manager.broadcasts.store, "get_metrics", lambda: figures)
    assert value(scrape(bench.service), "wsserver_store_fault") == 1


async def test_overload_alerts_and_refusals_show_with_their_causes() -> None:
    bench = await Workbench().start()
    bench.service.overload.enter(Cause.OPERATOR)
    bench.manager.set_accept_connections(False)
    series = scrape(bench.service)
    assert value(series, "wsserver_overloaded", cause="operator") == 1
    assert total(series, "wsserver_overloaded") == 1
    assert value(series, "wsserver_overloads_total") == 1
    assert value(series, "wsserver_alert_level", alert="SYSTEM_OVERLOAD") == 2
    assert value(series, "wsserver_refusing", cause="operator") == 1
    assert value(series, "wsserver_refusing", cause="overload") == 1
    assert value(series, "wsserver_draining") == 0


async def test_a_drain_shows() -> None:
    bench = await Workbench().start()
    bench.manager.set_accept_connections(False, cause="drain")
    series = scrape(bench.service)
    assert value(series, "wsserver_draining") == value(series, "wsserver_refusing", cause="drain") == 1


async def test_heartbeats_are_counted_and_their_round_trips_sorted_in() -> None:
    bench = await Workbench().start()
    client = await bench.client()
    assert ("wsserver_connection_latency_seconds", ()) not in scrape(bench.service)
    while not (pings := [payload for opcode, payload in client.frames if opcode == PING]):
        bench.pass_time(0.25)
    bench.clock.advance(0.03)
    client.send_raw(PONG, pings[-1])
    series = scrape(bench.service)
    assert value(series, "wsserver_heartbeat_pings_total") >= 1
    assert value(series, "wsserver_heartbeats_total", outcome="answered") == 1
    assert value(series, "wsserver_heartbeat_rtt_seconds_count") == 1
    latency = value(series, "wsserver_connection_latency_seconds")
    assert latency == pytest.approx(value(series, "wsserver_heartbeat_rtt_seconds_sum"))
    assert latency == pytest.approx(bench.service.health.average_latency() / 1000)


async def test_the_lag_of_the_loop_is_sorted_in() -> None:
    bench = await Workbench().start()
    lag = bench.service.overload.signals.lag
    lag.measure()
    bench.clock.advance(0.4)
    lag.measure()
    series = scrape(bench.service)
    assert value(series, "wsserver_loop_lag_seconds_count") == 2
    assert value(series, "wsserver_loop_lag_seconds_sum") == pytest.approx(0.3)
    assert value(series, "wsserver_loop_lag_worst_seconds") == pytest.approx(0.3)


async def test_operations_and_failures_are_those_of_the_error_rate() -> None:
    bench = await Workbench().start()
    client = await bench.client()
    await bench.ask(client, type="nonsense")
    bench.service.operations.note(404)
    series = scrape(bench.service)
    operations, failures = bench.service.operation_totals()
    assert value(series, "wsserver_operations_total") == operations == 3
    assert value(series, "wsserver_operation_failures_total") == failures == 2
    assert value(series, "wsserver_http_request_failures_total") == 1


async def test_the_process_and_its_build_are_told() -> None:
    bench = await Workbench().start()
    series = scrape(bench.service)
    assert value(series, "process_resident_memory_bytes") > 1 << 20
    assert value(series, "process_open_fds") <= value(series, "process_max_fds")
    assert 0 < value(series, "wsserver_memory_used_bytes") < value(series, "wsserver_memory_limit_bytes")
    (labels,) = [dict(labels) for name, labels in series if name == "wsserver_build_info"]
    assert labels["version"] == __version__
