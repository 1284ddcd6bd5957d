"""The latest messages with what became of them: what is kept, and for how long."""

import gc
import tracemalloc

import msgspec
import pytest
from workbench import Bench, Workbench

from wsserver.clock import utc_text
from wsserver.observe.delivery_records import OVERHEAD
from wsserver.protocol.topic import EVERYTHING
from wsserver.settings import RecordsSettings


@pytest.fixture
def bench() -> Bench:
    return Bench()


def watching(bench: Bench, user_id: str = "u1", patient_id: int = 1) -> int:
    """The handle of somebody who watches a patient."""
    one, _ = bench.connect(user_id, "doctor", patient_id)
    assert bench.manager.subscribe(one, "patient", patient_id)
    return bench.metadata(one).handle


def test_a_record_has_the_figures_and_nothing_that_the_message_says(bench: Bench) -> None:
    handle = watching(bench)
    bench.clock.advance(5)
    report = bench.manager.broadcast_to_patient(1, {"type": "vitals", "note": "canary"})
    record = bench.manager.records.get(report.message_id)
    assert record is not None
    assert record.as_dict() == {
        **report.as_dict(),
        "ts": utc_text(bench.clock.time()),
        "type": "vitals",
        "patient_id": "1",
        "size": len('{"type":"vitals","note":"canary"}'),
        "direct": False,
        "outcome": {
            "written": 0,
            "queued": 1,
            "dropped": {"slow": 0, "conflated": 0, "expired": 0, "closed": 0, "shutdown": 0},
        },
        "acknowledged": 0,
    }
    assert "canary" not in repr(record)
    assert (record.at, record.published_at) == (bench.clock.monotonic(), bench.clock.time())
    assert handle in record.addressees


def test_the_outcome_is_that_of_the_moment_one_asks(bench: Bench) -> None:
    watching(bench)
    report = bench.manager.broadcast_to_patient(1, {"n": 1})
    record = bench.manager.records.get(report.message_id)
    assert record is not None
    bench.loop.run()
    assert record.as_dict()["outcome"]["written"] == 1


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536, 70_000])
def test_the_body_comes_back_out_of_the_frame_as_it_was_published(bench: Bench, size: int) -> None:
    for padding in range(size - 130, size):
        body = {"type": "x", "pad": "{" * max(padding, 0), "list": (1, 2.5, None)}
        report = bench.manager.broadcast_to_all(body)
        record = bench.manager.records.get(report.message_id)
        assert record is not None
        assert record.body() == {**body, "list": [1, 2.5, None]}
        if size > 200 and padding > size - 120:
            break


def test_the_newest_are_kept(bench: Bench) -> None:
    bench.manager.records.configure(RecordsSettings(messages=3))
    ids = [bench.manager.broadcast_to_all({"n": number}).message_id for number in range(5)]
    records = bench.manager.records
    assert [record.report.message_id for record in records] == ids[2:]
    assert [records.get(one) is not None for one in ids] == [False, False, True, True, True]
    assert len(records) == 3
    records.configure(RecordsSettings(messages=1))
    assert [record.report.message_id for record in records] == ids[4:]
    records.configure(RecordsSettings(messages=0))
    assert (len(records), records.bytes) == (0, 0)
    bench.manager.broadcast_to_all({})
    assert len(records) == 0


def test_other_messages_do_not_push_alerts_out(bench: Bench) -> None:
    records = bench.manager.records
    records.configure(RecordsSettings(messages=2))
    alerts = [
        bench.manager.broadcast_to_all({"type": "alert", "severity": severity}).message_id
        for severity in ("high", "critical", "high")
    ]
    data = [bench.manager.broadcast_to_all({"n": number}) for number in range(5)]
    kept = [*alerts[1:], *(report.message_id for report in data[3:])]
    assert [record.report.message_id for record in records] == kept
    assert records.get(alerts[0]) is None
    last = records.get(alerts[2])
    assert last is not None
    assert records.at(last.report.log, last.report.seq) is last
    assert records.bytes == sum(record.cost for record in records)


def test_of_bytes_alerts_and_others_have_half_each_when_there_are_many_of_both(bench: Bench) -> None:
    records = bench.manager.records
    cost = bench.manager.broadcast_to_all({"type": "alert", "severity": "high", "n": 1})
    record = records.get(cost.message_id)
    assert record is not None
    records.configure(RecordsSettings(max_total_bytes=8 * record.cost))
    for number in range(20):
        bench.manager.broadcast_to_all({"type": "alert", "severity": "high", "n": number})
    assert len(records) in (7, 8), "as long as there is nothing else they have all"
    for number in range(20):
        bench.manager.broadcast_to_all({"type": "vitals", "severity": "none", "n": number})
    kinds = [record.type for record in records]
    assert abs(kinds.count("alert") - kinds.count("vitals")) <= 1
    assert records.bytes <= 8 * record.cost


async def test_both_forms_of_a_message_count() -> None:
    bench = await Workbench().start()
    await bench.client("u1", binary=True)
    report = bench.manager.broadcast_to_all({"n": 1})
    record = bench.manager.records.get(report.message_id)
    assert record is not None
    assert record.frame.binary is not None
    assert record.cost == OVERHEAD + len(record.frame.wire) + len(record.frame.binary) + 8


def test_bytes_bound_them_as_well_those_of_recipients_included(bench: Bench) -> None:
    handles = [watching(bench, f"u{number}") for number in range(10)]
    one = bench.manager.broadcast_to_patient(1, {"n": 1})
    records = bench.manager.records
    record = records.get(one.message_id)
    assert record is not None
    assert records.bytes == record.cost == OVERHEAD + len(record.frame.wire) + 8 * len(handles)
    records.configure(RecordsSettings(max_total_bytes=3 * record.cost))
    for _ in range(5):
        bench.manager.broadcast_to_patient(1, {"n": 1})
    assert len(records) == 3
    bench.manager.broadcast_to_patient(1, {"n": "x" * record.cost})
    assert len(records) == 1
    bench.manager.broadcast_to_patient(1, {"n": "x" * 3 * record.cost})
    assert (len(records), records.bytes) == (0, 0), "one that is over the bound by itself is not kept"


def test_what_a_record_costs_is_about_what_it_takes(bench: Bench) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(1000):
            bench.manager.broadcast_to_all({"type": "ecg_data", "n": number})
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.6 * bench.manager.records.bytes < taken < 1.2 * bench.manager.records.bytes


def test_a_message_is_found_by_its_place(bench: Bench) -> None:
    reports = [bench.manager.broadcast_to_all({"n": number}) for number in range(3)]
    records = bench.manager.records
    record = records.at(reports[1].log, reports[1].seq)
    assert record is records.get(reports[1].message_id)
    assert records.at("another", reports[1].seq) is None
    assert records.at(reports[1].log, 99) is None


def test_acknowledgements_count_once_and_only_of_those_it_was_for(bench: Bench) -> None:
    handle, other = watching(bench, "u1", 1), watching(bench, "u2", 2)
    report = bench.manager.broadcast_to_patient(1, {})
    records = bench.manager.records
    before = records.bytes
    assert records.acknowledge(report.message_id, handle)
    assert not records.acknowledge(report.message_id, handle)
    assert not records.acknowledge(report.message_id, other)
    assert not records.acknowledge("m_unknown", handle)
    record = records.get(report.message_id)
    assert record is not None
    assert record.as_dict()["acknowledged"] == 1
    assert records.bytes == before + 1 == record.cost


def test_a_message_to_one_connection_knows_which(bench: Bench) -> None:
    one, _ = bench.connect()
    report = bench.manager.send_message(one, {"n": 1})
    record = bench.manager.records.get(report.message_id)
    assert record is not None
    assert record.target == bench.metadata(one).handle
    assert record.topic == EVERYTHING
    assert record.as_dict()["direct"] is True


def test_connections_that_ended_last_are_remembered(bench: Bench) -> None:
    bench.manager.records.configure(RecordsSettings(connections=2))
    bench.clock.advance(1)
    ids = [bench.connect(user)[0] for user in ("u1", "u2", "u1")]
    handles = [bench.metadata(one).handle for one in ids]
    connected = bench.clock.monotonic()
    bench.clock.advance(7)
    for one in ids:
        bench.manager.disconnect(one)
    records = bench.manager.records
    assert records.ended(ids[0]) is None
    last = records.ended(ids[2])
    assert last is not None
    assert (last.connection_id, last.user_id, last.handle) == (ids[2], "u1", handles[2])
    assert (last.connected_at, last.ended_at) == (connected, connected + 7)
    assert records.ended_of("u1") == [last]
    records.configure(RecordsSettings(connections=0))
    assert records.ended(ids[2]) is None
    bench.manager.disconnect(bench.connect("u3")[0])
    assert records.ended_of("u3") == []


def test_new_settings_come_through_the_manager(bench: Bench) -> None:
    bench.manager.broadcast_to_all({})
    bench.manager.configure(
        msgspec.structs.replace(bench.manager.settings, records=RecordsSettings(messages=0))
    )
    assert len(bench.manager.records) == 0
