"""A publisher writes before it sends and after it was answered, and asks again until it knows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from laws.evidence import Evidence
from laws.journal import Answer, Journal, Send, read_journals
from laws.publisher import HttpPublisher, InnerPublisher
from wsserver.connection_manager import ConnectionManager

REPORT = {"message_id": "m1", "log": "d", "seq": 7, "durability": "fsync"}


class Backend:
    """Answers as it is told, in turn; ``None`` hangs up instead."""

    def __init__(self, folder: Path, *statuses: int | None) -> None:
        self.folder = folder
        self.statuses = list(statuses)
        self.asked: list[tuple[str, str | None, Any]] = []
        self.written: list[int] = []
        """How many lines stood in the journal when each request came."""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, request.headers.get("Idempotency-Key"), await request.json()))
        self.written.append(len(list(read_journals(self.folder))))
        status = self.statuses.pop(0)
        if status is None:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"status": "success", "data": REPORT}, status=status or 200)


@asynccontextmanager
async def publisher_of(backend: Backend) -> AsyncIterator[HttpPublisher]:
    app = web.Application()
    app.router.add_post("/{tail:.*}", backend.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    with Journal(backend.folder / "p.journal") as journal:
        async with aiohttp.ClientSession() as session:
            yield HttpPublisher("p", journal, session, lambda: port, "token", pause=0.001)
    await runner.cleanup()


async def test_it_asks_again_with_the_same_key_until_it_is_answered(tmp_path: Path) -> None:
    backend = Backend(tmp_path, None, 503, 429, 200)
    async with publisher_of(backend) as publisher:
        assert await publisher.publish("patient:1", {"hr": 60}) == 200
        assert publisher.heads == {"d": 7}
        assert publisher.acked == 1
    once = ("/ws/broadcast/patient/1", "p-1", {"hr": 60, "key": "p-1"})
    assert backend.asked == [once] * 4
    # What it is about to send it has written down before.
    assert backend.written == [1, 3, 5, 7]
    lines = list(read_journals(tmp_path))
    assert [line.status for line in lines if isinstance(line, Answer)] == [0, 503, 429, 200]
    [publication] = Evidence(lines).acked
    assert (publication.topic, publication.patient, publication.durable) == ("patient:1", "1", True)


async def test_a_clear_refusal_is_an_answer(tmp_path: Path) -> None:
    backend = Backend(tmp_path, 400)
    async with publisher_of(backend) as publisher:
        assert await publisher.publish("ecg:*", {}) == 400
    assert Evidence(read_journals(tmp_path)).publications["p-1"].refused


async def test_who_does_not_insist_sends_once_and_without_a_key(tmp_path: Path) -> None:
    backend = Backend(tmp_path, None)
    async with publisher_of(backend) as publisher:
        assert await publisher.publish("*", {}, insist=False) == 0
    assert backend.asked == [("/ws/broadcast/all", None, {"key": "p-1"})]


def test_a_publisher_in_the_process_writes_the_same_lines(tmp_path: Path) -> None:
    with Journal(tmp_path / "p.journal") as journal:
        publisher = InnerPublisher("p", journal, ConnectionManager())
        report = publisher.publish("ecg:*", {"patient_id": "4"})
    sent, answered = read_journals(tmp_path)
    assert isinstance(sent, Send)
    assert isinstance(answered, Answer)
    assert (sent.patient, sent.key, answered.status) == ("4", "p-1", 200)
    assert publisher.heads == {report.log: report.seq}
