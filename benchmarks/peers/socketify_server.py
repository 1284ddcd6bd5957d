"""socketify, which is uWebSockets for Python: its publish to a topic, written out once a turn of its loop."""

import socket
from typing import Any

from socketify import App, AppListenOptions, CompressOptions, OpCode

from benchmarks.peers.control import CONFIRMATION, GREETING, obey

_TOPIC = "ecg"


def _opened(client: Any) -> None:
    client.send(GREETING, OpCode.TEXT)


def _received(client: Any, message: Any, opcode: Any) -> None:
    client.subscribe(_TOPIC)
    client.send(CONFIRMATION, OpCode.TEXT)


def main() -> None:
    """Serve until standard input ends."""
    # By default it sleeps for up to 10 ms at a time when it has been idle: it is stopped while it is not its
    # turn, so it may as well look for work all the time.
    app = App(lifespan=False, idle_relaxation_time=0)
    app.ws(
        "/ws/connect",
        {
            "compression": CompressOptions.DISABLED,
            "idle_timeout": 0,
            "send_pings_automatically": False,
            "open": _opened,
            "message": _received,
        },
    )
    # It does not tell the port that it got.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def send(text: str) -> None:
        app.publish(_TOPIC, text, OpCode.TEXT)

    async def obey_and_end() -> None:
        await obey(port, send)
        app.close()

    def begin() -> None:
        # The loop itself holds a task weakly only.
        tasks.append(app.loop.ensure_future(obey_and_end()))

    tasks: list[Any] = []
    app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda _: None)
    app.loop.loop.call_soon(begin)
    app.run()


if __name__ == "__main__":
    main()
