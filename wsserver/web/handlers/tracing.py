"""Armed traces over HTTP: what to look for, and what has been seen."""

from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from wsserver.errors import NOT_FOUND, ServerError
from wsserver.observe.message_trace import ArmedTrace
from wsserver.observe.trace_order import TraceOrder
from wsserver.observe.traced_copies import MAX_LISTED
from wsserver.observe.traced_message import TracedMessage
from wsserver.operators.masking import mask
from wsserver.operators.operator import Operator
from wsserver.service import Service
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import asked_number, check_query, page_limit
from wsserver.web.request_body import COMMAND_BODY, decode_body, read_body
from wsserver.web.responses import success

ROWS_IN_LIST: Final = 20
"""Connections of each message where the messages of all traces are listed."""


class TraceHandlers:
    """Handlers of ``/ws/traces``."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door

    async def all(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/traces``: what is armed, what has ended lately, and the newest messages."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "limit", "reveal")
        limit = page_limit(request)
        whole = self._door.reveals(request, operator)
        traces = self._service.traces
        traces.tick()
        return success(
            {
                "armed": [self._trace(one, whole) for one in traces.armed],
                "ended": [self._trace(one, whole) for one in traces.ended()],
                "messages": self._messages(traces.latest(limit), operator, whole, ROWS_IN_LIST),
            }
        )

    async def one(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/traces/{trace_id}``: one trace, with its messages from number ``after`` on."""
        operator = await self._door.require(request, "admin:read")
        check_query(request, "limit", "after", "reveal")
        limit, after = page_limit(request), asked_number(request, "after", most=1_000_000)
        whole = self._door.reveals(request, operator)
        traces = self._service.traces
        traces.tick()
        trace = _known(traces.get(request.match_info["trace_id"]))
        found = traces.latest(trace.messages, trace.trace_id)
        # The oldest of those that were not read yet, so that whoever follows misses none.
        newer = [one for one in reversed(found) if one.number > after][:limit]
        return success(
            {
                "trace": self._trace(trace, whole),
                "messages": self._messages(newer, operator, whole, MAX_LISTED),
            }
        )

    async def arm(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/traces``: look for the next messages of a kind."""
        operator = await self._door.require(request, "admin:write")
        check_query(request, "reveal")
        order = decode_body(await read_body(request, COMMAND_BODY), TraceOrder)
        whole = self._door.reveals(request, operator)
        trace = self._service.traces.arm(order, operator.name)
        self._note(operator, "arm_trace", trace)
        return success({"trace": self._trace(trace, whole)})

    async def disarm(self, request: web.Request) -> web.StreamResponse:
        """``DELETE /ws/traces/{trace_id}``: end a trace; what it has seen stays."""
        operator = await self._door.require(request, "admin:write")
        check_query(request, "reveal")
        whole = self._door.reveals(request, operator)
        traces = self._service.traces
        trace = _known(traces.get(request.match_info["trace_id"]))
        if trace.state == "armed":
            traces.disarm(trace.trace_id)
            self._note(operator, "disarm_trace", trace)
        return success({"trace": self._trace(trace, whole)})

    def _note(self, operator: Operator, action: str, trace: ArmedTrace) -> None:
        order = trace.order
        asked = {name: value for name, value in order.criteria().items() if name != "patient_id"}
        bounds = {"messages": order.messages, "seconds": order.seconds, "body": order.body}
        self._door.note(
            operator,
            action,
            patient_id=None if order.patient_id is None else str(order.patient_id),
            details={"trace_id": trace.trace_id, **asked, **bounds},
        )

    def _trace(self, trace: ArmedTrace, whole: bool) -> dict[str, Any]:
        return trace.as_dict(None if whole else mask)

    def _messages(
        self, found: Iterable[TracedMessage], operator: Operator, whole: bool, rows: int
    ) -> list[dict[str, Any]]:
        told = []
        for one in found:
            seen = whole and (one.patient_id is None or operator.may_see(one.patient_id))
            told.append(one.as_dict(None if whole else mask, body=seen, limit=rows))
        return told


def _known(trace: ArmedTrace | None) -> ArmedTrace:
    if trace is None:
        raise ServerError(NOT_FOUND, "No such trace is armed, and none has ended lately.")
    return trace
