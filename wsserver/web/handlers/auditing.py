"""``GET /ws/audit``: the newest records of the access audit, for whoever has to account for access."""

import re
from typing import Any, Final

from aiohttp import web

from wsserver.audit.access_audit import SERVER
from wsserver.audit.record import AuditRecord
from wsserver.audit.search import AuditSearch
from wsserver.audit.wanted import Wanted, parse_time
from wsserver.errors import INVALID_MESSAGE, ServerError
from wsserver.operators.masking import MASK, mask, mask_topic
from wsserver.service import Service
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import asked_id, check_query, page_limit
from wsserver.web.responses import success

MAX_SEQ: Final = 2**53

_PEOPLE: Final = frozenset({"sees", "user", "user_id", "patients", "first_patients"})
"""Details that are ids of users or patients."""

_SIGN_INS: Final = frozenset({"password", "key"})
"""Rights that only operators have."""

_ENDS: Final = frozenset({"end", "break_glass_end"})
"""Actions whose reason is a word of the server's; in other reasons somebody's own words may hold a name."""

_NAMES: Final = ("patient_id", "user_id", "action", "from", "to", "limit", "cursor", "reveal")


class AuditHandlers:
    """The handler of the route about the audit."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door
        self._search = AuditSearch(service.audit)

    async def find(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/audit``: records that match, newest first, and where the chain stands."""
        operator = await self._door.require(request, "audit:read")
        check_query(request, *_NAMES)
        wanted = Wanted(
            patient_id=asked_id(request, "patient_id"),
            user_id=asked_id(request, "user_id"),
            action=_action(request),
            since=_time(request, "from"),
            until=_time(request, "to"),
        )
        limit, cursor = page_limit(request), _cursor(request)
        is_whole = self._door.reveals(request, operator, patient_id=wanted.patient_id)
        page = await self._search.find(wanted, limit, cursor)
        show = AuditRecord.as_dict if is_whole else masked
        return success(
            {
                "records": [show(record) for record in page.records],
                "cursor": page.cursor,
                "head": self._service.audit.head,
            }
        )


def masked(record: AuditRecord) -> dict[str, Any]:
    """A record without anybody's id: what stands for operators, who have names, stays."""
    shown = record.as_dict()
    # An operator's name is no user's id; those come over connections, or have patients of their own.
    is_named = record.right in _SIGN_INS
    if not is_named and (record.connection_id is not None or record.patient_id is not None):
        shown["actor"] = mask(record.actor)
    if record.patient_id is not None:
        shown["patient_id"] = mask(record.patient_id)
    if record.topic is not None:
        shown["topic"] = mask_topic(record.topic)
    if record.details is not None:
        hides_words = record.actor != SERVER and record.action not in _ENDS
        shown["details"] = {
            name: MASK if name == "reason" and hides_words else _masked_detail(name, value)
            for name, value in record.details.items()
        }
    return shown


def _masked_detail(name: str, value: Any) -> Any:
    hide = mask_topic if name == "topic" else mask if name in _PEOPLE else None
    if hide is None:
        return value
    if isinstance(value, list | tuple):
        return [hide(str(one)) for one in value]
    # "all" is everybody, and a number only tells how many.
    return value if name == "sees" or not isinstance(value, str) else hide(value)


def _action(request: web.Request) -> str | None:
    given = request.query.get("action")
    if given is not None and not re.fullmatch("[a-z_]{1,40}", given):
        raise ServerError(INVALID_MESSAGE, "action must be a word of a-z and _.")
    return given


def _time(request: web.Request, name: str) -> str | None:
    given = request.query.get(name)
    try:
        return None if given is None else parse_time(given[:64])
    except ValueError:
        raise ServerError(INVALID_MESSAGE, f"{name} must be a time such as 2026-11-25T21:40:00Z.") from None


def _cursor(request: web.Request) -> int | None:
    given = request.query.get("cursor")
    if given is None:
        return None
    if not re.fullmatch("[0-9]{1,16}", given) or not 1 <= int(given) <= MAX_SEQ:
        raise ServerError(INVALID_MESSAGE, "cursor must be the one of an answer.")
    return int(given)
