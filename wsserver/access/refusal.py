"""Why a token was refused: one text for the client, a closed set of names for us."""

from enum import StrEnum, unique

from wsserver.errors import AUTHENTICATION_FAILED, ServerError


@unique
class Reason(StrEnum):
    """Why; closed, so it may be a metric label. Never shown to the client."""

    TOO_LONG = "too_long"
    MALFORMED = "malformed"
    HEADER = "header"
    ALGORITHM = "algorithm"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    PAYLOAD = "payload"
    SUBJECT = "subject"
    ROLE = "role"
    EXPIRY = "expiry"
    EXPIRED = "expired"
    ISSUED_AT = "issued_at"
    NOT_BEFORE = "not_before"
    LIFETIME = "lifetime"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    TOKEN_ID = "token_id"  # noqa: S105 -- the name of a claim
    PATIENTS = "patients"
    SCOPE = "scope"
    REVOKED = "revoked"


class AuthenticationFailed(ServerError):
    """The token does not count. The text is the same whatever is wrong with it.

    Raised outside ``except`` blocks only: a JSON or key error in ``__context__`` would
    carry parts of the token into tracebacks and crash reporters.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(AUTHENTICATION_FAILED)
        self.reason = reason
