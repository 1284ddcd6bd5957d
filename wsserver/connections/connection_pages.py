"""Lists of connections, page by page: filtered, sorted, and never holding the loop up.

All connections are walked, a slice of them in each turn of the loop, and only the rows of the page are kept
and built. A page goes on behind the last row of the one before by that row's sort key and id. With
a key that changes, such as what waits, a connection may stand on two pages or on none.
"""

import asyncio
import heapq
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from wsserver.connections.connection_info import ConnectionInspector, ConnectionRow, ConnectionStateName
from wsserver.connections.connection_metadata import ConnectionMetadata

Sort: TypeAlias = Literal[
    "connected", "rtt", "idle", "pending", "drops", "in", "out", "subscriptions", "role",
    "-connected", "-rtt", "-idle", "-pending", "-drops", "-in", "-out", "-subscriptions", "-role",
]  # fmt: skip

SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
"""What a list may be sorted by; with ``-`` the largest first. Who has no round trip yet comes last."""

SLICE: Final = 250
"""Connections that are looked at in one turn of the loop: 1 to 2 ms."""

ROWS: Final = 25
"""Rows that are built in one turn: about 1 ms."""

MAX_CURSOR: Final = 400

_Key: TypeAlias = tuple[float | str, str]
_Marked: TypeAlias = tuple[_Key, ConnectionMetadata]


class BadCursor(ValueError):
    """It is no cursor of such a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionQuery:
    """Which connections, in which order, and where to go on."""

    limit: int
    sort: Sort = "connected"
    cursor: str | None = None
    role: str | None = None
    state: ConnectionStateName | None = None
    user_id: str | None = None
    patient_id: str | None = None
    protocol: str | None = None
    begins: str | None = None
    """The beginning of the connection id."""


class ConnectionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the connections."""

    connections: list[ConnectionRow]
    total: int
    """Open connections."""
    matching: int
    """Those among them that the filters let through, on whichever page."""
    next_cursor: str | None
    """Where the next page begins; None behind the last."""


class ConnectionPages:
    """Reads pages of the connections of one manager."""

    def __init__(self, inspector: ConnectionInspector) -> None:
        self._inspector = inspector

    async def read(self, query: ConnectionQuery, show: Callable[[str], str]) -> ConnectionPage:
        """One page; ``show`` turns ids of users and patients into what is shown.

        Raises BadCursor for a cursor that is none, or that of another order.
        """
        descending, name = query.sort.startswith("-"), query.sort.removeprefix("-")
        behind = None if query.cursor is None else _read_cursor(query.cursor, query.sort)
        measure = _MEASURES[name]
        # What is open now. Whoever comes meanwhile is on a later page, or on none.
        everybody = list(self._inspector.connections.values())
        best: list[_Marked] = []
        matching = 0
        choose = heapq.nlargest if descending else heapq.nsmallest
        worst = -math.inf if descending else math.inf
        for start in range(0, len(everybody), SLICE):
            chosen = [one for one in everybody[start : start + SLICE] if self._matches(one, query)]
            matching += len(chosen)
            marked = [(self._key(measure, one, worst), one) for one in chosen]
            if behind is not None:
                marked = [one for one in marked if _is_behind(one[0], behind, descending)]
            if len(best) > query.limit:
                # Most come too late for the page, and need not be sorted.
                last = best[-1][0]
                marked = [one for one in marked if not _is_behind(one[0], last, descending)]
            if marked:
                best = choose(query.limit + 1, [*best, *marked], key=_key_of)
            await asyncio.sleep(0)
        rows = await self._rows((one for _, one in best[: query.limit]), show)
        more = len(best) > query.limit
        return ConnectionPage(
            connections=rows,
            total=len(everybody),
            matching=matching,
            next_cursor=_write_cursor(query.sort, best[query.limit - 1][0]) if more else None,
        )

    def _matches(self, metadata: ConnectionMetadata, query: ConnectionQuery) -> bool:
        if query.role is not None and metadata.role != query.role:
            return False
        if query.user_id is not None and metadata.user_id != query.user_id:
            return False
        if query.patient_id is not None and metadata.patient_id != query.patient_id:
            return False
        if query.protocol is not None and metadata.protocol != query.protocol:
            return False
        if query.begins is not None and not metadata.connection_id.startswith(query.begins):
            return False
        return query.state is None or self._inspector.state(metadata) == query.state

    def _key(self, measure: "_Measure", metadata: ConnectionMetadata, worst: float) -> _Key:
        value = measure(self._inspector, metadata)
        return (worst if value is None else value, metadata.connection_id)

    async def _rows(
        self, chosen: Iterable[ConnectionMetadata], show: Callable[[str], str]
    ) -> list[ConnectionRow]:
        rows = []
        for metadata in chosen:
            if self._inspector.connections.get(metadata.connection_id) is not metadata:
                continue
            rows.append(self._inspector.row(metadata, show))
            if len(rows) % ROWS == 0:
                await asyncio.sleep(0)
        return rows


_Measure: TypeAlias = Callable[[ConnectionInspector, ConnectionMetadata], float | str | None]


def _figure(place: int) -> _Measure:
    def measure(inspector: ConnectionInspector, metadata: ConnectionMetadata) -> float:
        figures = inspector.hub.connection_figures(metadata.handle)
        return 0 if figures is None else figures[place]

    return measure


_MEASURES: Final[dict[str, _Measure]] = {
    "connected": lambda _, metadata: metadata.connected_at,
    "rtt": lambda _, metadata: metadata.rtt,
    "idle": lambda inspector, metadata: -inspector.hub.last_received(metadata.handle),
    "pending": _figure(3),
    "drops": lambda inspector, metadata: inspector.hub.dropped_of(metadata.handle),
    "in": lambda _, metadata: getattr(metadata.link, "messages_received", 0),
    "out": _figure(0),
    "subscriptions": lambda inspector, metadata: inspector.subscriptions.count(metadata),
    "role": lambda _, metadata: metadata.role,
}


def _key_of(marked: _Marked) -> _Key:
    return marked[0]


def _is_behind(key: _Key, last: _Key, descending: bool) -> bool:
    return key < last if descending else key > last


def _write_cursor(sort: str, key: _Key) -> str:
    value, connection_id = key
    told = None if value in (math.inf, -math.inf) else value
    return urlsafe_b64encode(msgspec.json.encode([sort, told, connection_id])).rstrip(b"=").decode()


def _read_cursor(text: str, sort: str) -> _Key:
    form: Any = tuple[str, str, str] if sort.removeprefix("-") == "role" else tuple[str, float | None, str]
    try:
        if len(text) > MAX_CURSOR:
            raise ValueError
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        of, value, connection_id = msgspec.json.decode(raw, type=form)
    except (ValueError, RecursionError):
        raise BadCursor from None
    if of != sort:
        raise BadCursor
    if value is None:
        value = -math.inf if sort.startswith("-") else math.inf
    return value, connection_id
