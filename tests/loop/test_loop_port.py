"""The hub's way to a loop, bound, running or not there yet."""

import asyncio
from typing import Any

import pytest
from hand_loop import HandLoop

from wsserver.loop.loop_port import LoopPort


def test_without_a_loop_calls_wait_for_one_and_are_made_once() -> None:
    port, loop = LoopPort(), HandLoop()
    calls: list[str] = []
    port.call_soon(lambda: calls.append("soon"))
    port.call_later(5, lambda: calls.append("later"))
    port.bind(loop)
    assert calls == []
    loop.run()
    assert calls == ["soon", "later"]
    port.bind(loop)
    loop.run()
    assert len(calls) == 2


def test_a_bound_loop_gets_every_call() -> None:
    port, loop = LoopPort(), HandLoop()
    port.bind(loop)
    port.call_soon(lambda: None)
    port.call_later(0.5, lambda: None)
    port.call_exception_handler({"message": "x"})
    assert (len(loop.ready), [delay for delay, _ in loop.later], loop.faults) == (
        1,
        [0.5],
        [{"message": "x"}],
    )


async def test_unbound_the_running_loop_is_used() -> None:
    port = LoopPort()
    done = asyncio.get_running_loop().create_future()
    port.call_soon(lambda: done.set_result(1))
    assert await done == 1
    later = asyncio.get_running_loop().create_future()
    port.call_later(0, lambda: later.set_result(2))
    assert await later == 2


async def test_a_closed_loop_is_not_used_any_more() -> None:
    port, closed = LoopPort(), HandLoop()
    port.bind(closed)
    closed.closed = True
    done = asyncio.get_running_loop().create_future()
    port.call_soon(lambda: done.set_result(1))
    assert await done == 1
    assert not closed.ready


async def test_a_fault_reaches_the_running_loops_handler() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    LoopPort().call_exception_handler({"message": "fault"})
    assert told == [{"message": "fault"}]


def test_a_fault_without_any_loop_is_raised() -> None:
    with pytest.raises(KeyError):
        LoopPort().call_exception_handler({"exception": KeyError("x")})
