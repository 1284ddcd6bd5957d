"""Pages of connections, held against all of them sorted at once."""

import asyncio
import random
from base64 import urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from workbench import Bench

from wsserver.connections.connection_info import ConnectionRow
from wsserver.connections.connection_pages import (
    SLICE,
    SORTS,
    BadCursor,
    ConnectionPage,
    ConnectionPages,
    ConnectionQuery,
)

FIELD = {
    "connected": "connected_at",
    "rtt": "rtt_ms",
    "idle": "idle_seconds",
    "pending": "pending_bytes",
    "drops": "dropped",
    "in": "messages_in",
    "out": "messages_out",
    "subscriptions": "subscriptions",
    "role": "role",
}


@pytest.fixture
def bench() -> Bench:
    """37 connections of a few users, which differ in all that can be sorted by, often in ties."""
    made = Bench(connection={"max_connections_per_user": 100})
    dice = random.Random(7)
    for number in range(37):
        made.clock.advance(dice.choice([0, 1, 5]))
        made.manager.hub.now = made.clock.monotonic()
        one, _ = made.connect(f"u{number % 5}", dice.choice(["doctor", "nurse"]), patient_id=number % 3)
        metadata = made.metadata(one)
        metadata.rtt = dice.choice([None, 0.01, 0.02, 0.3])
        for target in range(dice.randrange(4)):
            made.manager.subscribe(one, "ecg", target)
        if dice.random() < 0.4:
            made.manager.hub.block(metadata.handle)
    for _ in range(3):
        made.manager.broadcast_to_type("ecg", {"type": "ecg_data"})
    made.loop.run()
    return made


@pytest.fixture
def pages(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> ConnectionPages:
    # So that the few of these tests are several slices, too.
    monkeypatch.setattr("wsserver.connections.connection_pages.SLICE", 5)
    return ConnectionPages(bench.manager.inspector)


async def page(pages: ConnectionPages, limit: int = 100, **asked: Any) -> ConnectionPage:
    return await pages.read(ConnectionQuery(limit=limit, **asked), str)


async def walk(pages: ConnectionPages, limit: int, **asked: Any) -> list[ConnectionRow]:
    rows: list[ConnectionRow] = []
    cursor = None
    while True:
        one = await page(pages, limit, cursor=cursor, **asked)
        rows += one.connections
        assert len(one.connections) <= limit
        cursor = one.next_cursor
        if cursor is None:
            return rows


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 7, 36, 37, 38])
async def test_pages_joined_are_all_of_them_in_order(pages: ConnectionPages, sort: Any, limit: int) -> None:
    rows = await walk(pages, limit, sort=sort)
    assert len({row.connection_id for row in rows}) == len(rows) == 37
    keys = [getattr(row, FIELD[sort.removeprefix("-")]) for row in rows]
    known = [key for key in keys if key is not None]
    assert known == sorted(known, reverse=sort.startswith("-"))
    # Who has none yet comes last.
    assert keys == known + [None] * (len(keys) - len(known))
    assert len(set(keys)) > 1 or sort.removeprefix("-") in ("in", "drops", "idle")


@pytest.mark.parametrize(
    "asked",
    [
        {"role": "nurse"},
        {"user_id": "u3"},
        {"patient_id": "2"},
        {"protocol": "wsserver.v1.json"},
        {"protocol": "wsserver.v1.bin"},
        {"state": "ok"},
        {"state": "slow"},
        {"role": "doctor", "user_id": "u1", "patient_id": "0"},
        {"user_id": "nobody"},
    ],
    ids=str,
)
async def test_filters_let_through_what_fits_all_of_them(
    pages: ConnectionPages, asked: dict[str, Any]
) -> None:
    everybody = await walk(pages, 100)
    wanted = [row for row in everybody if all(getattr(row, name) == value for name, value in asked.items())]
    assert await walk(pages, 3, **asked) == wanted
    one = await page(pages, 1, **asked)
    assert (one.total, one.matching) == (37, len(wanted))


async def test_an_id_is_found_by_how_it_begins(bench: Bench, pages: ConnectionPages) -> None:
    some = next(iter(bench.manager.connections))
    found = await page(pages, begins=some[:10])
    assert [row.connection_id for row in found.connections] == [some]
    assert (await page(pages, begins="c_")).matching == 37
    assert (await page(pages, begins="x")).matching == 0


async def test_ids_are_shown_as_is_asked(pages: ConnectionPages) -> None:
    masked = await pages.read(ConnectionQuery(limit=100), lambda whole: "x")
    assert {(row.user_id, row.patient_id) for row in masked.connections} == {("x", "x")}


async def test_an_empty_server_has_an_empty_page() -> None:
    empty = await page(ConnectionPages(Bench().manager.inspector))
    assert msgspec.to_builtins(empty) == {"connections": [], "total": 0, "matching": 0, "next_cursor": None}


async def test_whoever_has_left_is_not_shown_and_whoever_comes_is_on_no_page_of_before(
    bench: Bench, pages: ConnectionPages
) -> None:
    first = await page(pages, 10)
    bench.manager.disconnect(first.connections[-1].connection_id)
    bench.clock.advance(1)
    late, _ = bench.connect("late")
    rows = await walk(pages, 10)
    assert [row.connection_id for row in rows[:9]] == [row.connection_id for row in first.connections[:9]]
    assert rows[-1].connection_id == late
    # The cursor still says where to go on, although its connection is gone.
    after = await page(pages, 100, cursor=first.next_cursor)
    assert [row.connection_id for row in after.connections] == [row.connection_id for row in rows[9:]]


async def test_those_that_leave_while_the_page_is_made_are_left_out(
    bench: Bench, pages: ConnectionPages
) -> None:
    reading = asyncio.ensure_future(page(pages, sort="-pending"))
    await asyncio.sleep(0)
    for connection_id in list(bench.manager.connections)[::2]:
        bench.manager.disconnect(connection_id)
    bench.loop.run()
    rows = (await reading).connections
    assert {row.connection_id for row in rows} == set(bench.manager.connections)


async def test_the_loop_has_its_turn_after_every_slice() -> None:
    crowd = Bench(
        connection={"max_connections_per_user": 10**4, "max_connections_per_role": 10**4},
    )
    for _ in range(4 * SLICE):
        crowd.connect()
    looked_at: list[int] = []
    seen = 0

    class Watched(ConnectionPages):
        def _matches(self, metadata: Any, query: ConnectionQuery) -> bool:
            nonlocal seen
            seen += 1
            return super()._matches(metadata, query)

    reading = asyncio.ensure_future(page(Watched(crowd.manager.inspector), 1000, sort="-out"))
    while not reading.done():
        before = seen
        await asyncio.sleep(0)
        looked_at.append(seen - before)
    assert max(looked_at) == SLICE
    assert seen == 4 * SLICE
    assert len((await reading).connections) == min(1000, 4 * SLICE)


# -- cursors


def spelled(value: Any) -> str:
    return urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "\ud800",
        "A" * 401,
        spelled(None),
        spelled([]),
        spelled(["connected", 1.0]),
        spelled(["connected", 1.0, "c_1", 2]),
        spelled(["connected", "1", "c_1"]),
        spelled(["connected", True, "c_1"]),
        spelled(["connected", 1.0, 5]),
        spelled(["-connected", 1.0, "c_1"]),
        spelled(["role", "nurse", "c_1"]),
        spelled([["connected"] * 100]),
    ],
    ids=lambda cursor: repr(cursor[:20]),
)
async def test_what_is_no_cursor_of_this_order_is_refused(pages: ConnectionPages, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await page(pages, cursor=cursor)


async def test_a_cursor_may_say_anything_of_its_own_kind(pages: ConnectionPages) -> None:
    for value in (-1e300, 0, 1e300, None):
        for sort in ("rtt", "-rtt"):
            await page(pages, sort=sort, cursor=spelled([sort, value, "zzz"]))
    assert (await page(pages, sort="role", cursor=spelled(["role", "m", ""]))).matching == 37
