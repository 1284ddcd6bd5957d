"""The address of a subscription."""

from typing import Any, NamedTuple, Self

from wsserver.client.errors import InvalidOption

ANY = "*"


class Topic(NamedTuple):
    """A subscription type and a target; ``*`` is any target."""

    subscription_type: str
    target_id: str

    @classmethod
    def of(cls, subscription_type: str, target_id: str | int | None = None) -> Self:
        """From a type and a target, or from a topic such as ``patient:123``, ``type:ecg``, ``*``.

        Raises InvalidOption where the server would refuse it for its form.
        """
        if not isinstance(subscription_type, str) or not subscription_type:
            raise InvalidOption("subscription_type", "must be a text")
        name, separator, target = subscription_type.partition(":")
        if separator:
            if target_id is not None:
                raise InvalidOption("target_id", "cannot be given together with a topic")
            target_id = target
        if target_id is None:
            if name == "patient":
                # A forgotten id must not ask for every patient.
                raise InvalidOption("target_id", "must be given for patient")
            target_id = ANY
        if isinstance(target_id, bool) or not isinstance(target_id, str | int) or target_id == "":
            raise InvalidOption("target_id", "must be a text or a whole number")
        target = str(target_id)
        return cls(target, ANY) if name == "type" and target != ANY else cls(name, target)

    @classmethod
    def told(cls, members: Any) -> Self | None:
        """From what the server says; None if it does not name a topic."""
        if not isinstance(members, dict):
            return None
        name, target = members.get("subscription_type"), members.get("target_id")
        return cls(name, target) if isinstance(name, str) and isinstance(target, str) else None

    @property
    def text(self) -> str:
        """As it stands in ``subscriptions`` of ``connect``."""
        if self.target_id != ANY or self.subscription_type == "patient":
            return f"{self.subscription_type}:{self.target_id}"
        return ANY if self.subscription_type == ANY else f"type:{self.subscription_type}"
