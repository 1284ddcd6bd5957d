"""The status page: the document and its files, which hold nothing of this server."""

from typing import Final

from wsserver.errors import NOT_FOUND
from wsserver.web.handlers.status_page import serve_status_file, serve_status_page
from wsserver.web.route import Answer, Door, Parameter, Refusal, Route

TAG: Final = "Status page"

_NOT_CHANGED: Final = Answer(status=304, text="It is as `If-None-Match` says.", media_types=())

STATUS_PAGE: Final = (
    Route(
        method="GET",
        path="/ws/status",
        handler=lambda _: serve_status_page,
        door=Door.NONE,
        summary="The status page",
        description="For operators in a browser. The document is the same for everybody and holds no "
        "figures: these are asked for after signing in.",
        tag=TAG,
        answers=(
            Answer(
                text="The document.",
                media_types=("text/html",),
                headers={"Content-Security-Policy": "Nothing but what this server serves."},
            ),
            _NOT_CHANGED,
        ),
        head=True,
    ),
    Route(
        method="GET",
        # With a dot, so that routes below this path have room beside it.
        path=r"/ws/status/{name:.+\..+}",
        handler=lambda _: serve_status_file,
        door=Door.NONE,
        summary="A file of the status page",
        description="A script or a style sheet.",
        tag=TAG,
        place={"name": Parameter(text="The path of the file.", example="status.js")},
        answers=(
            Answer(
                text="The file.",
                media_types=("text/javascript", "text/css"),
                headers={"ETag": "Belongs to these bytes."},
            ),
            _NOT_CHANGED,
        ),
        refusals=(Refusal(NOT_FOUND, "There is no such file."),),
        head=True,
    ),
)
