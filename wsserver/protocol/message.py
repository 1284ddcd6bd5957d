"""What publishers say: checked once, encoded once, delivered with the values that were published."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NoReturn

import msgspec

from wsserver.errors import INVALID_MESSAGE, MESSAGE_TOO_LARGE, ServerError
from wsserver.ids import InvalidId, canonical_id
from wsserver.protocol.control import RESERVED_TYPES
from wsserver.protocol.json_rules import JsonFault, check_object, decode_json, find_lone_surrogate, path_text
from wsserver.protocol.meta import Meta
from wsserver.protocol.topic import Topic

DEFAULT_MAX_SIZE: Final = 1 << 20

_encoder: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class SeverityDefaults:
    """The severity that filters see when a message has none: by its type, else by its class.

    An alert is a message with ``alert`` in its type; all others are data.
    """

    data: str = "normal"
    alert: str = "info"
    by_type: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, message_type: str | None) -> str:
        """The default for one message type, or for a message without a type."""
        if message_type is None:
            return self.data
        return self.by_type.get(message_type) or (self.alert if "alert" in message_type else self.data)


_DEFAULT_SEVERITIES: Final = SeverityDefaults()


class PublishedMessage:
    """A publisher's message that has passed every check, and its encoded form.

    ``body`` is the object as published: filters read it and nobody changes it, its owner
    included, until the call that publishes it has returned. ``derived`` holds the members
    which filters see when the body lacks them; they are never sent.
    """

    __slots__ = ("_members", "body", "data_type", "derived", "patient_id", "severity", "size", "type")

    body: dict[str, Any]
    type: str | None
    data_type: str | None
    severity: str
    patient_id: str | None
    """Whose message this is, by its topic or by its own ``patient_id``, whichever door it came through."""
    derived: dict[str, str]
    size: int
    """Bytes of JSON text without ``_meta``."""

    def __init__(
        self,
        body: dict[str, Any],
        *,
        topic: Topic | None = None,
        max_size: int = DEFAULT_MAX_SIZE,
        severities: SeverityDefaults = _DEFAULT_SEVERITIES,
        may_announce_shutdown: bool = False,
    ) -> None:
        """Check and encode ``body``; raises ServerError 1003 with a path and a reason, or 1004.

        A ``patient_id`` in the body must agree with ``topic`` if that is one patient's.
        ``may_announce_shutdown`` is for callers in this process: it admits one type more.
        """
        if type(body) is not dict:
            _refuse("", "must be an object")
        if "_meta" in body:
            _refuse("_meta", "is the server's own member")
        self.type = message_type = _message_type(body, may_announce_shutdown)
        self.patient_id = _patient_id(body, topic)
        try:
            has_tuple = check_object(body)
            encoded = _encoder.encode(body)
        except JsonFault as fault:
            _refuse_value(fault)
        except UnicodeEncodeError:
            _refuse_value(JsonFault("holds a lone surrogate", find_lone_surrogate(body)))
        self.size = len(encoded)
        if self.size > max_size:
            raise ServerError(MESSAGE_TOO_LARGE, details={"size": self.size, "max_message_size": max_size})
        # A filter sees what the client gets, and that is a list.
        self.body = msgspec.json.decode(encoded) if has_tuple else body
        self._members = b"," + encoded[1:] if body else b"}"

        self.derived = derived = derived_members(message_type, severities)
        own_data_type = body.get("data_type")
        self.data_type = own_data_type if type(own_data_type) is str else derived.get("data_type")
        own_severity = body.get("severity")
        self.severity = own_severity if type(own_severity) is str else derived["severity"]

    @classmethod
    def from_json(
        cls,
        payload: bytes,
        *,
        topic: Topic | None = None,
        max_size: int = DEFAULT_MAX_SIZE,
        severities: SeverityDefaults = _DEFAULT_SEVERITIES,
    ) -> "PublishedMessage":
        """The same for JSON text, as a request body is; raises what the constructor raises."""
        try:
            body = decode_json(payload)
        except JsonFault as fault:
            _refuse_value(fault)
        return cls(body, topic=topic, max_size=max_size, severities=severities)

    @property
    def members(self) -> bytes:
        """The JSON text behind ``_meta``, as ``encode_members`` takes it."""
        return self._members

    def detach(self) -> None:
        """Have a ``body`` of its own, for whoever goes on with it after its publisher has been answered."""
        self.body = msgspec.json.decode(b'{"_meta":0' + self._members)
        del self.body["_meta"]

    def encode(self, meta: Meta) -> bytes:
        """The JSON text for every recipient: ``_meta`` first, then the members as published."""
        return encode_members(meta, self._members)


def encode_members(meta: Meta, members: bytes) -> bytes:
    """The JSON text of a message for every recipient, out of ``PublishedMessage.members``."""
    return b'{"_meta":%b%b' % (_encoder.encode(meta), members)


def derived_members(message_type: str | None, severities: SeverityDefaults) -> dict[str, str]:
    """What filters see of a message with this ``type`` when the message itself lacks it."""
    derived = {"severity": severities.of(message_type)}
    if message_type is not None:
        derived["data_type"] = message_type.removesuffix("_data")
    return derived


def _message_type(body: dict[str, Any], may_announce_shutdown: bool) -> str | None:
    message_type = body.get("type")
    if message_type is None:
        return None
    if type(message_type) is not str:
        _refuse("type", "must be text")
    if message_type in RESERVED_TYPES and not (may_announce_shutdown and message_type == "system_shutdown"):
        _refuse("type", "is reserved for the server")
    return message_type


def _patient_id(body: dict[str, Any], topic: Topic | None) -> str | None:
    addressed = topic.patient_id if topic is not None else None
    given = body.get("patient_id")
    if given is None:
        return addressed
    try:
        own = canonical_id(given, "patient_id")
    except InvalidId as error:
        _refuse("patient_id", str(error).removeprefix("patient_id "))
    if addressed is not None and own != addressed:
        _refuse("patient_id", "is not the patient that the message is addressed to")
    return own


def _refuse_value(fault: JsonFault) -> NoReturn:
    _refuse(path_text(fault.path), fault.reason, "a value" if fault.path else None)


def _refuse(path: str, reason: str, subject: str | None = None) -> NoReturn:
    """Raise 1003. Its text names a path only where no publisher chose it: keys can be private too."""
    text = f"Invalid message: {subject or path or 'it'} {reason}"
    raise ServerError(INVALID_MESSAGE, text, details={"path": path, "reason": reason}) from None
