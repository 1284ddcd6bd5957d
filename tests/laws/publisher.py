"""Publishers that write down what they are about to send and what they were answered."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp

from laws.journal import Answer, Cursor, Journal, Send
from wsserver.connection_manager import ConnectionManager
from wsserver.protocol.report import DeliveryReport
from wsserver.protocol.topic import PATIENT, Topic


class _Publisher:
    """Names its messages and keeps count."""

    def __init__(self, name: str, journal: Journal) -> None:
        self.name = name
        self.heads: Cursor = {}
        """For each log the highest ``seq`` that it was answered."""
        self.statuses: Counter[int] = Counter()
        self._journal = journal
        self._numbers = itertools.count(1)

    @property
    def acked(self) -> int:
        return self.statuses[200]

    def _about_to_send(self, topic: str, body: dict[str, Any], key: str | None = None) -> dict[str, Any]:
        key = key or f"{self.name}-{next(self._numbers)}"
        body = {**body, "key": key}
        patient = topic.removeprefix("patient:") if topic.startswith("patient:") else body.get("patient_id")
        self._journal.write(
            Send(key=key, publisher=self.name, topic=topic, patient=patient, body=body, at=time.monotonic())
        )
        return body

    def _answered(self, key: str, status: int, report: dict[str, Any] | None) -> None:
        self._journal.write(Answer(key=key, at=time.monotonic(), status=status, report=report))
        self.statuses[status] += 1
        if report is not None:
            self.heads[report["log"]] = max(report["seq"], self.heads.get(report["log"], 0))


class InnerPublisher(_Publisher):
    """Publishes from within the server's process."""

    def __init__(self, name: str, journal: Journal, manager: ConnectionManager) -> None:
        super().__init__(name, journal)
        self._manager = manager
        self.reports: list[DeliveryReport] = []

    def publish(self, topic: str, body: dict[str, Any]) -> DeliveryReport:
        """Publish to ``patient:<id>``, ``<type>:*`` or ``*``."""
        body = self._about_to_send(topic, body)
        report = self._manager.publish(_topic(topic), body)
        self._answered(body["key"], 200, report.as_dict())
        self.reports.append(report)
        return report

    async def publish_and_wait(self, topic: str, body: dict[str, Any]) -> DeliveryReport:
        """The same where there is a disk to wait for."""
        body = self._about_to_send(topic, body)
        report = await self._manager.publish(_topic(topic), body)
        self._answered(body["key"], 200, report.as_dict())
        self.reports.append(report)
        return report


class HttpPublisher(_Publisher):
    """Publishes over HTTP, and tries again with the same key as long as it has no clear answer."""

    def __init__(
        self,
        name: str,
        journal: Journal,
        session: aiohttp.ClientSession,
        port: Callable[[], int],
        token: str,
        *,
        tries: int = 400,
        pause: float = 0.05,
        patience: float = 5.0,
    ) -> None:
        super().__init__(name, journal)
        self._session = session
        self._port = port
        self._token = token
        self._tries = tries
        self._pause = pause
        self._patience = aiohttp.ClientTimeout(total=patience)

    async def publish(self, topic: str, body: dict[str, Any], *, insist: bool = True) -> int:
        """Publish to ``patient:<id>``, ``<type>:*`` or ``*``; returns the last status.

        Whoever does not ``insist`` sends once, with no key, and may never know what became of it.
        """
        status, key = 0, None
        for attempt in range(self._tries if insist else 1):
            if attempt:
                await asyncio.sleep(self._pause)
            body = self._about_to_send(topic, body, key)
            key = body["key"]
            status, report = await self._try(topic, body, key if insist else None)
            self._answered(key, status, report)
            if 200 <= status < 500 and status != 429:
                break
        return status

    async def _try(
        self, topic: str, body: dict[str, Any], key: str | None
    ) -> tuple[int, dict[str, Any] | None]:
        url = f"http://127.0.0.1:{self._port()}/ws/broadcast/{_door(topic)}"
        headers = {"Authorization": f"Bearer {self._token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            async with self._session.post(url, json=body, headers=headers, timeout=self._patience) as answer:
                document = await answer.json()
                return answer.status, document["data"] if answer.status == 200 else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0, None


def _door(topic: str) -> str:
    if topic == "*":
        return "all"
    name, _, target = topic.partition(":")
    return f"patient/{target}" if name == PATIENT else f"type/{name}"


def _topic(topic: str) -> Topic:
    name, _, target = topic.partition(":")
    return Topic(name, target or "*")
