"""Routes that give the documents which are written from this table."""

from typing import Any, Final

from wsserver.web.route import JSON, Answer, Door, Route

TAG: Final = "Documents"


def _document(name: str, **what: Any) -> Route:
    return Route(
        method="GET",
        path=f"/ws/{name}.json",
        door=Door.NONE,
        tag=TAG,
        answers=(
            Answer(text="The document.", media_types=(JSON,), headers={"ETag": "Belongs to these bytes."}),
            Answer(status=304, text="It is as `If-None-Match` says.", media_types=()),
        ),
        head=True,
        **what,
    )


DOCUMENTS: Final = (
    _document(
        "openapi",
        handler=lambda handlers: handlers.documents.openapi,
        summary="This document",
        description="OpenAPI 3.1 of all that this server serves.",
    ),
    _document(
        "asyncapi",
        handler=lambda handlers: handlers.documents.asyncapi,
        summary="The document of the WebSocket",
        description="AsyncAPI 3.0 of all that is said at `/ws/connect`.",
    ),
)
