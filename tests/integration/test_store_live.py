"""A server with its messages on disk: its answers, a disk that fails, and how it comes back."""

import asyncio
from pathlib import Path
from typing import Any

import apsw
import pytest
from forgetful_disk import Disk, DiskVFS
from http_request import request
from live_server import ALL_SCOPES, SECRET, LiveServer, token_of, until

from wsserver.store import sqlite_store
from wsserver.store.sqlite_file import SqliteFile

PUBLISHER = token_of("backend", "service", scope=ALL_SCOPES)
OPERATOR = token_of("ops", "admin", scope="admin:read metrics:read")


def in_file(folder: Path, **changes: Any) -> dict[str, Any]:
    return {"store": {"url": f"sqlite:///{folder}/store.db", "volatile_types": ("ecg_data",), **changes}}


async def test_a_durable_message_is_told_as_synced_and_a_volatile_one_is_not(
    start_server: Any, tmp_path: Path
) -> None:
    server: LiveServer = await start_server(**in_file(tmp_path))
    watcher = await server.enter("u1", "doctor", "patient:1")
    durable = await server.publish("patient/1", {"n": 1})
    volatile = await server.publish("patient/1", {"n": 2, "type": "ecg_data"})
    assert (durable["durability"], durable["seq"], durable["delivered"]) == ("fsync", 1, 1)
    assert (volatile["durability"], volatile["seq"], volatile["delivered"]) == ("memory", 1, 1)
    assert durable["log"] != volatile["log"]
    assert [(await watcher.receive())["n"] for _ in range(2)] == [1, 2]
    assert (await watcher.ask("ping"))["cursor"] == {durable["log"]: 1, volatile["log"]: 1}


async def test_a_server_that_starts_again_goes_on_with_its_log(start_server: Any, tmp_path: Path) -> None:
    first: LiveServer = await start_server(**in_file(tmp_path))
    told = [await first.publish("patient/1", {"n": number}) for number in range(3)]
    await first.end()
    second: LiveServer = await start_server(**in_file(tmp_path))
    history = second.manager.history
    kept = [(kept.frame.seq, kept.frame.log) for kept in history.after(0)]
    assert kept == [(one["seq"], one["log"]) for one in told]
    after = await second.publish("patient/1", {"n": 3})
    assert (after["log"], after["seq"]) == (told[0]["log"], 4)


async def test_the_frames_that_come_back_are_those_that_were_sent(start_server: Any, tmp_path: Path) -> None:
    first: LiveServer = await start_server(**in_file(tmp_path))
    for door, message in (
        ("patient/1", {"n": 1.5, "text": 'ä\u2028"', "nested": {"a": [1, None, True]}}),
        ("all", {"severity": "critical"}),
        ("type/ecg", {"type": "alarm", "severity": "high"}),
        ("patient/2", {}),
    ):
        await first.publish(door, message)
    sent = [kept.frame for kept in first.manager.history.after(0)]
    await first.end()
    second: LiveServer = await start_server(**in_file(tmp_path))
    back = [kept.frame for kept in second.manager.history.after(0)]
    assert [one.wire for one in back] == [one.wire for one in sent]
    for name in ("subject", "importance", "topic", "log", "seq", "stream", "lane", "time"):
        assert [getattr(one, name) for one in back] == [getattr(one, name) for one in sent], name


async def test_what_is_not_read_back_counts_as_gone(start_server: Any, tmp_path: Path) -> None:
    first: LiveServer = await start_server(**in_file(tmp_path))
    for number in range(10):
        await first.publish("patient/1", {"n": number})
    await first.end()
    second: LiveServer = await start_server(**in_file(tmp_path), history={"max_total_bytes": 4000})
    history = second.manager.history
    first_kept = min(kept.frame.seq for kept in history.after(0))
    assert first_kept > 1
    assert history.last_evicted[0] == first_kept - 1


async def test_a_manager_without_its_server_has_a_log_of_its_own(start_server: Any, tmp_path: Path) -> None:
    server: LiveServer = await start_server(**in_file(tmp_path))
    stored = await server.publish("patient/1", {})
    await server.end()
    report = server.manager.broadcast_to_patient(1, {})
    assert (report.durability, report.seq) == ("memory", 1)
    assert report.log != stored["log"]
    assert server.manager.history.messages == 1


async def test_what_waits_for_the_disk_at_the_end_is_still_delivered(
    start_server: Any, tmp_path: Path
) -> None:
    server: LiveServer = await start_server(**in_file(tmp_path, commit_interval=0.1))
    watcher = await server.enter("u1", "doctor", "patient:1")
    report = server.manager.broadcast_to_patient(1, {"n": 1})
    assert report.is_pending
    await server.end()
    assert int(report) == 1
    assert (await watcher.receive())["n"] == 1


# -- the disk fails


FAULTS = {"disk_full": apsw.FullError, "io_error": apsw.IOError, "read_only": apsw.ReadOnlyError}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stores are opened on a disk that fails when told to."""
    disk = Disk()
    vfs = DiskVFS(disk)
    monkeypatch.setattr(
        sqlite_store,
        "SqliteFile",
        lambda path, settings, vfs=None: SqliteFile(path, settings, vfs=DISK_NAME[0]),
    )
    DISK_NAME[:] = [vfs.name]
    yield disk
    vfs.unregister()


DISK_NAME: list[str] = []


async def ready(server: LiveServer) -> Any:
    return (await server.http("GET", "/ready")).json


async def alerts(server: LiveServer) -> list[Any]:
    answer = await server.http("GET", "/ws/alerts", token=OPERATOR)
    return [one["alert"] for one in answer.json["data"]["active"]]


@pytest.mark.parametrize("reason", FAULTS)
@pytest.mark.parametrize("moment", ["write", "sync"])
async def test_a_disk_that_fails_stops_durable_messages_alone_and_is_got_over(
    start_server: Any, tmp_path: Path, disk: Disk, reason: str, moment: str
) -> None:
    server: LiveServer = await start_server(**in_file(tmp_path))
    watcher = await server.enter("u1", "doctor", "patient:1")
    before = await server.publish("patient/1", {"n": 1})

    def fail(what: str, file: str) -> None:
        if what == moment:
            raise FAULTS[reason]

    disk.fail = fail
    # The first one finds it out, the second is refused at once.
    for number in (2, 3):
        answer = await server.http("POST", "/ws/broadcast/patient/1", {"n": number}, token=PUBLISHER)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        error = answer.json["error"]
        assert (error["code"], error["details"]) == (1005, {"reason": "store", "store": reason})
    assert await ready(server) == {"status": "unready", "reason": "store_lost"}
    assert "store" in await alerts(server)
    volatile = await server.publish("patient/1", {"n": 4, "type": "ecg_data"})
    assert volatile["delivered"] == 1
    disk.fail = None
    await until(lambda: server.service.store_keeper.fault is None, "the disk to be got over")
    after = await server.publish("patient/1", {"n": 5})
    assert (after["log"], after["seq"]) == (before["log"], before["seq"] + 1)
    assert await ready(server) == {"status": "ready"}
    assert "store" not in await alerts(server)
    assert [(await watcher.receive())["n"] for _ in range(3)] == [1, 4, 5]


async def test_what_was_refused_is_not_there_after_a_restart(
    start_server: Any, tmp_path: Path, disk: Disk
) -> None:
    server: LiveServer = await start_server(**in_file(tmp_path))
    await server.publish("patient/1", {"n": 1})

    def fail(what: str, file: str) -> None:
        if what == "sync":
            raise apsw.IOError

    disk.fail = fail
    answer = await server.http("POST", "/ws/broadcast/patient/1", {"n": 2}, token=PUBLISHER)
    assert answer.status == 503
    disk.fail = None
    await until(lambda: server.service.store_keeper.fault is None, "the disk to be got over")
    await server.publish("patient/1", {"n": 3})
    await server.end()
    second: LiveServer = await start_server(**in_file(tmp_path))
    wires = [kept.frame.wire for kept in second.manager.history.after(0)]
    assert [b'"n":2' in wire for wire in wires] == [False, False]


async def test_publishers_are_held_back_when_too_much_waits(start_server: Any, tmp_path: Path) -> None:
    server: LiveServer = await start_server(**in_file(tmp_path, max_pending=2, commit_interval=0.1))
    answers = await asyncio.gather(
        *(server.http("POST", "/ws/broadcast/patient/1", {"n": n}, token=PUBLISHER) for n in range(6))
    )
    stored = [one.json["data"]["seq"] for one in answers if one.status == 200]
    refused = [one.json["error"]["details"] for one in answers if one.status == 503]
    assert sorted(stored) == [*range(1, len(stored) + 1)]
    assert len(stored) >= 2
    assert refused
    assert all(one == {"reason": "store", "store": "busy"} for one in refused)


# -- processes


async def test_a_process_that_was_killed_goes_on_with_its_log(run: Any, tmp_path: Path) -> None:
    settings = f"[store]\nurl = 'sqlite:///{tmp_path}/store.db'\n"
    told = []
    for _ in range(3):
        server = await run(settings)
        await server.listening()
        for number in range(3):
            answer = await request(
                server.port, "POST", "/ws/broadcast/patient/1", {"n": number}, token=PUBLISHER
            )
            assert answer.status == 200
            told.append((answer.json["data"]["log"], answer.json["data"]["seq"]))
        server.process.kill()
        await server.ended()
    assert told == [(told[0][0], number) for number in range(1, 10)]


async def test_a_second_server_on_the_same_file_does_not_start(run: Any, tmp_path: Path) -> None:
    settings = f"[store]\nurl = 'sqlite:///{tmp_path}/store.db'\n"
    first = await run(settings)
    await first.listening()
    second = await run(settings)
    assert await second.ended() == 3
    assert "store.db cannot be used: another server uses it" in second.log
    first.process.terminate()
    assert await first.ended() == 0


async def test_a_damaged_file_is_not_begun_anew(run: Any, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database" * 100)
    server = await run(f"[store]\nurl = 'sqlite:///{tmp_path}/store.db'\n")
    assert await server.ended() == 3
    assert "is damaged" in server.log
    assert "move it aside" in server.log
    assert "Traceback" not in server.log
    assert SECRET not in server.log
    assert (tmp_path / "store.db").read_bytes() == b"not a database" * 100
