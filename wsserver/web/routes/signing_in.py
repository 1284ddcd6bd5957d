"""Routes of the sign-in of operators."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from wsserver.errors import AUTHENTICATION_FAILED, BACKPRESSURE, PERMISSION_DENIED, RATE_LIMIT
from wsserver.operators.operator import OperatorRole
from wsserver.web.handlers.signing_in import LoginRequest
from wsserver.web.operator_door import CSRF_HEADER
from wsserver.web.route import Answer, Body, Door, Parameter, Refusal, Route

TAG: Final = "Operating"


class SignedIn(msgspec.Struct):
    """Who is signed in, and what they may do."""

    name: str
    role: OperatorRole
    scopes: list[str]
    csrf_token: Annotated[str, Meta(description="What changes need in `X-CSRF-Token`.")]
    expires_in: Annotated[float, Meta(ge=0, description="Seconds until it ends if it is not used.")]


class SignedOut(msgspec.Struct):
    """It has ended."""

    signed_out: bool


_CSRF_TOKEN: Final = "9p6uBqbHdwhtKSGzSRdXvJN0qHQVnbGwwPDCTG2hAMk"  # noqa: S105 -- an example
_EXAMPLE: Final = {
    "name": "olga",
    "role": "operator",
    "scopes": ["admin:read", "admin:write", "audit:read", "metrics:read"],
    "csrf_token": _CSRF_TOKEN,
    "expires_in": 1800.0,
}
_COOKIE: Final = (
    "`wsserver_operator`, over TLS `__Host-wsserver_operator`; HttpOnly, SameSite=Strict, Path=/."
)
_FOREIGN: Final = Refusal(PERMISSION_DENIED, "A page of another origin caused the request.")

SIGNING_IN: Final = (
    Route(
        method="POST",
        path="/ws/login",
        handler=lambda handlers: handlers.sign_in.sign_in,
        door=Door.SIGN_IN,
        summary="Sign in as an operator",
        description="With the name and password of an account, a token with the scope `admin:read`, or the "
        "one-time key of a development server. A sign-in that was in force in this browser ends.",
        tag=TAG,
        body=Body(form=LoginRequest, example={"name": "olga", "password": "a long password"}),
        answers=(
            Answer(text="Signed in.", data=SignedIn, example=_EXAMPLE, headers={"Set-Cookie": _COOKIE}),
        ),
        refusals=(
            Refusal(AUTHENTICATION_FAILED, "What was given does not count; always the same text."),
            Refusal(PERMISSION_DENIED, "The token lacks the scope, or a page of another origin asked."),
            Refusal(RATE_LIMIT, "Too many failed sign-ins with this name or from this address."),
            Refusal(BACKPRESSURE, "Too many passwords wait to be checked."),
        ),
    ),
    Route(
        method="GET",
        path="/ws/login",
        handler=lambda handlers: handlers.sign_in.who,
        door=Door.SIGN_IN,
        summary="Who is signed in",
        description="For the cookie that comes with the request.",
        tag=TAG,
        answers=(Answer(text="Signed in.", data=SignedIn, example=_EXAMPLE),),
        refusals=(Refusal(AUTHENTICATION_FAILED, "Nobody; always the same text."), _FOREIGN),
    ),
    Route(
        method="POST",
        path="/ws/logout",
        handler=lambda handlers: handlers.sign_in.sign_out,
        door=Door.SIGN_IN,
        summary="Sign out",
        description="The sign-in ends at once, and the browser is told to forget the cookie.",
        tag=TAG,
        headers={CSRF_HEADER: Parameter(text="The value that the sign-in gave.", example=_CSRF_TOKEN)},
        answers=(Answer(text="Signed out.", data=SignedOut, example={"signed_out": True}),),
        refusals=(Refusal(AUTHENTICATION_FAILED, "Nobody is signed in."), _FOREIGN),
    ),
)
