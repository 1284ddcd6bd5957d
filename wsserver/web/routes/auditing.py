"""Routes about the access audit."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wsserver.audit.record import Outcome
from wsserver.web.handlers.auditing import MAX_SEQ
from wsserver.web.query import DEFAULT_LIMIT
from wsserver.web.route import Answer, Door, Route
from wsserver.web.routes.forms import Id, Instant, Limit, Reveal

TAG: Final = "Auditing"


class Record(msgspec.Struct):
    """Who did what, or was refused it."""

    seq: int
    at: Instant
    action: str
    actor: Annotated[str, Meta(description="A user, an operator, or `server`.")]
    role: str | UnsetType = UNSET
    connection_id: str | UnsetType = UNSET
    patient_id: str | UnsetType = UNSET
    topic: Annotated[str, Meta(description="Where it is not one patient.")] | UnsetType = UNSET
    right: Annotated[str, Meta(description="What allowed it, or was lacking.")] | UnsetType = UNSET
    outcome: Annotated[Outcome, Meta(description="Left out when it was allowed.")] | UnsetType = UNSET
    code: int | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET


class Head(msgspec.Struct):
    """Where the chain stands in the file."""

    log: str
    seq: int
    hash: Annotated[str, Meta(description="Keep it elsewhere: `wsserver audit verify --anchor`.")]


class Records(msgspec.Struct):
    """Records, newest first."""

    records: list[Record]
    cursor: Annotated[int | None, Meta(description="Ask on from here; null when there is nothing before.")]
    head: Annotated[Head | None, Meta(description="Null while records are kept in memory only.")]


class AuditQuery(msgspec.Struct):
    """Which records are asked for."""

    patient_id: Id | UnsetType = UNSET
    user_id: Annotated[Id, Meta(description="A user's id or an operator's name.")] | UnsetType = UNSET
    action: Annotated[str, Meta(pattern="^[a-z_]{1,40}$")] | UnsetType = UNSET
    from_: Annotated[str, Meta(description="A time that counts itself.")] | UnsetType = msgspec.field(
        name="from", default=UNSET
    )
    to: Annotated[str, Meta(description="A time that counts itself.")] | UnsetType = UNSET
    limit: Limit = DEFAULT_LIMIT
    cursor: (
        Annotated[int, Meta(ge=1, le=MAX_SEQ, description="The one of the answer before.")] | UnsetType
    ) = UNSET
    reveal: Reveal = False


AUDITING: Final = (
    Route(
        method="GET",
        path="/ws/audit",
        handler=lambda handlers: handlers.audit.find,
        door=Door.OPERATOR,
        scopes=("audit:read",),
        summary="Who watched or was refused whom, and what operators did",
        description="From memory, and beyond that from the file: 16 MiB of it at a time, so a page may hold "
        "fewer records than were asked for, or none, and a `cursor` to ask on from.",
        tag=TAG,
        query=AuditQuery,
        answers=(
            Answer(
                text="These there are.",
                data=Records,
                example={
                    "records": [
                        {
                            "seq": 4711,
                            "at": "2026-11-25T21:40:02.113Z",
                            "action": "subscribe",
                            "actor": "nurse7",
                            "role": "nurse",
                            "connection_id": "c_9f27fecbc51225c22150b167",
                            "patient_id": "123",
                            "right": "token",
                        },
                    ],
                    "cursor": 4711,
                    "head": {
                        "log": "log_0b9e1c554a96be1705d0a4c1",
                        "seq": 4711,
                        "hash": "9f27fecbc51225c22150b1675d0a4c111f0d3c52a96be1703c52a96be1705d0a",
                    },
                },
            ),
        ),
    ),
)
