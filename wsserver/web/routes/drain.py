"""Routes that send clients away and welcome them again."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from wsserver.errors import SHUTTING_DOWN
from wsserver.web.handlers.drain import DrainRequest
from wsserver.web.route import Answer, Body, Door, Refusal, Route

TAG: Final = "Operating"

State = Literal["serving", "waiting", "telling", "closing", "lingering", "drained", "cancelled", "ending"]


class DrainProgress(msgspec.Struct):
    """How far a drain is."""

    state: State
    total: Annotated[int, Meta(ge=0, description="Clients that were told.")]
    closed: Annotated[int, Meta(ge=0, description="Those of them that have been closed.")]
    open: Annotated[int, Meta(ge=0, description="Sockets that are still open.")]
    seconds_left: Annotated[float, Meta(ge=0, description="The most that it still takes.")]


_BEGUN: Final = {"state": "waiting", "total": 0, "closed": 0, "open": 2, "seconds_left": 25.0}
_SERVING: Final = {"state": "serving", "total": 0, "closed": 0, "open": 2, "seconds_left": 0.0}
_ENDING: Final = Refusal(SHUTTING_DOWN, "The process goes down for good.")

DRAIN: Final = (
    Route(
        method="POST",
        path="/ws/drain",
        handler=lambda handlers: handlers.draining.start,
        door=Door.OPERATOR,
        scopes=("admin:write",),
        summary="Send every client to other instances",
        description="Readiness says `draining` at once, handshakes are refused, and every client is told and "
        "closed with 4020, at a pace. Asked again it changes nothing and tells how far it is.",
        tag=TAG,
        body=Body(form=DrainRequest, example={"timeout": 25, "notice": 5, "return_rate": 50}, required=False),
        answers=(Answer(status=202, text="It has begun.", data=DrainProgress, example=_BEGUN),),
        refusals=(_ENDING,),
        has_effects=True,
    ),
    Route(
        method="GET",
        path="/ws/drain",
        handler=lambda handlers: handlers.draining.progress,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="How far the drain is",
        description="`serving` while there is none.",
        tag=TAG,
        answers=(Answer(text="So far it is.", data=DrainProgress, example=_SERVING),),
    ),
    Route(
        method="DELETE",
        path="/ws/drain",
        handler=lambda handlers: handlers.draining.cancel,
        door=Door.OPERATOR,
        scopes=("admin:write",),
        summary="Take clients again",
        description="Whoever was told to go but has not been closed stays.",
        tag=TAG,
        answers=(Answer(text="Handshakes are taken.", data=DrainProgress, example=_SERVING),),
        refusals=(_ENDING,),
        has_effects=True,
    ),
)
