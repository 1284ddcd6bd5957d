"""Forms that several chapters of the table use."""

from typing import Annotated

import msgspec
from msgspec import Meta

from wsserver.ids import ID_PATTERN, ID_RULE
from wsserver.web.query import DEFAULT_LIMIT, MAX_LIMIT

Instant = Annotated[str, Meta(description="RFC 3339 in UTC.", extra_json_schema={"format": "date-time"})]

Id = Annotated[str, Meta(pattern=f"^{ID_PATTERN}$", description=f"{ID_RULE}.")]

Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="How many entries at the most.")]


Reveal = Annotated[
    bool,
    Meta(description="Whether ids of users and patients are shown whole to a signed-in operator."),
]


class LimitQuery(msgspec.Struct):
    """How much is asked for."""

    limit: Limit = DEFAULT_LIMIT


class RevealQuery(msgspec.Struct):
    """How it is shown."""

    reveal: Reveal = False
