"""Routes that follow messages from stage to stage."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wsserver.errors import INVALID_MESSAGE, NOT_FOUND
from wsserver.observe.message_trace import MAX_ARMED, State
from wsserver.observe.message_trail import Door as MessageDoor
from wsserver.observe.message_trail import Stage
from wsserver.observe.trace_order import TraceOrder
from wsserver.protocol.report import Durability
from wsserver.publishing.delivery_verdict import Reason
from wsserver.web.query import DEFAULT_LIMIT
from wsserver.web.route import Answer, Body, Door, Parameter, Refusal, Route
from wsserver.web.routes.forms import Instant, Limit, Reveal, RevealQuery

TAG: Final = "Explaining"

Us = Annotated[int, Meta(description="Microseconds since the message was received.")]


class Criteria(msgspec.Struct):
    """What is true of every message that is traced."""

    message_id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    patient_id: str | UnsetType = UNSET
    user_id: Annotated[str, Meta(description="Its publisher, or one of its recipients.")] | UnsetType = UNSET
    topic: str | UnsetType = UNSET


class Trace(msgspec.Struct):
    """A trace, and how far it is."""

    trace_id: str
    state: State
    armed_at: Instant
    by: str
    criteria: Criteria
    messages: Annotated[int, Meta(description="After so many it ends.")]
    seconds: Annotated[float, Meta(description="After this time it ends, too.")]
    body: bool
    seen: int


class TracedEncoding(msgspec.Struct):
    """One encoding of the message."""

    us: Us
    bytes: Annotated[int, Meta(description="Of its frame.")]


class TracedStage(msgspec.Struct):
    """A stage that the message came to, with the figures that belong to it."""

    stage: Stage
    us: Us | UnsetType = UNSET
    considered: int | UnsetType = UNSET
    matching: int | UnsetType = UNSET
    filtered: int | UnsetType = UNSET
    denied: int | UnsetType = UNSET
    encodings: dict[str, TracedEncoding] | UnsetType = UNSET
    matched: int | UnsetType = UNSET
    delivered: int | UnsetType = UNSET
    refused: dict[str, int] | UnsetType = UNSET
    written: int | UnsetType = UNSET
    queued: int | UnsetType = UNSET
    dropped: dict[str, int] | UnsetType = UNSET
    replayed: int | UnsetType = UNSET
    first_us: Us | UnsetType = UNSET


class TracedError(msgspec.Struct):
    """Why the message was refused."""

    code: int
    name: str
    message: str


class TracedConnection(msgspec.Struct):
    """What became of the message at one connection."""

    connection_id: str | None
    user_id: str | None
    outcome: Reason
    us: Annotated[int, Meta(description="When it was written.")] | UnsetType = UNSET
    ahead: Annotated[int, Meta(description="Frames that wait before it.")] | UnsetType = UNSET
    into: Annotated[str, Meta(description="The message that took its place.")] | UnsetType = UNSET
    clauses: Annotated[list[str], Meta(description="Where its filter is false.")] | UnsetType = UNSET


class TracedMessage(msgspec.Struct):
    """A message as a trace has seen it."""

    trace_id: str
    number: Annotated[int, Meta(description="Its place among those of its trace, from 1.")]
    message_id: str | None
    duplicate_of: Annotated[
        str | None, Meta(description="The message that was sent when this one was brought first.")
    ]
    ts: Instant
    door: MessageDoor
    publisher: Annotated[str | None, Meta(description="Null for the process itself.")]
    topic: str | None
    type: str | None
    patient_id: str | None
    size: Annotated[int | None, Meta(description="Bytes of JSON text.")]
    direct: Annotated[bool, Meta(description="Whether it was sent to one connection.")]
    log: str | None
    seq: int | None
    durability: Durability | None
    stage: Annotated[
        Stage,
        Meta(description="The last stage that it came to; of a refused one, the one that refused it."),
    ]
    error: TracedError | None
    settled: Annotated[bool, Meta(description="Whether every copy has been written or dropped.")]
    stages: list[TracedStage]
    connections: Annotated[list[TracedConnection], Meta(description="Those that lack it first.")]
    more: Annotated[int, Meta(description="Connections that are not told of.")]
    body: Annotated[
        str | None,
        Meta(description="How it begins, if the trace asked for it and the asker may see its patient."),
    ]


class Traces(msgspec.Struct):
    """All traces, and the newest messages."""

    armed: list[Trace]
    ended: Annotated[list[Trace], Meta(description="The latest first.")]
    messages: Annotated[list[TracedMessage], Meta(description="The newest first.")]


class TraceState(msgspec.Struct):
    """One trace."""

    trace: Trace


class TraceResults(msgspec.Struct):
    """One trace with its messages."""

    trace: Trace
    messages: Annotated[list[TracedMessage], Meta(description="The oldest first.")]


class TracesQuery(msgspec.Struct):
    """How much is asked for."""

    limit: Limit = DEFAULT_LIMIT
    reveal: Reveal = False


class ResultsQuery(msgspec.Struct):
    """Which messages are asked for."""

    limit: Limit = DEFAULT_LIMIT
    after: Annotated[int, Meta(ge=0, le=1_000_000, description="Only those with a higher number.")] = 0
    reveal: Reveal = False


_TRACE: Final[dict[str, Any]] = {
    "trace_id": "t_1f0d3c52a96be1705d0a4c11",
    "state": "armed",
    "armed_at": "2026-11-25T21:40:01.700Z",
    "by": "olga",
    "criteria": {"type": "ecg_data", "patient_id": "123"},
    "messages": 10,
    "seconds": 60,
    "body": False,
    "seen": 1,
}

_MESSAGE: Final[dict[str, Any]] = {
    "trace_id": "t_1f0d3c52a96be1705d0a4c11",
    "number": 1,
    "message_id": "m_0660f414f02a6541348d488996",
    "duplicate_of": None,
    "ts": "2026-11-25T21:40:02.113Z",
    "door": "rest",
    "publisher": "backend",
    "topic": "patient:123",
    "type": "ecg_data",
    "patient_id": "123",
    "size": 2048,
    "direct": False,
    "log": "0b9e1c55v",
    "seq": 42,
    "durability": "memory",
    "stage": "queued",
    "error": None,
    "settled": False,
    "stages": [
        {"stage": "received", "us": 0},
        {"stage": "validated", "us": 41},
        {"stage": "stored", "us": 55},
        {"stage": "matched", "us": 64, "considered": 4},
        {"stage": "filtered", "us": 64, "matching": 3, "filtered": 1, "denied": 0},
        {"stage": "encoded", "us": 78, "encodings": {"json": {"us": 78, "bytes": 2163}}},
        {"stage": "queued", "us": 85, "matched": 3, "delivered": 2, "refused": {"slow": 1}},
        {
            "stage": "written",
            "written": 1,
            "queued": 1,
            "dropped": {},
            "replayed": 0,
            "first_us": 190,
            "us": 190,
        },
    ],
    "connections": [
        {"connection_id": "c_5d0a4c111f0d3c52a96be170", "user_id": "nurse2", "outcome": "refused_slow"},
        {"connection_id": "c_a96be1705d0a4c111f0d3c52", "user_id": "nurse9", "outcome": "queued", "ahead": 3},
        {"connection_id": "c_9f27fecbc51225c22150b167", "user_id": "nurse7", "outcome": "written", "us": 190},
        {
            "connection_id": "c_3c52a96be1705d0a4c111f0d",
            "user_id": "doctor1",
            "outcome": "filtered",
            "clauses": ["severity"],
        },
    ],
    "more": 0,
    "body": None,
}

_PLACE: Final = {"trace_id": Parameter(text="The trace.", example="t_1f0d3c52a96be1705d0a4c11")}
_UNKNOWN: Final = Refusal(NOT_FOUND, "No such trace is armed, and none has ended lately.")

TRACING: Final = (
    Route(
        method="GET",
        path="/ws/traces",
        handler=lambda handlers: handlers.traces.all,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="Armed traces and the latest traced messages",
        description="The newest messages of all traces, each with its stages and 20 of its connections.",
        tag=TAG,
        query=TracesQuery,
        answers=(
            Answer(
                text="So it stands.",
                data=Traces,
                example={"armed": [_TRACE], "ended": [], "messages": [_MESSAGE]},
            ),
        ),
    ),
    Route(
        method="POST",
        path="/ws/traces",
        handler=lambda handlers: handlers.traces.arm,
        door=Door.OPERATOR,
        scopes=("admin:write",),
        summary="Follow the next messages of a kind from stage to stage",
        description="A message is traced when all that is given is true of it, for so many `messages` or "
        "`seconds`, whichever ends first. What it says is kept only with `body`, 2 KiB of it, until ten "
        "minutes after the end.",
        tag=TAG,
        query=RevealQuery,
        body=Body(form=TraceOrder, example={"type": "ecg_data", "patient_id": "123", "messages": 10}),
        answers=(Answer(text="It is armed.", data=TraceState, example={"trace": _TRACE}),),
        refusals=(
            Refusal(
                INVALID_MESSAGE,
                f"{MAX_ARMED} traces are armed already, or `message_id` has been delivered already.",
                status=409,
            ),
        ),
    ),
    Route(
        method="GET",
        path="/ws/traces/{trace_id}",
        handler=lambda handlers: handlers.traces.one,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="One trace and what it has seen",
        description="The messages of a trace that is armed or has ended lately, with up to 100 connections "
        "of each.",
        tag=TAG,
        place=_PLACE,
        query=ResultsQuery,
        answers=(
            Answer(
                text="So far it is.", data=TraceResults, example={"trace": _TRACE, "messages": [_MESSAGE]}
            ),
        ),
        refusals=(_UNKNOWN,),
    ),
    Route(
        method="DELETE",
        path="/ws/traces/{trace_id}",
        handler=lambda handlers: handlers.traces.disarm,
        door=Door.OPERATOR,
        scopes=("admin:write",),
        summary="End a trace",
        description="What it has seen stays.",
        tag=TAG,
        place=_PLACE,
        query=RevealQuery,
        answers=(
            Answer(
                text="It has ended, or had already.",
                data=TraceState,
                example={"trace": {**_TRACE, "state": "disarmed"}},
            ),
        ),
        refusals=(_UNKNOWN,),
    ),
)
