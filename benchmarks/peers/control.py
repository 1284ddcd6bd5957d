"""How a peer in Python is told what to send: by lines on its standard input.

It prints its port first. For each line ``FIRST COUNT JOINED TEXT`` it sends the text COUNT times to
everybody, ``%d`` replaced by FIRST, FIRST + 1, …, JOINED of them in a row with no turn of the event loop
asked for in between, and prints the processor seconds that took.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

GREETING = '{"type":"connected"}'
CONFIRMATION = '{"type":"subscription_confirmed"}'


async def obey(port: int, broadcast: Callable[[str], Awaitable[None]]) -> None:
    """Carry out what is told until standard input ends; ``broadcast`` sends one text to everybody."""
    commands, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print(port, flush=True)
    while line := await commands.readline():
        first, count, joined, text = line.decode().rstrip("\n").split(" ", 3)
        end, before = int(first) + int(count), time.process_time()
        for number in range(int(first), end, int(joined)):
            for each in range(number, min(number + int(joined), end)):
                await broadcast(text.replace("%d", str(each)))
            await asyncio.sleep(0)
        print(time.process_time() - before, flush=True)
