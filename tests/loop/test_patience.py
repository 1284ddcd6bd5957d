"""A time limit that is only made where somebody waits."""

import asyncio
from typing import Any

import pytest

from wsserver.loop.patience import at_most


async def at_once(answer: str) -> str:
    return answer


async def test_who_never_waits_makes_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_at", None)
    assert await at_most(5.0, at_once("here")) == "here"


async def test_a_fault_before_the_first_wait_is_raised() -> None:
    async def fail() -> None:
        raise LookupError("at once")

    with pytest.raises(LookupError, match="at once"):
        await at_most(5.0, fail())


async def test_who_waits_gets_every_answer_in_its_turn() -> None:
    first, second = (asyncio.get_running_loop().create_future() for _ in range(2))

    async def collect() -> list[str]:
        return [await first, await asyncio.shield(second), await at_once("third")]

    waiting = asyncio.create_task(at_most(5.0, collect()))
    await asyncio.sleep(0)
    first.set_result("first")
    await asyncio.sleep(0)
    second.set_result("second")
    assert await waiting == ["first", "second", "third"]


async def test_who_yields_a_bare_turn_goes_on() -> None:
    async def turn() -> str:
        await asyncio.sleep(0)
        return "after"

    assert await at_most(5.0, turn()) == "after"


async def test_a_fault_that_is_awaited_can_be_caught_inside() -> None:
    place: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def careful() -> str:
        try:
            await place
        except LookupError:
            return "caught"
        return "missed"

    waiting = asyncio.create_task(at_most(5.0, careful()))
    await asyncio.sleep(0)
    place.set_exception(LookupError())
    assert await waiting == "caught"


async def test_who_waits_for_too_long_is_stopped_and_may_clean_up() -> None:
    ended: list[str] = []

    async def stay() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("stay")

    with pytest.raises(TimeoutError):
        await at_most(0.0, stay())
    assert ended == ["stay"]


async def test_cancelling_reaches_the_work_and_is_no_timeout() -> None:
    seen: list[type[BaseException]] = []

    async def stay() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError as fault:
            seen.append(type(fault))
            raise

    waiting: asyncio.Task[Any] = asyncio.create_task(at_most(5.0, stay()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert seen == [asyncio.CancelledError]
