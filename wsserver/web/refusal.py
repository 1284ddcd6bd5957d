"""A handshake that is answered with plain HTTP instead of an upgrade."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from wsserver.errors import ErrorKind, ServerError


class HandshakeRefused(ServerError):
    """The request does not become a WebSocket.

    ``headers`` belong to the answer besides those of its JSON body. ``retry_after`` is in
    seconds and also becomes the ``Retry-After`` header, rounded up to whole seconds.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str | None = None,
        *,
        http_status: int | None = None,
        headers: Mapping[str, str] | None = None,
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            kind,
            message,
            details=details,
            retry_after_ms=None if retry_after is None else math.ceil(retry_after * 1000),
            http_status=http_status,
        )
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))

    def response(self) -> web.Response:
        """The answer, with the error envelope of HTTP as body.

        It ends the connection: bytes behind a refused upgrade were meant as WebSocket
        data, and must never be read as the next HTTP request.
        """
        answer = web.Response(
            status=self.http_status,
            headers=self.headers,
            body=msgspec.json.encode({"status": "error", "error": self.as_dict()}),
            content_type="application/json",
        )
        answer.force_close()
        return answer
