"""``GET /ws/client/…``: the JavaScript client from the server that it will talk to."""

import asyncio
from typing import Final

from aiohttp import web

from wsserver.errors import NOT_FOUND, ServerError
from wsserver.web.client_files import CLIENT_FILES, PACKAGE, ClientFile, client_package

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    # The modules fit together only in one version: each is asked for again, and mostly answered by 304.
    "Cache-Control": "no-cache",
    # Browsers import modules of another origin only with this. It gives nothing away: the files are the
    # same for everybody, and no cookie or token is looked at.
    "Access-Control-Allow-Origin": "*",
}


async def serve_client(request: web.Request) -> web.StreamResponse:
    """Answer GET and HEAD for one file of the client, or for the npm package of all; without a token."""
    name = request.match_info["name"]
    file = await asyncio.to_thread(client_package) if name == PACKAGE else CLIENT_FILES.get(name)
    if file is None:
        raise ServerError(NOT_FOUND)
    headers = {**_HEADERS, "ETag": f'"{file.etag}"'}
    if _has_it(request, file):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, headers={**headers, "Content-Type": file.content_type})


def _has_it(request: web.Request, file: ClientFile) -> bool:
    # A weak tag of these bytes will do (RFC 9110 section 13.1.2), and `*` is whatever there is.
    return any(tag.value in (file.etag, "*") for tag in request.if_none_match or ())
