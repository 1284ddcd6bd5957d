"""Routes that publish."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wsserver.errors import BACKPRESSURE, INVALID_MESSAGE, PERMISSION_DENIED, SHUTTING_DOWN
from wsserver.protocol.control import RESERVED_TYPES
from wsserver.protocol.report import Durability
from wsserver.publishing.idempotency import MAX_KEY
from wsserver.web.route import Answer, Body, Door, Parameter, Refusal, Route
from wsserver.web.routes.forms import Id

TAG: Final = "Publishing"


class Message(msgspec.Struct):
    """A message: a JSON object of whatever members, a few of which mean something to the server.

    Nesting up to 32, whole numbers within ±2^53, no NaN, no infinity, no half surrogates.
    """

    type: Annotated[
        str | None,
        Meta(
            description="What kind of message it is; those of commands and control messages are reserved.",
            extra_json_schema={"not": {"enum": sorted(RESERVED_TYPES)}},
        ),
    ] = None
    patient_id: Annotated[
        str | int | None, Meta(description="Whose message it is; if the path names a patient, that one.")
    ] = None
    data_type: Annotated[
        Any, Meta(description="For filters, which see the type without `_data` where it is left out.")
    ] = UNSET
    severity: Annotated[
        Any, Meta(description="`critical` makes it an alert of the first rank; default by type.")
    ] = UNSET


PUBLISHED: Final = Annotated[Message, Meta(extra_json_schema={"propertyNames": {"not": {"const": "_meta"}}})]


class DeliveryReport(msgspec.Struct):
    """What became of a message: ``matched`` = ``delivered`` + all of ``refused``."""

    message_id: str
    topic: str
    log: Annotated[str, Meta(description="The log that it stands in.")]
    seq: Annotated[int, Meta(ge=1, description="Its place there.")]
    durability: Annotated[Durability, Meta(description="What it outlives: nothing, or a power cut.")]
    duplicate: Annotated[bool, Meta(description="Whether this is the first answer to the same key again.")]
    considered: Annotated[int | None, Meta(description="Subscriptions that follow the topic.")]
    filtered: Annotated[int | None, Meta(description="Subscriptions whose filter did not match.")]
    denied: Annotated[int | None, Meta(description="Subscriptions whose owner may not see the patient.")]
    matched: Annotated[int | None, Meta(description="Connections left over, each once.")]
    delivered: Annotated[int | None, Meta(description="Connections whose queue took the message.")]
    refused: Annotated[dict[str, int] | None, Meta(description="Connections that did not, by reason.")]


_EXAMPLE: Final = {
    "message_id": "m_0660f41b95bf5c41348d488996",
    "topic": "patient:123",
    "log": "246da229v",
    "seq": 6,
    "durability": "memory",
    "duplicate": False,
    "considered": 2,
    "filtered": 0,
    "denied": 1,
    "matched": 1,
    "delivered": 1,
    "refused": {},
}

_KEY: Final = Parameter(
    text="A key of this request's own, such as a UUID: sent again with the same body within 24 hours, it "
    "gives the first answer and publishes nothing.",
    example="8e03978e-40d5-43dd-bc93-6894a57f9324",
    form=Annotated[str, Meta(pattern="^[!-~]+$", min_length=1, max_length=MAX_KEY)] | UnsetType,
)

_REFUSALS: Final = (
    Refusal(PERMISSION_DENIED, "The token may not see the patient."),
    Refusal(INVALID_MESSAGE, "The Idempotency-Key was used with another body.", status=409),
    Refusal(
        BACKPRESSURE, "Too much waits, or the message could not be stored (`details.reason`): send again."
    ),
    Refusal(SHUTTING_DOWN, "The server is going down."),
)


def _publishes(path: str, **what: Any) -> Route:
    topic = what.pop("topic")
    return Route(
        method="POST",
        path=f"/ws/broadcast/{path}",
        tag=TAG,
        door=Door.BEARER,
        headers={"Idempotency-Key": _KEY},
        answers=(
            Answer(
                text="The message is on its way, and this is what became of it.",
                data=DeliveryReport,
                example={**_EXAMPLE, "topic": topic},
            ),
        ),
        refusals=_REFUSALS,
        **what,
    )


PUBLISHING: Final = (
    _publishes(
        "patient/{patient_id}",
        handler=lambda handlers: handlers.rest.broadcast_to_patient,
        scopes=("broadcast:patient",),
        summary="Publish to those who watch a patient",
        description="Reaches the subscriptions to this patient, and those to `patient:*` and `*` of users "
        "who may see the patient. A `patient_id` in the body must be the one of the path.",
        place={"patient_id": Parameter(text="The patient.", example="123", form=Id)},
        body=Body(
            form=PUBLISHED,
            example={"type": "ecg_data", "patient_id": 123, "data": [1.2, 1.5, 1.8], "severity": "normal"},
        ),
        topic="patient:123",
    ),
    _publishes(
        "type/{subscription_type}",
        handler=lambda handlers: handlers.rest.broadcast_to_type,
        scopes=("broadcast:type",),
        summary="Publish to the subscribers of a type",
        description="For the type `patient` the scope `broadcast:patient` is needed as well. A message with "
        "a `patient_id` reaches only users who may see that patient.",
        place={"subscription_type": Parameter(text="The type of subscription.", example="vitals", form=Id)},
        body=Body(form=PUBLISHED, example={"type": "vitals", "patient_id": 123, "heart_rate": 61}),
        topic="vitals:*",
    ),
    _publishes(
        "all",
        handler=lambda handlers: handlers.rest.broadcast_to_all,
        scopes=("broadcast:all",),
        summary="Publish to every connection",
        description="Every authenticated connection gets it, whatever it is subscribed to; a message with a "
        "`patient_id` only those that may see that patient.",
        body=Body(form=PUBLISHED, example={"type": "announcement", "text": "Maintenance tonight at two."}),
        topic="*",
    ),
)
