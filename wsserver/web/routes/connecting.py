"""The handshakes of WebSockets."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wsserver.errors import (
    BACKPRESSURE,
    CONNECTION_LIMIT,
    INVALID_MESSAGE,
    PERMISSION_DENIED,
    RATE_LIMIT,
    SHUTTING_DOWN,
)
from wsserver.web.route import ANY_METHOD, Answer, Door, Refusal, Route
from wsserver.web.routes.forms import Id

TAG: Final = "Connecting"

CONNECT_PATH: Final = "/ws/connect"


class HandshakeQuery(msgspec.Struct):
    """What a client may say of itself; only its token can prove it."""

    token: Annotated[str, Meta(description="Only with `auth.allow_query_token`.")] | UnsetType = UNSET
    user_id: Id | UnsetType = UNSET
    role: str | UnsetType = UNSET
    patient_id: Id | UnsetType = UNSET
    subscriptions: Annotated[str, Meta(description="Topics, with commas between them.")] | UnsetType = UNSET


_REFUSALS: Final = (
    Refusal(INVALID_MESSAGE, "The handshake is malformed."),
    Refusal(PERMISSION_DENIED, "A foreign `Origin`."),
    Refusal(INVALID_MESSAGE, "A method other than GET.", status=405),
    Refusal(INVALID_MESSAGE, "No `Upgrade: websocket`, or a version other than 13.", status=426),
    Refusal(CONNECTION_LIMIT, "Too many connections from this address.", status=429),
    Refusal(RATE_LIMIT, "Too many attempts from this address."),
    Refusal(CONNECTION_LIMIT, "Full, or short of file descriptors."),
    Refusal(BACKPRESSURE, "Overloaded, or told to take nobody."),
    Refusal(SHUTTING_DOWN, "Draining or going down."),
)

_UPGRADED: Final = Answer(
    status=101,
    text="A WebSocket from here on. Tokens that do not count, and limits of users and roles, are told "
    "over it.",
    media_types=(),
    headers={"Sec-WebSocket-Protocol": "The subprotocol that is spoken, if any was offered."},
)

CONNECTING: Final = (
    Route(
        # The handshake itself answers a wrong one, before anything else is looked at.
        method=ANY_METHOD,
        path=CONNECT_PATH,
        handler=lambda handlers: handlers.endpoint.connect,
        door=Door.NONE,
        summary="The WebSocket",
        description="Opens with the handshake of RFC 6455, version 13. What is said over it stands in "
        "`/ws/asyncapi.json`.",
        tag=TAG,
        query=HandshakeQuery,
        answers=(_UPGRADED,),
        refusals=_REFUSALS,
    ),
)

ECHO: Final = (
    Route(
        method=ANY_METHOD,
        path="/ws/echo",
        handler=lambda handlers: handlers.endpoint.echo,
        door=Door.NONE,
        summary="Every message back",
        description="For conformance tools; only with `--dev`.",
        tag=TAG,
        answers=(_UPGRADED,),
        refusals=_REFUSALS,
    ),
)
