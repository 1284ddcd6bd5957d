"""What a role may do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

_EVERY = "*"


class RoleSettings(Protocol):
    """The rights of one role as the settings write them; ``*`` in a list is everything."""

    @property
    def subscribe(self) -> Sequence[str]: ...
    @property
    def wildcard(self) -> bool: ...
    @property
    def all_patients(self) -> bool: ...
    @property
    def break_glass(self) -> bool: ...
    @property
    def publish(self) -> Sequence[str]: ...
    @property
    def publish_types(self) -> Sequence[str]: ...


class AccessSettings(Protocol):
    """The ``access`` section."""

    @property
    def roles(self) -> Mapping[str, RoleSettings]: ...


@dataclass(frozen=True, slots=True)
class RoleRights:
    """The rights of one role. All are off unless given; ``*`` in a set is everything."""

    subscribe: frozenset[str] = frozenset()
    wildcard: bool = False
    all_patients: bool = False
    publish: frozenset[str] = frozenset()
    publish_types: frozenset[str] = frozenset()
    break_glass: bool = False

    def may_subscribe(self, subscription_type: str) -> bool:
        """Whether this type may be subscribed to; which patients it shows is another question."""
        return subscription_type in self.subscribe or _EVERY in self.subscribe

    def may_publish(self, target_type: str, message_type: str | None) -> bool:
        """Whether a client may broadcast such a message over its socket.

        A message without a type needs the right to publish every type, for nothing in the
        list speaks for it.
        """
        if target_type not in self.publish and _EVERY not in self.publish:
            return False
        return _EVERY in self.publish_types or message_type in self.publish_types


class RolePolicy:
    """The table of roles; a role outside it has no rights and cannot connect."""

    def __init__(self, access: AccessSettings) -> None:
        self._roles: dict[str, RoleRights] = {}
        self.reload(access)

    def reload(self, access: AccessSettings) -> None:
        """Take new settings at once. Open connections feel it when they are refreshed."""
        self._roles = {
            name: RoleRights(
                subscribe=frozenset(role.subscribe),
                wildcard=role.wildcard,
                all_patients=role.all_patients,
                break_glass=role.break_glass,
                publish=frozenset(role.publish),
                publish_types=frozenset(role.publish_types),
            )
            for name, role in access.roles.items()
        }

    def rights(self, role: str) -> RoleRights | None:
        """The rights of a role, or None for one that is not in the table."""
        return self._roles.get(role)
