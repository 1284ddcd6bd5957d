"""Routes for whoever restarts and routes to this process."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from wsserver.web.route import Answer, Door, Route

TAG: Final = "Probes"


class Alive(msgspec.Struct):
    """The loop runs in time."""

    status: Literal["ok"]


class Failing(msgspec.Struct):
    """The loop is late, or was within the last five seconds."""

    status: Literal["failing"]
    reason: Literal["loop_lag"]


class Ready(msgspec.Struct):
    """New clients are welcome."""

    status: Literal["ready"]


class Unready(msgspec.Struct):
    """New clients are not welcome."""

    status: Literal["unready"]
    reason: Annotated[
        Literal["starting", "draining", "store_lost", "overloaded", "refusing", "full"],
        Meta(description="Why."),
    ]


PROBES: Final = (
    Route(
        method="GET",
        path="/health",
        handler=lambda handlers: handlers.probes.health,
        door=Door.NONE,
        summary="Whether the server runs in time",
        description="For restarts; let one need three in a row. Says nothing else, to anybody.",
        tag=TAG,
        answers=(
            Answer(text="It does.", data=Alive, example={"status": "ok"}, envelope=False),
            Answer(
                status=503,
                text="It does not.",
                data=Failing,
                example={"status": "failing", "reason": "loop_lag"},
                envelope=False,
            ),
        ),
        head=True,
        is_probe=True,
    ),
    Route(
        method="GET",
        path="/ready",
        handler=lambda handlers: handlers.probes.ready,
        door=Door.NONE,
        summary="Whether new clients are welcome",
        description="For routing.",
        tag=TAG,
        answers=(
            Answer(text="They are.", data=Ready, example={"status": "ready"}, envelope=False),
            Answer(
                status=503,
                text="They are not.",
                data=Unready,
                example={"status": "unready", "reason": "draining"},
                envelope=False,
            ),
        ),
        head=True,
        is_probe=True,
    ),
)
