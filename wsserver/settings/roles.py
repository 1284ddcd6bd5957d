"""What each role may do, and the policy that holds where the settings name none.

Deny by default: a role that is not in the table cannot connect, and what a role is not
given it may not do. Which patients a user sees never comes from here alone: it comes from
the token or the access provider, unless a role is given `all_patients`.
"""

from typing import Literal

import msgspec

TargetType = Literal["patient", "type", "all"]


class RoleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The rights of one role. Every right is off where it is not given."""

    subscribe: tuple[str, ...] = ()
    """Subscription types it may subscribe to: ``patient``, ``ecg``, ``alerts``, …; ``*`` is every type."""

    wildcard: bool = False
    """Whether it may subscribe to ``patient:*`` and ``*``; it still receives only what it may see."""

    all_patients: bool = False
    """Whether it sees every patient where its token lists none; a list in the token narrows it."""

    break_glass: bool = False
    """Whether it may subscribe to a patient whom the user may not see, for a stated reason and a time."""

    publish: tuple[TargetType, ...] = ()
    """Target types it may broadcast to over its own socket. REST goes by the token's scope instead."""

    publish_types: tuple[str, ...] = ()
    """Values of ``type`` that such messages may have; ``*`` is every value that is not reserved."""


EVERY = ("*",)


def default_roles() -> dict[str, RoleSettings]:
    """The example policy: staff watch, devices and backends publish, nobody sees every patient by role."""
    return {
        "doctor": RoleSettings(subscribe=EVERY, wildcard=True),
        "nurse": RoleSettings(subscribe=EVERY, wildcard=True),
        "technician": RoleSettings(subscribe=("patient", "ecg", "vitals", "alerts", "system")),
        "patient": RoleSettings(subscribe=("patient", "system")),
        "service": RoleSettings(publish=("patient", "type", "all"), publish_types=EVERY),
        "admin": RoleSettings(subscribe=EVERY, wildcard=True),
    }
