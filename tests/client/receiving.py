"""What a client has received, as tests compare it."""

import asyncio

from wsserver.client import Gap, Message, WebSocketClient


async def taken(client: WebSocketClient, count: int) -> list[Message | Gap]:
    """So many items; the last one counts as handled only with the next."""
    async with asyncio.timeout(5):
        return [await client.receive() for _ in range(count)]


def numbers(items: list[Message | Gap]) -> list[int]:
    return [item["n"] for item in items if isinstance(item, Message)]
