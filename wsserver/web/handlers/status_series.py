"""The figures of the last hours over HTTP, for charts that are full when they open."""

from typing import Final

from aiohttp import hdrs, web

from wsserver.errors import INVALID_MESSAGE, ServerError
from wsserver.operators.operator import ADMIN_READ
from wsserver.status.series import Series
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import check_query

MEDIA_TYPE: Final = "application/octet-stream"


class SeriesHandler:
    """The handler of ``GET /ws/status/series``."""

    def __init__(self, door: OperatorDoor, series: Series) -> None:
        self._door = door
        self._series = series

    async def series(self, request: web.Request) -> web.StreamResponse:
        """``?window=15m`` by the second, ``6h`` by ten; see ``Window.packed`` for what comes."""
        await self._door.require(request, ADMIN_READ)
        check_query(request, "window")
        windows = self._series.windows
        window = windows.get(request.query.get("window", next(iter(windows))))
        if window is None:
            raise ServerError(INVALID_MESSAGE, f"window must be one of {', '.join(windows)}.")
        answer = web.Response(
            body=window.packed(),
            content_type=MEDIA_TYPE,
            headers={
                hdrs.CACHE_CONTROL: "no-store",
                "X-Content-Type-Options": "nosniff",
                hdrs.VARY: "Accept-Encoding",
            },
        )
        # Three hundred kilobytes are compressed in a thread of aiohttp's.
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            answer.enable_compression(web.ContentCoding.gzip)
        return answer
