"""Routes that say why somebody does or did not get a message."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wsserver.errors import NOT_FOUND
from wsserver.protocol.control import GapReason
from wsserver.protocol.report import Durability
from wsserver.publishing.delivery_verdict import Reason
from wsserver.subscriptions.match_explainer import Outcome
from wsserver.web.handlers.explaining import TraceRequest
from wsserver.web.route import Answer, Body, Door, Parameter, Refusal, Route
from wsserver.web.routes.forms import Id, Instant, Reveal, RevealQuery

TAG: Final = "Explaining"


class Clause(msgspec.Struct):
    """One condition of a filter, and what the message has for it."""

    place: Annotated[str, Meta(description="Where it stands in the filter.")]
    path: str
    operator: str
    wanted: Any
    holds: bool
    negated: Annotated[bool, Meta(description="Whether it stands under `$not`, so that it must not hold.")]
    there: Annotated[bool, Meta(description="Whether the path leads anywhere in the message.")]
    found: Annotated[list[Any], Meta(description="The first values it leads to.")]
    more: bool
    is_list: bool
    suggestion: Annotated[str | None, Meta(description="A path that was perhaps meant.")]


class MatchVerdict(msgspec.Struct):
    """One subscription, and whether the message is for it."""

    subscription_id: str
    connection_id: str
    subscription_type: str
    target_id: str
    filters: dict[str, Any]
    outcome: Outcome
    text: Annotated[str, Meta(description="The same for people.")]
    clauses: list[Clause] | UnsetType = UNSET


class MatchTrace(msgspec.Struct):
    """Who would get the message, and why the others would not."""

    topic: str
    patient_id: str | None
    considered: int
    matching: int
    filtered: int
    denied: int
    subscriptions: Annotated[list[MatchVerdict], Meta(description="At most `limit` of each outcome.")]


class ConnectionTrace(msgspec.Struct):
    """The same for the subscriptions of one connection."""

    subscriptions: list[MatchVerdict]


class Outcomes(msgspec.Struct):
    """What became of a message in the queues that took it."""

    written: int
    queued: int
    dropped: dict[str, int]


class SentMessage(msgspec.Struct):
    """A message that was sent, in figures: nothing of what it says."""

    message_id: str
    topic: str
    log: str
    seq: int
    durability: Durability
    duplicate: bool
    considered: int
    filtered: int
    denied: int
    matched: int
    delivered: int
    refused: dict[str, int]
    ts: Instant
    type: str | None
    patient_id: str | None
    size: Annotated[int, Meta(description="Bytes of JSON text.")]
    direct: Annotated[bool, Meta(description="Whether it was sent to one connection.")]
    outcome: Outcomes
    acknowledged: int


class Replacement(msgspec.Struct):
    """The messages that took the place of one, the first and the last of them."""

    seq: int
    message_id: str | None
    last_seq: int
    last_message_id: str | None


class Waiting(msgspec.Struct):
    """The place in a queue."""

    ahead: Annotated[int, Meta(description="Frames before it.")]
    leaving: Annotated[bool, Meta(description="Whether it has begun to leave.")]


class GapRecord(msgspec.Struct, rename={"from_": "from"}):
    """What the client has been told that it lacks."""

    told_at: Instant
    reason: GapReason
    from_: int | None
    to: int | None
    count: Annotated[int | None, Meta(description="Null where they may be fewer.")]


class DeliveryVerdict(msgspec.Struct):
    """What became of one message at one connection."""

    connection_id: str
    open: bool
    connected_at: Instant
    ended_at: Instant | None
    reason: Reason
    certain: Annotated[bool, Meta(description="Whether it is known, and not told from how things are now.")]
    text: Annotated[str, Meta(description="The same for people.")]
    subscriptions: list[MatchVerdict]
    into: Replacement | UnsetType = UNSET
    waiting: Waiting | UnsetType = UNSET
    gap: GapRecord | UnsetType = UNSET
    topics: Annotated[list[str], Meta(description="What it is subscribed to instead.")] | UnsetType = UNSET
    values_withheld: bool | UnsetType = UNSET


class DeliveryExplanation(msgspec.Struct):
    """A message and what became of it at the connections that were asked for."""

    message: SentMessage
    connections: list[DeliveryVerdict]


class ExplainQuery(msgspec.Struct):
    """Whom the question is about; not both."""

    connection_id: Id | UnsetType = UNSET
    user_id: Id | UnsetType = UNSET
    reveal: Reveal = False


_VERDICT: Final = {
    "subscription_id": "s_97f5171f2d9d4e77",
    "connection_id": "c_9f27fecbc51225c22150b167",
    "subscription_type": "patient",
    "target_id": "123",
    "filters": {"vitals.hr": {"$gt": 140}},
    "outcome": "filtered",
    "text": "✗ vitals.hr is 135, wanted > 140",
    "clauses": [
        {
            "place": "vitals.hr.$gt",
            "path": "vitals.hr",
            "operator": "$gt",
            "wanted": 140,
            "holds": False,
            "negated": False,
            "there": True,
            "found": [135],
            "more": False,
            "is_list": False,
            "suggestion": None,
        }
    ],
}

_TRACE: Final = {
    "topic": "patient:123",
    "patient_id": "123",
    "considered": 1,
    "matching": 0,
    "filtered": 1,
    "denied": 0,
    "subscriptions": [_VERDICT],
}

_EXPLANATION: Final = {
    "message": {
        "message_id": "m_0660f414f02a6541348d488996",
        "topic": "patient:123",
        "log": "0b9e1c55v",
        "seq": 42,
        "durability": "memory",
        "duplicate": False,
        "considered": 1,
        "filtered": 1,
        "denied": 0,
        "matched": 0,
        "delivered": 0,
        "refused": {},
        "ts": "2026-11-25T21:40:02.113Z",
        "type": "vitals",
        "patient_id": "123",
        "size": 38,
        "direct": False,
        "outcome": {"written": 0, "queued": 0, "dropped": {"slow": 0, "closed": 0}},
        "acknowledged": 0,
    },
    "connections": [
        {
            "connection_id": "c_9f27fecbc51225c22150b167",
            "open": True,
            "connected_at": "2026-11-25T21:32:57.020Z",
            "ended_at": None,
            "reason": "filtered",
            "certain": True,
            "text": "The filter of each subscription to the topic is false for the message. "
            "False: vitals.hr.$gt.",
            "values_withheld": False,
            "subscriptions": [_VERDICT],
        }
    ],
}

EXPLAINING: Final = (
    Route(
        method="POST",
        path="/ws/trace",
        handler=lambda handlers: handlers.explaining.trace,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="Who would get a message, and why not the others",
        description="A dry run: nothing is sent and nothing counted. Without `topic` the message goes where "
        "it says itself, by `patient_id` or `type`. With `connection_id` all subscriptions of that "
        "connection are explained.",
        tag=TAG,
        body=Body(
            form=TraceRequest,
            example={
                "message": {"type": "vitals", "vitals": {"hr": 135}},
                "topic": "patient:123",
                "limit": 20,
            },
        ),
        query=RevealQuery,
        answers=(Answer(text="So it would go.", data=(MatchTrace, ConnectionTrace), example=_TRACE),),
        refusals=(Refusal(NOT_FOUND, "There is no such connection."),),
    ),
    Route(
        method="GET",
        path="/ws/explain/{message_id}",
        handler=lambda handlers: handlers.explaining.explain,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="What became of a message, and why somebody did or did not get it",
        description="Without a query parameter the figures of the message alone. Values out of the message "
        "are shown only to those who may see its patient.",
        tag=TAG,
        place={"message_id": Parameter(text="The message.", example="m_0660f414f02a6541348d488996")},
        query=ExplainQuery,
        answers=(Answer(text="So it went.", data=DeliveryExplanation, example=_EXPLANATION),),
        refusals=(Refusal(NOT_FOUND, "The message is not kept any more, or nobody of that name is known."),),
    ),
)
