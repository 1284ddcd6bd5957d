"""The listening sockets, on this machine's own network."""

import asyncio
import socket

from fake_clock import FakeClock

from wsserver.observe.descriptor_room import DescriptorRoom
from wsserver.web.listener import Listener


async def test_a_peer_that_vanishes_is_noticed_whoever_accepted_it() -> None:
    accepted: asyncio.Future[asyncio.BaseTransport] = asyncio.get_running_loop().create_future()

    class Guest(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport)

    listener = Listener(Guest, DescriptorRoom(FakeClock()))
    port = await listener.open("127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        transport = await accepted
        assert transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        transport.close()
    finally:
        writer.close()
        await listener.close()
