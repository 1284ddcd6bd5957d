"""What a client may say: one struct per command, told apart by ``type``.

Fields that a command does not have are refused, so that a typo is not read as silence.
Of duplicate keys the last wins, as everywhere in JSON, except that two different ``type``
are refused. What is inside ``filters`` and ``message`` is judged by those who use them.
"""

import difflib
from typing import Annotated, Any, Final, get_args

import msgspec
from msgspec import Meta

from wsserver.errors import INVALID_MESSAGE, ServerError
from wsserver.protocol.json_rules import (
    MAX_INTEGER,
    TOO_DEEP,
    JsonFault,
    fault_of,
    nested_too_deep,
    path_text,
)
from wsserver.protocol.topic import ANY, EVERYTHING, InvalidTopic, Topic

MAX_REQUEST_ID: Final = 64

RequestId = Annotated[str, Meta(max_length=MAX_REQUEST_ID)]
_ShortText = Annotated[str, Meta(min_length=1, max_length=64)]
_Id = str | int | None
_SafeInteger = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
_Seq = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
# Logs are few (a durable and a volatile one per shard); the bound is against floods of keys.
_Cursor = Annotated[dict[_ShortText, _Seq], Meta(max_length=256)]


class CommandError(ServerError):
    """The command cannot be understood (1003). ``details`` hold a path and a reason, never a value.

    ``request_id`` is the failing command's own, when it could be read.
    """

    def __init__(
        self, path: str, reason: str, request_id: str | None = None, *, subject: str | None = None
    ) -> None:
        self.request_id = request_id
        text = f"Invalid command: {subject or path or 'it'} {reason}"
        super().__init__(INVALID_MESSAGE, text, details={"path": path, "reason": reason})


class _Silent:
    """Fields hold tokens, session secrets and patient ids: a command in a log shows its name only."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class _Command(
    _Silent, msgspec.Struct, tag_field="type", forbid_unknown_fields=True, frozen=True, kw_only=True
):
    request_id: RequestId | None = None


class Session(_Silent, msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A session to resume, and for each log the highest ``seq`` that the client has handled."""

    id: Annotated[str, Meta(min_length=1, max_length=256)]
    cursor: _Cursor = {}


class Connect(_Command, tag="connect", frozen=True, kw_only=True):
    """The first frame of a client that sent no credentials in its handshake."""

    token: Annotated[str, Meta(min_length=1)]
    user_id: _Id = None
    role: str | None = None
    patient_id: _Id = None
    subscriptions: list[str] = []
    session: Session | None = None


class Subscribe(_Command, tag="subscribe", frozen=True, kw_only=True):
    """Names a topic by ``topic``, or by ``subscription_type`` and ``target_id``."""

    subscription_type: str | None = None
    target_id: _Id = None
    topic: str | None = None
    filters: Any = None
    break_glass: Annotated[str, Meta(min_length=8, max_length=200)] | None = None
    """Why the user has to see a patient whom the user may not see otherwise."""

    def address(self) -> Topic:
        """The topic asked for; raises InvalidTopic."""
        return _address(self.topic, self.subscription_type, self.target_id)


class Unsubscribe(_Command, tag="unsubscribe", frozen=True, kw_only=True):
    """Names the subscription by its id, or by the topic as in Subscribe."""

    subscription_id: _ShortText | None = None
    subscription_type: str | None = None
    target_id: _Id = None
    topic: str | None = None

    def address(self) -> Topic | None:
        """The topic to leave, or None when ``subscription_id`` tells; raises InvalidTopic."""
        if self.subscription_id is None:
            return _address(self.topic, self.subscription_type, self.target_id)
        if self.topic is not None or self.subscription_type is not None or self.target_id is not None:
            raise InvalidTopic("subscription_id", "and a topic cannot be given together")
        return None


class Refresh(_Command, tag="refresh", frozen=True, kw_only=True):
    """Renews one subscription, or all of this connection."""

    subscription_id: _ShortText | None = None


class Broadcast(_Command, tag="broadcast", frozen=True, kw_only=True):
    """Publishes ``message``; the sender gets a copy only with ``echo``."""

    target_type: str
    target_id: _Id = None
    message: dict[str, Any]
    echo: bool = False

    @classmethod
    def to(cls, topic: str, message: dict[str, Any]) -> "Broadcast":
        """The command that a binary message to a topic is. Raises InvalidTopic."""
        target_type, target_id = Topic.parse(topic)
        return cls(target_type=target_type, target_id=target_id, message=message)

    def address(self) -> Topic:
        """The topic to publish to, ``all`` and ``*`` being everything; raises InvalidTopic."""
        if self.target_type in ("all", ANY):
            if self.target_id not in (None, ANY):
                raise InvalidTopic("target_id", f"must be absent when target_type is {self.target_type}")
            return EVERYTHING
        try:
            return Topic.of(self.target_type, self.target_id)
        except InvalidTopic as error:
            if error.path == "subscription_type":
                raise InvalidTopic("target_type", error.reason) from None
            raise


class Ping(_Command, tag="ping", frozen=True, kw_only=True):
    """``t`` comes back as it is in the pong."""

    t: _SafeInteger | float | Annotated[str, Meta(max_length=64)] | None = None


class Auth(_Command, tag="auth", frozen=True, kw_only=True):
    """Renews the token of an open connection."""

    token: Annotated[str, Meta(min_length=1)]


class Ack(_Command, tag="ack", frozen=True, kw_only=True):
    """The client has handled a message."""

    message_id: _ShortText


class HealthCheck(_Command, tag="health_check", frozen=True, kw_only=True):
    """Asks for this connection's counters."""


class Disconnect(_Command, tag="disconnect", frozen=True, kw_only=True):
    """Asks the server to close with 1000."""


Command = (
    Connect | Subscribe | Unsubscribe | Refresh | Broadcast | Ping | Auth | Ack | HealthCheck | Disconnect
)

_BY_TYPE: Final[dict[str, type[_Command]]] = {
    str(command.__struct_config__.tag): command for command in get_args(Command)
}

COMMAND_TYPES: Final = frozenset(_BY_TYPE)


class _Envelope(msgspec.Struct):
    """The two members that can be read of a command which is otherwise wrong."""

    type: Any = None
    request_id: Any = None


_decoder: Final = msgspec.json.Decoder(Command)
_envelope_decoder: Final = msgspec.json.Decoder(_Envelope)
_UNKNOWN_FIELD: Final = "Object contains unknown field "


def decode_command(payload: bytes) -> Command:
    """The command in one text frame; raises CommandError for anything else."""
    if nested_too_deep(payload):
        raise CommandError("", TOO_DEEP)
    try:
        command: Command = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _explain(fault_of(error), _envelope(payload)) from None
    return command


def convert_command(body: dict[str, Any]) -> Command:
    """The command that an object of a binary frame is; raises CommandError as ``decode_command`` does."""
    kind = body.get("type")
    # Of a union msgspec looks at each struct anew in every call, which was 60 % of a binary ping.
    known: Any = _BY_TYPE.get(kind, Command) if isinstance(kind, str) else Command
    try:
        command: Command = msgspec.convert(body, known)
    except msgspec.ValidationError as error:
        raise _explain(fault_of(error), _Envelope(body.get("type"), body.get("request_id"))) from None
    return command


def _envelope(payload: bytes) -> _Envelope:
    if nested_too_deep(payload):
        return _Envelope()
    try:
        return _envelope_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Envelope()


def _request_id(envelope: _Envelope) -> str | None:
    found = envelope.request_id
    return found if isinstance(found, str) and len(found) <= MAX_REQUEST_ID else None


def _explain(fault: JsonFault, envelope: _Envelope) -> CommandError:
    """Turn the decoder's complaint, which may quote the client, into one that does not."""
    path = path_text(fault.path)
    reason = fault.reason
    subject = None
    if reason.startswith("Invalid value"):
        if isinstance(envelope.type, str) and envelope.type in _BY_TYPE:  # and another came before
            reason = "is given twice"
        else:
            reason = "is unknown" + _did_you_mean(envelope.type, COMMAND_TYPES)
    elif reason.startswith(_UNKNOWN_FIELD):
        # The name is the client's own text, so it stays out of what may be logged.
        subject = "a field"
        name = reason.removeprefix(_UNKNOWN_FIELD).strip("`")
        reason = "is unknown" + _did_you_mean(name, _fields(envelope.type, path))
        path = f"{path}.{name[:64]}".removeprefix(".")
    return CommandError(path, reason, _request_id(envelope), subject=subject)


def _fields(command_type: object, path: str) -> frozenset[str]:
    command = _BY_TYPE.get(command_type) if isinstance(command_type, str) else None
    owner: type[msgspec.Struct] | None = Session if path == "session" else command
    return frozenset(owner.__struct_fields__) if owner is not None else frozenset()


def _did_you_mean(given: object, names: frozenset[str]) -> str:
    if not isinstance(given, str) or len(given) > 64:
        return ""
    close = difflib.get_close_matches(given.lower(), sorted(names), 1)
    return f"; did you mean {close[0]}?" if close else ""


def _address(topic: str | None, subscription_type: str | None, target_id: str | int | None) -> Topic:
    if topic is not None:
        if subscription_type is not None or target_id is not None:
            raise InvalidTopic("topic", "and subscription_type or target_id cannot be given together")
        return Topic.parse(topic)
    if subscription_type is None:
        raise InvalidTopic("subscription_type", "or topic is required")
    return Topic.of(subscription_type, target_id)
