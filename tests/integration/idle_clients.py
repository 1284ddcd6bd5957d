"""Run as a script: many clients that answer pings, of one server. ``idle_clients.py HOST PORT TOKEN COUNT``.

Prints ``connected`` when all are in, and stays until it is killed.
"""

import asyncio
import sys

from websockets.asyncio.client import connect


async def main(host: str, port: str, token: str, count: str) -> None:
    clients = []
    for _ in range(int(count)):
        client = await connect(
            f"ws://{host}:{port}/ws/connect",
            additional_headers={"Authorization": f"Bearer {token}"},
            ping_interval=None, compression=None, proxy=None,
        )  # fmt: skip
        assert '"connected"' in await client.recv()
        clients.append(client)
    print("connected", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
