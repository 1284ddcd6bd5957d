"""Routes that give files to anybody."""

from typing import Final

from wsserver.errors import NOT_FOUND
from wsserver.web.client_files import PACKAGE
from wsserver.web.handlers.files import serve_client
from wsserver.web.route import Answer, Door, Parameter, Refusal, Route

TAG: Final = "Files"

FILES: Final = (
    Route(
        method="GET",
        # Whatever stands behind: what there is not gets its coded answer in every application.
        path="/ws/client/{name:.*}",
        handler=lambda _: serve_client,
        door=Door.NONE,
        summary="The JavaScript client",
        description=f"A module, declaration or other file of it, or `{PACKAGE}`, the npm package of all.",
        tag=TAG,
        place={"name": Parameter(text="The name of the file.", example="index.js")},
        answers=(
            Answer(
                text="The file.",
                media_types=(
                    "text/javascript",
                    "text/plain",
                    "application/json",
                    "text/markdown",
                    "application/gzip",
                ),
                headers={"ETag": "Belongs to these bytes."},
            ),
            Answer(status=304, text="It is as `If-None-Match` says.", media_types=()),
        ),
        refusals=(Refusal(NOT_FOUND, "There is no such file."),),
        head=True,
    ),
)
