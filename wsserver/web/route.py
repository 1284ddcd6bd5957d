"""A route as it is written down once: what serves it, and all that the documents say of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any, Final

import msgspec

from wsserver.errors import (
    AUTHENTICATION_FAILED,
    INTERNAL_ERROR,
    INVALID_MESSAGE,
    MESSAGE_TOO_LARGE,
    PERMISSION_DENIED,
    RATE_LIMIT,
    ErrorKind,
)
from wsserver.web.handlers import Handlers
from wsserver.web.responses import Handler

JSON: Final = "application/json"
ANY_METHOD: Final = "*"


@unique
class Door(StrEnum):
    """Who may come in."""

    NONE = "none"
    """Everybody; no token and no cookie is looked at."""
    BEARER = "bearer"
    """Whoever has a token with every scope of the route."""
    OPERATOR = "operator"
    """The same, and operators who are signed in and whose role has the scopes."""
    SIGN_IN = "sign_in"
    """Everybody, for it is here that one becomes somebody; what they send is what is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of a route that is no error."""

    text: str
    """When it is given, in one sentence."""
    status: int = 200
    data: Any = None
    """The type of the document or of the envelope's ``data``; a tuple: any of its types; None: no JSON."""
    example: Any = None
    """A value of that type."""
    envelope: bool = True
    """Whether the document stands in ``{"status": "success", "data": …}``."""
    media_types: tuple[str, ...] = (JSON,)
    """Of the body; empty when there is none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that matter to whoever reads the answer, with what they say."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error that a route answers: a row of the table, and when."""

    kind: ErrorKind
    text: str
    status: int | None = None
    """The HTTP status, where it is another than that of the row."""

    @property
    def http_status(self) -> int:
        """The HTTP status of the answer."""
        return self.status or self.kind.http_status


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a request carries."""

    form: Any
    """Its type."""
    example: Any
    required: bool = True
    """Whether it must be there at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A value in the path or in a header."""

    text: str
    example: str
    form: Any = str
    """Its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method at one path. The table of them is served, and the documents are written from it."""

    method: str
    """``GET`` and so on; ``*`` is every method."""
    path: str
    """As the server matches it; a pattern after a colon, as in ``{name:.*}``, is not shown."""
    handler: Callable[[Handlers], Handler]
    """Finds what serves it."""
    summary: str
    description: str
    tag: str
    """The chapter of the documents that it belongs to."""
    answers: tuple[Answer, ...]
    refusals: tuple[Refusal, ...] = ()
    """Those besides what ``all_refusals`` adds to every route of its kind."""
    door: Door = Door.BEARER
    scopes: tuple[str, ...] = ()
    """What the token needs, every one of them."""
    place: Mapping[str, Parameter] = field(default_factory=dict)
    """What stands in the path."""
    query: type[msgspec.Struct] | None = None
    """The query parameters; None when there are none."""
    headers: Mapping[str, Parameter] = field(default_factory=dict)
    """Request headers with a meaning of their own."""
    body: Body | None = None
    head: bool = False
    """Whether HEAD is answered besides GET."""
    is_probe: bool = False
    """Asked every few seconds by machines: neither work nor, when it says no, failed work."""
    has_effects: bool = False
    """Whether it acts on the whole server, so that tests which call routes at random leave it alone."""

    @property
    def shown_path(self) -> str:
        """The path as documents write it: ``/ws/client/{name}``."""
        parts = [part.partition(":")[0] for part in self.path.split("}")]
        return "}".join(parts)

    @property
    def shown_method(self) -> str:
        """The method that documents name; of every method the one that is meant."""
        return "GET" if self.method == ANY_METHOD else self.method

    @property
    def name(self) -> str:
        """What programs made from the documents call it: ``post_ws_broadcast_all``."""
        words = [word.strip("{}") for word in self.shown_path.replace(".", "/").split("/") if word]
        return "_".join([self.shown_method.lower(), *words]).replace("-", "_")

    def all_refusals(self) -> tuple[Refusal, ...]:
        """Every error it answers, those included that follow from its door, its body and its query."""
        return (*_common_refusals(self), *self.refusals)

    def statuses(self) -> frozenset[int]:
        """Every HTTP status that it can answer."""
        return frozenset(
            [answer.status for answer in self.answers] + [one.http_status for one in self.all_refusals()]
        )


def _common_refusals(route: Route) -> Iterator[Refusal]:
    if route.door in (Door.BEARER, Door.OPERATOR):
        yield Refusal(AUTHENTICATION_FAILED, "No credentials that count; always the same text.")
        yield Refusal(PERMISSION_DENIED, "The credentials lack a scope; `details.scope` names it.")
        yield Refusal(RATE_LIMIT, "This subject asks too often.")
    if route.place or route.query is not None or route.body is not None or route.scopes:
        yield Refusal(INVALID_MESSAGE, "A parameter or the body is not what it must be.")
    if route.body is not None:
        yield Refusal(INVALID_MESSAGE, "The body did not come within 30 seconds.", status=408)
        yield Refusal(MESSAGE_TOO_LARGE, "The body is too large.")
    yield Refusal(INTERNAL_ERROR, "A fault of the server; `details.incident` is found in its log.")
