"""Routes of the status page: its live feed and its charts."""

from typing import Final, Literal

import msgspec

from wsserver.errors import CONNECTION_LIMIT, INVALID_MESSAGE
from wsserver.web.handlers.status_series import MEDIA_TYPE
from wsserver.web.route import ANY_METHOD, Answer, Door, Refusal, Route

TAG: Final = "Status page"


class SeriesQuery(msgspec.Struct):
    """Which window."""

    window: Literal["15m", "6h"] = "15m"


STATUS: Final = (
    Route(
        # As with /ws/connect: the handshake itself answers a wrong one, once somebody has shown who asks.
        method=ANY_METHOD,
        path="/ws/admin",
        handler=lambda handlers: handlers.admin.connect,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="The live feed of the status page",
        description="A WebSocket of the same protocol, in JSON, with places of its own. Topics are "
        "`status:overview`, `status:slow`, `status:alerts`, `status:events` and `status:traces`; nobody "
        "publishes. With the cookie of a sign-in the `Origin` must be the server's own, and the `token` of "
        "the first frame the CSRF token.",
        tag=TAG,
        answers=(
            Answer(
                status=101,
                text="A WebSocket from here on.",
                media_types=(),
                headers={"Sec-WebSocket-Protocol": "The subprotocol that is spoken, if any was offered."},
            ),
        ),
        refusals=(
            Refusal(INVALID_MESSAGE, "The handshake is malformed."),
            Refusal(INVALID_MESSAGE, "A method other than GET.", status=405),
            Refusal(INVALID_MESSAGE, "No `Upgrade: websocket`, or a version other than 13.", status=426),
            Refusal(CONNECTION_LIMIT, "All places for viewers are taken."),
        ),
    ),
    Route(
        method="GET",
        path="/ws/status/series",
        handler=lambda handlers: handlers.series.series,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="The figures of the last hours",
        description="The length of a head as a 32-bit number, the head in JSON (`window`, `step`, `count`, "
        "`last_at`, `columns` with `name`, `unit` and `kind`), then each column as `count` single-precision "
        "numbers, oldest first, NaN where nothing is known. All numbers are little-endian.",
        tag=TAG,
        query=SeriesQuery,
        answers=(Answer(text="The window as of the last second.", media_types=(MEDIA_TYPE,)),),
    ),
)
