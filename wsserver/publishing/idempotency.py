"""A publisher that did not hear the answer asks again, and nothing happens twice."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec

from wsserver.clock import Clock
from wsserver.errors import INVALID_MESSAGE, ServerError
from wsserver.store.store import KeyRecord

MAX_KEY: Final = 255
"""Characters of a key."""

CLOSE_SECONDS: Final = 5.0
"""Seconds that what is under way may take when the server ends."""

_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY}}}", re.ASCII)

_NO_COUNTS: Final = dict.fromkeys(
    ("considered", "filtered", "denied", "matched", "delivered", "refused"), None
)

Answer = dict[str, Any]
Act = Callable[[KeyRecord], Awaitable[Answer]]


class KeyStore(Protocol):
    """The part of a store that remembers keys."""

    def put_key(self, key: KeyRecord) -> None:
        """Keep a key."""

    async def find_key(self, key: bytes) -> KeyRecord | None:
        """What was done under a key. Raises StoreUnavailable when that cannot be known."""
        ...


class _Running:
    """An act under way."""

    def __init__(self, digest: bytes, over: asyncio.Future[None]) -> None:
        self.digest = digest
        self.over = over


class IdempotencyKeys:
    """Sees to it that what is asked for under one key is done once.

    A key belongs to one user and one route. What was done is remembered by the store, for 24 hours
    or for the store's life; what failed is not, so that it can be tried again.
    """

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self.store = store
        self._clock = clock
        self._running: dict[bytes, _Running] = {}
        self._tasks: set[asyncio.Task[Answer]] = set()
        self.duplicates = 0
        """Requests that were answered with what had been done before, since the start."""

    async def once(self, user_id: str, route: str, key: str, body: bytes, act: Act) -> Answer:
        """The answer of ``act``, or the first answer again with ``duplicate`` set.

        ``act`` is given what the store may keep in one piece with the message. While another request
        does the same, this one waits for it. Raises ServerError 1003 for what is no key, with HTTP
        status 409 for a key that came with another body; and whatever ``act`` and the store raise.
        """
        if _KEY.fullmatch(key) is None:
            raise ServerError(
                INVALID_MESSAGE, f"Idempotency-Key must be 1 to {MAX_KEY} visible ASCII characters, once."
            )
        name, digest = _digest(user_id, route, key), hashlib.sha256(body).digest()
        while (running := self._running.get(name)) is not None:
            _compare(running.digest, digest)
            # If it fails, one of those who wait tries itself.
            await asyncio.shield(running.over)
        running = _Running(digest, asyncio.get_running_loop().create_future())
        self._running[name] = running
        record = KeyRecord(key=name, digest=digest, created_at=self._clock.time())
        # Whoever asked may be gone before the message is stored: it is found out all the same.
        task = asyncio.ensure_future(self._do(record, running, act))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _do(self, record: KeyRecord, running: _Running, act: Act) -> Answer:
        try:
            found = await self.store.find_key(record.key)
            if found is not None:
                _compare(found.digest, record.digest)
                self.duplicates += 1
                return {**_answer(found), "duplicate": True}
            answer = await act(record)
            self.store.put_key(
                msgspec.structs.replace(
                    record,
                    # The numbers of the other log mean nothing to the store.
                    seq=answer["seq"] if answer["durability"] == "fsync" else 0,
                    message_id=answer["message_id"],
                    answer=msgspec.json.encode(answer),
                )
            )
            return answer
        finally:
            del self._running[record.key]
            running.over.set_result(None)

    async def close(self) -> None:
        """Wait for what is under way, and give up what takes too long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()


def _answer(found: KeyRecord) -> Answer:
    if found.answer is None:
        # The server went down between storing the message and answering: its counts are nowhere.
        return {"message_id": found.message_id, "seq": found.seq, "durability": "fsync", **_NO_COUNTS}
    answer: Answer = msgspec.json.decode(found.answer)
    return answer


def _digest(user_id: str, route: str, key: str) -> bytes:
    # None of the three can hold a NUL.
    return hashlib.sha256("\0".join((user_id, route, key)).encode()).digest()


def _compare(first: bytes, now: bytes) -> None:
    if first != now:
        raise ServerError(
            INVALID_MESSAGE,
            "This Idempotency-Key came with another body before.",
            http_status=409,
            details={"reason": "idempotency_key_reused"},
        )
