"""``POST /ws/revoke``: tokens and rights that end before their time."""

import time
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from wsserver.access.claims import MAX_TOKEN_ID
from wsserver.errors import INVALID_MESSAGE, ServerError
from wsserver.ids import InvalidId, canonical_id
from wsserver.service import Service
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import check_query
from wsserver.web.request_body import decode_body, read_body
from wsserver.web.responses import success

MAX_BODY: Final = 1024 * 1024
"""Bytes: a thousand patients may have long ids."""


class RevokeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /ws/revoke``."""

    user: str | int | None = None
    token_id: Annotated[str, msgspec.Meta(max_length=MAX_TOKEN_ID)] | None = None
    patients: Annotated[list[str | int], msgspec.Meta(max_length=1000)] | None = None


class RightsHandlers:
    """The handler of the route."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/revoke``: ``{user}`` or ``{token_id}`` closes; ``{user, patients}`` takes rights."""
        operator = await self._door.require(request, "admin:write")
        check_query(request)
        asked = decode_body(await read_body(request, MAX_BODY), RevokeRequest)
        user_id = None if asked.user is None else _canonical(asked.user, "user")
        patients = None if asked.patients is None else [_canonical(one, "patients") for one in asked.patients]
        if user_id is None and (asked.token_id is None or patients is not None):
            raise ServerError(INVALID_MESSAGE, "Give user, token_id, or user and patients.")
        started = time.perf_counter()
        concerned = await self._service.revoke(user_id=user_id, token_id=asked.token_id, patients=patients)
        took = round((time.perf_counter() - started) * 1000, 3)
        patient_id = patients[0] if patients is not None and len(patients) == 1 else None
        details: dict[str, Any] = {"user": user_id, "token_id": asked.token_id, "connections": concerned}
        if patients is not None and patient_id is None:
            details |= {"patients": len(patients), "first_patients": patients[:20]}
        self._door.note(
            operator,
            "revoke",
            patient_id=patient_id,
            details={name: value for name, value in details.items() if value is not None},
        )
        return success({"connections": concerned, "took_ms": took})


def _canonical(value: str | int, what: str) -> str:
    try:
        return canonical_id(value, what)
    except InvalidId as error:
        raise ServerError(INVALID_MESSAGE, str(error)) from None
