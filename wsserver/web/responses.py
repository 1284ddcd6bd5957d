"""Answers over HTTP: one envelope for success, one for errors, the same careful headers on all."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from wsserver.errors import INTERNAL_ERROR, INVALID_MESSAGE, MESSAGE_TOO_LARGE, NOT_FOUND, ServerError
from wsserver.incidents import internal_error
from wsserver.web.refusal import HandshakeRefused

logger = logging.getLogger("wsserver.web")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_BY_STATUS: Final = {404: NOT_FOUND, 413: MESSAGE_TOO_LARGE, 500: INTERNAL_ERROR}


def success(data: Any, status: int = 200) -> web.Response:
    """``{"status":"success","data":…}``."""
    return _json({"status": "success", "data": data}, status)


def failure(error: ServerError) -> web.Response:
    """``{"status":"error","error":{…}}`` with the status of the error's row."""
    if isinstance(error, HandshakeRefused):
        refusal = error.response()
        refusal.headers.update(_HEADERS)
        return refusal
    answer = _json({"status": "error", "error": error.as_dict()}, error.http_status)
    if error.http_status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_ms is not None:
        answer.headers["Retry-After"] = str(max(1, -(-error.retry_after_ms // 1000)))
    return answer


def plain(document: Any, status: int = 200) -> web.Response:
    """A small JSON document without an envelope, for machines that only look at the status."""
    return _json(document, status)


def _json(document: Any, status: int) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(document), content_type="application/json", headers=_HEADERS
    )


def errors_as_json(handler: Handler) -> Handler:
    """Turn what a handler raises into the error envelope. The one place where HTTP meets exceptions."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ServerError as error:
            return failure(error)
        except web.HTTPException as refusal:
            if refusal.status < 400:
                raise
            # aiohttp keeps that of an unknown path with the request, to which its traceback leads.
            refusal.__traceback__ = None
            kind = _BY_STATUS.get(refusal.status, INVALID_MESSAGE)
            answer = failure(ServerError(kind, refusal.reason, http_status=refusal.status))
            if "Allow" in refusal.headers:
                answer.headers["Allow"] = refusal.headers["Allow"]
            return answer
        except ConnectionError:
            # The client is gone: nobody reads this, and aiohttp would log a raised one with its traceback.
            return web.Response(status=400)
        except Exception:
            return failure(internal_error("answering a request"))

    return handle


@web.middleware
async def answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """For an application of our own: unknown paths and wrong methods get the envelope as well."""
    if request.match_info.http_exception is None:
        # A route of ours, which sees to that itself.
        return await handler(request)
    return await errors_as_json(handler)(request)
