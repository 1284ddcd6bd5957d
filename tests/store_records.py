"""Records for the tests of stores, and how to append them."""

import asyncio
from typing import Any

import msgspec
from fake_clock import WALL

from wsserver.store.store import KeyRecord, MessageRecord, SessionRecord, Store


def message(number: int = 1, **changes: Any) -> MessageRecord:
    """A message that shows its number."""
    record = MessageRecord(
        id=f"m_{number}",
        topic="patient:7",
        type="vitals",
        patient_id="7",
        importance=3,
        stream=None,
        at=WALL,
        members=b'"n":%d}' % number,
    )
    return msgspec.structs.replace(record, **changes)


def session(key: bytes = b"k" * 32, **changes: Any) -> SessionRecord:
    return msgspec.structs.replace(SessionRecord(key=key, expires_at=WALL + 120, state=b"{}"), **changes)


def mark(key: bytes = b"i" * 32, **changes: Any) -> KeyRecord:
    return msgspec.structs.replace(KeyRecord(key=key, digest=b"d" * 32, created_at=WALL), **changes)


def append(store: Store, record: MessageRecord, key: KeyRecord | None = None) -> "asyncio.Future[int]":
    """Append and get a future of the place, which fails as the store says."""
    place: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    store.append(record, place.set_result, place.set_exception, key=key)
    return place
