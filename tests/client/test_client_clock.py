"""Work with a time limit: it ends with its caller, and leaves nothing behind that nobody looks at."""

import asyncio
import gc
from typing import Any

from wsserver.client.clock import SystemClock, within


async def test_a_fault_in_the_moment_in_which_its_caller_is_cancelled_is_not_left_lying() -> None:
    left: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: left.append(context))
    begun, broken = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await broken.wait()
        raise OSError

    caller = asyncio.create_task(within(SystemClock(), 60.0, work()))
    await begun.wait()
    broken.set()
    # The work fails in the next turn, and its caller, which would look at it in the one after, is cancelled.
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    del caller
    gc.collect()
    assert left == []
