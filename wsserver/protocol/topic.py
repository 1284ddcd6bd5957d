"""The address of messages and subscriptions: (subscription_type, target_id) and nothing else.

``"patient:123"`` is (patient, 123), ``"type:ecg"`` is (ecg, \\*), ``"*"`` is (\\*, \\*); the first
colon splits. ``*`` stands for a whole target or for everything, never for a part.
"""

from typing import Final, NamedTuple

from wsserver.errors import INVALID_MESSAGE, ServerError
from wsserver.ids import InvalidId, canonical_id, shared

ANY: Final = "*"
PATIENT: Final = "patient"
_TYPE: Final = "type"
_FORMS: Final = "'patient:<id>', 'type:<name>', '<type>:<target>' or '*'"


class InvalidTopic(ServerError):
    """The address is no topic (1003); ``details`` name the field and the rule, never the value."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            INVALID_MESSAGE, f"Invalid topic: {path} {reason}", details={"path": path, "reason": reason}
        )


class Topic(NamedTuple):
    """A topic in normal form. Build it with ``of``, ``of_patient`` or ``parse``, which check it."""

    subscription_type: str
    target_id: str

    @classmethod
    def of(cls, subscription_type: str, target_id: str | int | None = None) -> "Topic":
        """The normal form of the two fields of a command; no target means every target.

        (type, ecg) means (ecg, \\*). A patient topic must name its target, be it ``*``: a
        forgotten id must not ask for every patient. Raises InvalidTopic.
        """
        if subscription_type == _TYPE:
            return cls._of_whole_type(target_id)
        if subscription_type == ANY:
            if target_id not in (None, ANY):
                raise InvalidTopic("target_id", "must be * or absent when subscription_type is *")
            return EVERYTHING
        # Types are few, and the latest events, the audit and the index keep what each command brings.
        name = shared(_canonical(subscription_type, "subscription_type"))
        # Such a topic would be accepted and never receive anything.
        if name != PATIENT and name.lower() in (PATIENT, _TYPE):
            raise InvalidTopic("subscription_type", f"must be written {name.lower()!r}")
        if target_id is None:
            if name == PATIENT:
                raise InvalidTopic("target_id", "is required for patient; * asks for all you may see")
            return cls(name, ANY)
        return cls(name, ANY if target_id == ANY else _canonical(target_id, "target_id"))

    @classmethod
    def _of_whole_type(cls, name: str | int | None) -> "Topic":
        if name is None or name == ANY:
            raise InvalidTopic("target_id", "must name a subscription type; the topic * means everything")
        if name == PATIENT:
            raise InvalidTopic("target_id", "must not be patient; use patient:<id> or patient:*")
        if name == _TYPE:
            raise InvalidTopic("target_id", "must not be type")
        return cls.of(_canonical(name, "target_id"))

    @classmethod
    def of_patient(cls, patient_id: str | int) -> "Topic":
        """The topic of exactly one patient, as a publisher names it: no ``*``. Raises InvalidTopic."""
        return cls(PATIENT, _canonical(patient_id, "patient_id"))

    @classmethod
    def parse(cls, text: str) -> "Topic":
        """The topic that a text such as ``patient:123`` means. Raises InvalidTopic."""
        if text == ANY:
            return EVERYTHING
        subscription_type, colon, target_id = text.partition(":")
        if not colon or not target_id or subscription_type == ANY:
            raise InvalidTopic("topic", f"must be {_FORMS}")
        try:
            return cls.of(subscription_type, target_id)
        except InvalidTopic as error:
            raise InvalidTopic("topic", f"is not valid: {error.path} {error.reason}") from None

    @property
    def text(self) -> str:
        """As in ``_meta.topic``: ``patient:123``, ``ecg:*`` or ``*``. ``parse`` reads it back."""
        return ANY if self.subscription_type == ANY else f"{self.subscription_type}:{self.target_id}"

    @property
    def patient_id(self) -> str | None:
        """The one patient that this topic belongs to, if it does."""
        return self.target_id if self.subscription_type == PATIENT and self.target_id != ANY else None

    @property
    def is_wildcard(self) -> bool:
        """Whether it covers every patient or simply everything, which takes the right ``wildcard``."""
        return self.subscription_type == ANY or self == EVERY_PATIENT


EVERYTHING: Final = Topic(ANY, ANY)
EVERY_PATIENT: Final = Topic(PATIENT, ANY)


def _canonical(value: object, field: str) -> str:
    try:
        return canonical_id(value, field)
    except InvalidId as error:
        raise InvalidTopic(field, str(error).removeprefix(f"{field} ")) from None
