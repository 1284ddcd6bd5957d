"""Which messages to trace, and for how long."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from wsserver.errors import INVALID_MESSAGE, ServerError
from wsserver.ids import InvalidId, canonical_id
from wsserver.protocol.topic import Topic

MAX_MESSAGES = 1_000
MAX_SECONDS = 3_600.0

_Id = str | int | None


class TraceOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is asked for: a message is traced when all that is given here is true of it.

    No repr: it would name users and patients.
    """

    message_id: _Id = None
    type: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    patient_id: _Id = None
    """Whom the message is about."""
    user_id: _Id = None
    """Who published it, or one of those whom it is for."""
    topic: Annotated[str, Meta(min_length=1, max_length=130)] | None = None
    messages: Annotated[int, Meta(ge=1, le=MAX_MESSAGES)] = 10
    """After so many messages the trace ends."""
    seconds: Annotated[float, Meta(gt=0, le=MAX_SECONDS)] = 60.0
    """It ends after this time, too."""
    body: bool = False
    """Whether to keep the beginning of what the messages say."""

    def __repr__(self) -> str:
        return "<TraceOrder>"

    def checked(self) -> "TraceOrder":
        """The same with canonical ids; raises ServerError 1003 for what can be none."""
        ids = {
            name: _canonical(getattr(self, name), name) for name in ("message_id", "patient_id", "user_id")
        }
        # Raises for what is no topic, and is the text that messages have.
        topic = None if self.topic is None else Topic.parse(self.topic).text
        return msgspec.structs.replace(self, **ids, topic=topic)

    def criteria(self) -> dict[str, Any]:
        """What is asked for, without the bounds."""
        names = ("message_id", "type", "patient_id", "user_id", "topic")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def _canonical(value: _Id, what: str) -> str | None:
    try:
        return None if value is None else canonical_id(value, what)
    except InvalidId as error:
        raise ServerError(INVALID_MESSAGE, str(error)) from None
