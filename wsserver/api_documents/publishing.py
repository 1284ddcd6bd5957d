"""What is published, and what is answered: the same over HTTP and over a WebSocket."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta

from wsserver.protocol.control import RESERVED_TYPES
from wsserver.protocol.report import Durability


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
    """What became of a message: ``matched`` = ``delivered`` + all of ``refused``.

    The counts are null in an answer that is given again after a restart, when nobody knows them any more.
    """

    message_id: str
    topic: str
    log: Annotated[str, Meta(description="The log that it stands in.")]
    seq: Annotated[int, Meta(ge=0, description="Its place there.")]
    durability: Annotated[Durability, Meta(description="What it outlives: nothing, or a power cut.")]
    duplicate: Annotated[bool, Meta(description="Whether this is the first answer to the same key again.")]
    considered: Annotated[int | None, Meta(description="Subscriptions that follow the topic.")]
    filtered: Annotated[int | None, Meta(description="Subscriptions whose filter did not match.")]
    denied: Annotated[int | None, Meta(description="Subscriptions whose owner may not see the patient.")]
    matched: Annotated[int | None, Meta(description="Connections left over, each once.")]
    delivered: Annotated[int | None, Meta(description="Connections whose queue took the message.")]
    refused: Annotated[dict[str, int] | None, Meta(description="Connections that did not, by reason.")]


REPORT: Final = {
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
"""An example."""
