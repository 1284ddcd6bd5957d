"""Connections over HTTP: who is here and how they are doing, and the operator's hand on their sockets."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from wsserver.clock import utc_text
from wsserver.connections.connection_info import STATES
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.connections.connection_pages import SORTS, BadCursor, ConnectionPages, ConnectionQuery
from wsserver.errors import INVALID_MESSAGE, NOT_FOUND, CloseCode, ServerError
from wsserver.ids import InvalidId, canonical_id
from wsserver.operators.masking import mask, mask_document
from wsserver.operators.operator import Operator
from wsserver.protocol.encoding import PROTOCOLS
from wsserver.service import Service
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import asked_choice, asked_id, check_query, page_limit
from wsserver.web.request_body import COMMAND_BODY, decode_body, read_body
from wsserver.web.responses import success

MAX_REASON_BYTES: Final = 123
"""RFC 6455 section 5.5: what a close frame has room for."""


class DisconnectRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST …/disconnect``; what it leaves out is no."""

    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON_BYTES)] = ""
    """What the client is told with the close."""
    reconnect: bool = False
    """Whether the client is to come back: 4021 in place of 4523."""


class ConnectionHandlers:
    """Handlers of ``/ws/connections`` and ``/ws/users``."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door
        self._pages = ConnectionPages(service.manager.inspector)

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/connections``: a page of the open connections."""
        operator = await self._door.require(request, "admin:read")
        filters = ("role", "state", "user_id", "patient_id", "protocol", "q")
        check_query(request, "limit", "cursor", "sort", "reveal", *filters)
        state: Any = asked_choice(request, "state", STATES)
        sort: Any = asked_choice(request, "sort", SORTS) or "connected"
        query = ConnectionQuery(
            limit=page_limit(request),
            sort=sort,
            cursor=request.query.get("cursor"),
            role=asked_id(request, "role"),
            state=state,
            user_id=asked_id(request, "user_id"),
            patient_id=asked_id(request, "patient_id"),
            protocol=asked_choice(request, "protocol", PROTOCOLS),
            begins=asked_id(request, "q"),
        )
        reveals = self._door.reveals(request, operator, patient_id=query.patient_id)
        show: Callable[[str], str] = str if reveals else mask
        try:
            page = await self._pages.read(query, show)
        except BadCursor:
            raise ServerError(INVALID_MESSAGE, "cursor must be a next_cursor of the same sort.") from None
        return success(page)

    async def detail(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/connections/{connection_id}``: all that is known of one."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "reveal")
        metadata = self._open(_place(request, "connection_id"))
        connection_id = metadata.connection_id
        reveals = self._door.reveals(
            request, operator, connection_id=connection_id, patient_id=metadata.patient_id
        )
        info = msgspec.to_builtins(self._service.manager.get_connection_info(connection_id))
        return success(info if reveals else mask_document(info))

    async def disconnect(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/connections/{connection_id}/disconnect``: 4523, or 4021 to have it come back."""
        operator = await self._door.require(request, "admin:write")
        check_query(request)
        asked = await _asked(request)
        metadata = self._open(_place(request, "connection_id"))
        self._end(operator, "disconnect_connection", [metadata], asked)
        return success({"disconnected": 1})

    async def disconnect_user(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/users/{user_id}/disconnect``: the same for all connections of a user."""
        operator = await self._door.require(request, "admin:write")
        check_query(request)
        asked, user_id = await _asked(request), _place(request, "user_id")
        theirs = [one for one in self._service.manager.connections.values() if one.user_id == user_id]
        if not theirs:
            raise ServerError(NOT_FOUND, "This user has no open connection.")
        self._end(operator, "disconnect_user", theirs, asked)
        return success({"disconnected": len(theirs)})

    def _open(self, connection_id: str) -> ConnectionMetadata:
        manager = self._service.manager
        metadata = manager.connections.get(connection_id)
        if metadata is not None:
            return metadata
        ended = manager.records.ended(connection_id)
        if ended is None:
            raise ServerError(NOT_FOUND, "No such connection is open, and none has ended lately.")
        clock = self._service.clock
        at = clock.time() - (clock.monotonic() - ended.ended_at)
        raise ServerError(NOT_FOUND, "This connection has ended.", details={"ended_at": utc_text(at)})

    def _end(
        self, operator: Operator, action: str, chosen: list[ConnectionMetadata], asked: DisconnectRequest
    ) -> None:
        code = CloseCode.RECONNECT_ASKED if asked.reconnect else CloseCode.ENDED_BY_OPERATOR
        details: dict[str, Any] = {"user": chosen[0].user_id, "code": int(code)}
        if asked.reason:
            details["reason"] = asked.reason
        if action == "disconnect_user":
            details["connections"] = len(chosen)
            self._door.note(operator, action, details=details)
        else:
            one = chosen[0]
            self._door.note(
                operator, action, connection_id=one.connection_id, patient_id=one.patient_id, details=details
            )
        manager = self._service.manager
        for metadata in chosen:
            manager.disconnect(metadata.connection_id, asked.reason or _REASONS[code], code=code)


_REASONS: Final = {
    CloseCode.RECONNECT_ASKED: "an operator asks to reconnect",
    CloseCode.ENDED_BY_OPERATOR: "ended by an operator",
}


async def _asked(request: web.Request) -> DisconnectRequest:
    asked = decode_body(await read_body(request, COMMAND_BODY) or b"{}", DisconnectRequest)
    if len(asked.reason.encode()) > MAX_REASON_BYTES:
        raise ServerError(INVALID_MESSAGE, f"reason must be {MAX_REASON_BYTES} bytes of UTF-8 at most.")
    return asked


def _place(request: web.Request, name: str) -> str:
    try:
        return canonical_id(request.match_info[name], name)
    except InvalidId as error:
        raise ServerError(INVALID_MESSAGE, str(error)) from None
