"""Bodies of requests: read within bounds of size and time, decoded into what a route asks for."""

import asyncio
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from wsserver.errors import INVALID_MESSAGE, MESSAGE_TOO_LARGE, ServerError
from wsserver.protocol.json_rules import TOO_DEEP, JsonFault, fault_of, path_text

BODY_SECONDS: Final = 30.0
"""Seconds that a request's body may take."""

COMMAND_BODY: Final = 4096
"""Bytes of a body that says in a few members what is to be done."""

Form = TypeVar("Form", bound=msgspec.Struct)


async def read_body(request: web.Request, limit: int) -> bytes:
    """The request's body; raises 1004 beyond ``limit`` bytes without reading on, 1003 for a broken one."""
    declared = request.content_length
    if declared is not None and declared > limit:
        raise ServerError(MESSAGE_TOO_LARGE, details={"size": declared, "max_message_size": limit})
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            # Not request.read(): its limit is that of the application which we may be only a part of.
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise ServerError(MESSAGE_TOO_LARGE, details={"max_message_size": limit})
    except web.RequestPayloadError:
        # Chunks that are none; and in an application around this one also what does not unpack.
        raise ServerError(INVALID_MESSAGE, "The body is not as its headers say.") from None
    except TimeoutError:
        raise ServerError(INVALID_MESSAGE, "The body did not come in time.", http_status=408) from None
    return bytes(body)


def decode_body(body: bytes, form: type[Form]) -> Form:
    """The body as a form; raises 1003 for anything else, and says where it is wrong and why."""
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fault = fault_of(error)
    except RecursionError:
        fault = JsonFault(TOO_DEEP)
    path = path_text(fault.path)
    raise ServerError(
        INVALID_MESSAGE,
        f"The body must be a JSON object of {', '.join(form.__struct_fields__)}: "
        f"{path or 'it'} {fault.reason}.",
        details={"path": path, "reason": fault.reason},
    )
