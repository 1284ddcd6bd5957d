"""The figures of connections, messages and deliveries are those of what happened."""

import pytest
from scrape import scrape, total, value
from workbench import Workbench


async def test_connections_are_told_by_role_and_encoding() -> None:
    bench = await Workbench().start()
    await bench.client("u1", "doctor", binary=True)
    await bench.client("u2", "nurse")
    bench.newcomer()
    series = scrape(bench.service)
    assert value(series, "wsserver_connections", role="doctor") == 1
    assert value(series, "wsserver_connections", role="nurse") == 1
    assert value(series, "wsserver_connections_by_encoding", encoding="binary") == 1
    assert value(series, "wsserver_newcomers") == 1
    assert value(series, "wsserver_connections_limit") == 10_000


async def test_traffic_is_what_was_read_and_written() -> None:
    bench = await Workbench().start()
    client = await bench.client()
    await bench.ask(client, type="nonsense")
    series = scrape(bench.service)
    assert value(series, "wsserver_messages_total", direction="received") == 2
    assert value(series, "wsserver_messages_total", direction="sent") == len(client.frames)
    assert value(series, "wsserver_bytes_total", direction="sent") == len(client.data)
    assert value(series, "wsserver_errors_total") == 1


async def test_every_broadcast_has_its_importance_and_its_latency() -> None:
    bench = await Workbench().start()
    client = await bench.client(patients=["5"])
    await bench.ask(client, type="subscribe", topic="patient:5")
    for severity in ("critical", "normal", "normal"):
        bench.manager.broadcast_to_patient(5, {"type": "ecg_data", "severity": severity})
    bench.manager.broadcast_to_type("ecg", {"a": 1})
    bench.clock.advance(0.3)
    await bench.settle()
    # To one client and no broadcast.
    bench.manager.send_message(bench.owner(client).connection_id, {"a": 1})
    await bench.settle()
    series = scrape(bench.service)
    assert value(series, "wsserver_broadcasts_total", importance="critical") == 1
    assert total(series, "wsserver_broadcasts_total") == 4
    assert value(series, "wsserver_broadcast_enqueue_seconds_count", log="durable") == 3
    assert value(series, "wsserver_broadcast_enqueue_seconds_count", log="volatile") == 1
    assert value(series, "wsserver_broadcast_write_seconds_count", log="durable") == 3
    assert value(series, "wsserver_broadcast_write_seconds_sum", log="durable") == pytest.approx(0.9)
    assert value(series, "wsserver_broadcast_write_seconds_bucket", log="durable", le="0.2") == 0
    assert value(series, "wsserver_broadcast_write_seconds_count", log="volatile") == 0, "nobody got it"
    assert value(series, "wsserver_matched_total") == 4


async def test_a_client_that_does_not_read_shows() -> None:
    bench = await Workbench().start()
    client = await bench.client(patients=["5"])
    await bench.ask(client, type="subscribe", topic="patient:5")
    client.stuck = True
    bench.manager.hub.block(bench.owner(client).handle)
    for number in range(700):
        bench.manager.broadcast_to_patient(5, {"type": "ecg_data", "n": number})
        await bench.settle_once()
    series = scrape(bench.service)
    assert value(series, "wsserver_stalled_connections") == 1
    assert value(series, "wsserver_slow_connections") == 1
    assert value(series, "wsserver_queue_frames") == bench.manager.hub.frames_queued > 0
    assert value(series, "wsserver_queue_bytes") > 0
    assert value(series, "wsserver_dropped_total", reason="conflated") > 0


async def test_what_is_refused_for_its_rate_has_scope_and_limit() -> None:
    bench = await Workbench(rate_limit={"burst": 2, "refusals": 1}).start()
    client = await bench.client()
    for _ in range(3):
        await bench.ask(client, type="ack", message_id="m")
    series = scrape(bench.service)
    assert value(series, "wsserver_rate_limited_total", scope="connection", limit="messages") == 2
    assert value(series, "wsserver_offenders_closed_total") == 1
