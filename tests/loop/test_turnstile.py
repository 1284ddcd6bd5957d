"""Newcomers come in a few in each turn of the loop, in the order of their coming."""

import asyncio

from wsserver.loop.loop_port import LoopPort
from wsserver.loop.turnstile import Turnstile


class Queue:
    """People at a turnstile, and who has passed it."""

    def __init__(self, per_turn: int) -> None:
        port = LoopPort()
        port.bind(asyncio.get_running_loop())
        self.turnstile = Turnstile(port, per_turn)
        self.passed: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def come(self, names: str) -> None:
        for name in names:
            self.tasks[name] = asyncio.ensure_future(self._pass(name))

    async def _pass(self, name: str) -> None:
        await self.turnstile.passed()
        self.passed.append(name)

    async def turns(self, count: int) -> list[str]:
        """Who has passed in each of the next turns."""
        seen = []
        for _ in range(count):
            before = len(self.passed)
            await asyncio.sleep(0)
            seen.append("".join(self.passed[before:]))
        return seen


async def test_few_pass_at_once() -> None:
    queue = Queue(3)
    queue.come("abc")
    assert (await queue.turns(1), len(queue.turnstile)) == (["abc"], 0)


async def test_of_many_so_many_pass_in_each_turn_in_their_order() -> None:
    queue = Queue(2)
    queue.come("abcdefg")
    seen = [some for some in await queue.turns(8) if some]
    assert seen == ["ab", "cd", "ef", "g"]


async def test_whoever_comes_later_does_not_overtake() -> None:
    queue = Queue(1)
    queue.come("abc")
    await queue.turns(1)
    queue.come("d")
    await queue.turns(6)
    assert queue.passed == list("abcd")


async def test_whoever_gives_up_takes_no_place() -> None:
    queue = Queue(2)
    queue.come("abcdefgh")
    await queue.turns(1)
    for name in "cef":
        queue.tasks[name].cancel()
    seen = [some for some in await queue.turns(6) if some]
    assert "".join(seen) == "dgh"
    assert seen[0] == "dg"
    assert len(queue.turnstile) == 0


async def test_in_a_later_turn_there_is_room_again() -> None:
    queue = Queue(2)
    for names in ("ab", "cd", "ef"):
        queue.come(names)
        # The turn in which they pass, and the one behind it.
        assert "".join(await queue.turns(2)) == names
