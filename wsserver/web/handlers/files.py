"""``GET /ws/client/…``: the JavaScript client from the server that it will talk to."""

import asyncio
from typing import Final

from aiohttp import web

from wsserver.errors import NOT_FOUND, ServerError
from wsserver.web.client_files import CLIENT_FILES, PACKAGE, client_package

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
    return file.answer(request, _HEADERS)
