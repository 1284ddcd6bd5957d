"""Who may sign in to operate the server, and for how long."""

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from wsserver.settings.fields import Secret, Section, SomeSeconds

HASH_SHAPE: Final = re.compile(
    r"scrypt:(?P<log2_n>1[4-8]):(?P<r>8):(?P<p>[1-8]):(?P<salt>[A-Za-z0-9_-]{22}):(?P<digest>[A-Za-z0-9_-]{43})"
)
"""How a password's hash is spelled: the cost of scrypt (RFC 7914), 16 bytes of salt, 32 of hash.

The bounds keep one sign-in from taking more than 256 MiB, and a weak hash from being used.
"""


class AccountSettings(Section, frozen=True, kw_only=True, omit_defaults=True):
    """One operator."""

    role: Literal["viewer", "operator"] = "viewer"
    """``viewer`` looks; ``operator`` also acts, sees ids and reads the access audit."""

    password_hash: Secret
    """What ``wsserver hash-password`` prints."""


class OperatorsSettings(Section, frozen=True, kw_only=True):
    """Who may sign in to operate the server with a password, and how long a sign-in lasts."""

    accounts: dict[str, AccountSettings] = msgspec.field(default_factory=dict)
    """Accounts by name, each with `role` (``viewer``, ``operator``) and `password_hash`.

    Without any, operators sign in with a token.
    """

    idle_timeout: SomeSeconds = 1800.0
    """Seconds without a request after which a sign-in ends."""

    session_timeout: SomeSeconds = 43_200.0
    """Seconds after which it ends in any case; at least `idle_timeout`."""

    max_sessions: Annotated[int, Meta(ge=1, le=10_000)] = 200
    """Sign-ins at a time, 1 to 10000; one more ends the one that has been idle for longest."""
