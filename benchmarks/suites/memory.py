"""Memory: what one idle, authenticated connection with one subscription adds to the server's process.

Resident memory of the process, grown from the first hundred connections on (what is made
once is there by then) to ten thousand more; no TLS, garbage collected before each reading.
Kernel memory of the sockets is not in it.
"""

import asyncio
import gc
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.clients.load_client import load_client
from benchmarks.machine import facts, pin, resident_bytes
from benchmarks.servers.real_server import SUBSCRIBE, load_profile, real_server, write_tokens

FIRST = 100


async def memory(connections: int) -> dict[str, Any]:
    """Measure it with that many connections beyond the first hundred."""
    core = pin()
    loaded = load_profile()
    machine = facts()
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        token_bytes = write_tokens(tokens, FIRST + connections, loaded, ward=1)
        async with (
            real_server(loaded) as server,
            load_client(server.port, SUBSCRIBE, core=core, tokens=tokens) as client,
        ):
            await client.connect(FIRST)
            await client.subscribe()
            before = await _reading()
            accepted = await client.connect(connections)
            connected = await _reading()
            await client.subscribe()
            after = await _reading()
            subscriptions = len(server.manager.index)
    return {
        "benchmark": "memory",
        "machine": machine,
        "connections": connections,
        "subscriptions": subscriptions,
        "token_bytes": token_bytes,
        "resident_before": before,
        "resident_after": after,
        "bytes_per_connection": (after - before) / connections,
        "of_which_subscription": (after - connected) / connections,
        "accepted_per_second": connections / accepted["wall"],
    }


async def _reading() -> int:
    # Two turns: what the last answers left behind is let go of first.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    return resident_bytes()


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    return (
        f"{result['connections']:,} idle connections with one subscription each, "
        f"tokens of {result['token_bytes']} bytes\n"
        f"  {result['bytes_per_connection']:,.0f} bytes per connection, "
        f"of which {result['of_which_subscription']:,.0f} for the subscription\n"
        f"  process: {result['resident_before'] / 1e6:.1f} MB before, "
        f"{result['resident_after'] / 1e6:.1f} MB after\n"
        f"  {result['accepted_per_second']:,.0f} connections accepted per second meanwhile\n"
    )
