"""``GET /ws/openapi.json`` and ``/ws/asyncapi.json``: what this server serves, for programs."""

import asyncio
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

import msgspec
from aiohttp import web

from wsserver.api_documents.asyncapi import asyncapi
from wsserver.web.asset import Asset

Write = Callable[[], Mapping[str, Any]]

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    # They change with the server's version: kept, but asked for each time.
    "Cache-Control": "no-cache",
    # For viewers of such documents on other pages: they are the same for everybody.
    "Access-Control-Allow-Origin": "*",
}


class _Document:
    """One document, written when it is first asked for."""

    def __init__(self, write: Write) -> None:
        self._write = write

    @cached_property
    def asset(self) -> Asset:
        return Asset.of("application/json", msgspec.json.encode(self._write()))


class Documents:
    """Handlers that anybody may ask. ``openapi`` writes the document of what the application serves."""

    def __init__(self, openapi: Write) -> None:
        self._openapi = _Document(openapi)
        self._asyncapi = _Document(asyncapi)

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/openapi.json``: OpenAPI 3.1 of the routes."""
        return await _answer(request, self._openapi)

    async def asyncapi(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/asyncapi.json``: AsyncAPI 3.0 of the WebSocket."""
        return await _answer(request, self._asyncapi)


async def _answer(request: web.Request, document: _Document) -> web.StreamResponse:
    # In a thread: written for the first time it takes some 20 ms, in which nobody would get a message.
    asset = await asyncio.to_thread(lambda: document.asset)
    return asset.answer(request, _HEADERS)
