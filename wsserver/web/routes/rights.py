"""Routes that take rights back."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from wsserver.web.handlers.rights import RevokeRequest
from wsserver.web.route import Answer, Body, Door, Route


class Revoked(msgspec.Struct):
    """What was done."""

    connections: Annotated[int, Meta(ge=0, description="Connections that were concerned.")]
    took_ms: Annotated[float, Meta(ge=0, description="Milliseconds until all of them had been dealt with.")]


RIGHTS: Final = (
    Route(
        method="POST",
        path="/ws/revoke",
        handler=lambda handlers: handlers.rights.revoke,
        door=Door.OPERATOR,
        scopes=("admin:write",),
        summary="Take back tokens or rights",
        description="`user` or `token_id` closes their connections with 4511 and refuses the tokens given "
        "out so far; `user` with `patients` takes these rights away and closes nothing.",
        tag="Operating",
        body=Body(form=RevokeRequest, example={"user": "nurse7", "patients": ["123"]}),
        answers=(Answer(text="It is done.", data=Revoked, example={"connections": 1, "took_ms": 0.214}),),
        has_effects=True,
    ),
)
