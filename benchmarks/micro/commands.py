"""What clients ask for, from the bytes that come in to the bytes that leave, as operations."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from benchmarks.micro.crowd import masked
from benchmarks.micro.operations import Operation, Ready, message
from benchmarks.micro.scene import Scene
from wsserver_core.envelope import encode_control
from wsserver_core.frames import BINARY, TEXT

RECEIVERS: Final = 4


def _command(bodies: Sequence[dict[str, Any]], *, binary: bool, receivers: int = 0) -> Callable[[], Ready]:
    def build() -> Ready:
        scene = Scene()
        for number in range(receivers):
            listener = scene.client(f"listener-{number}", binary=binary)
            subscribe = msgspec.json.encode({"type": "subscribe", "topic": "ecg:bed-7"})
            scene.hear(listener, masked(TEXT, subscribe))
        client = scene.client("123", binary=binary)
        frames = []
        for number, body in enumerate(bodies):
            body = {**body, "request_id": f"{number:08x}"}
            payload = encode_control(body, time=0) if binary else msgspec.json.encode(body)
            frames.append(masked(BINARY if binary else TEXT, payload))
        hear = scene.hear

        def once() -> None:
            for frame in frames:
                hear(client, frame)

        before = scene.manager.hub.frames_written
        once()
        written = scene.manager.hub.frames_written - before
        if written != len(frames) + receivers or scene.manager.faults:
            raise RuntimeError(f"{len(frames)} commands made {written} frames, {scene.manager.faults} faults")
        return Ready(once)

    return build


_PING: Final = [{"type": "ping", "t": 1_767_225_600_000}]
_SUBSCRIBE: Final = [
    {"type": "subscribe", "topic": "patient:123"},
    {"type": "unsubscribe", "topic": "patient:123"},
]
_BROADCAST: Final = [
    {"type": "broadcast", "target_type": "ecg", "target_id": "bed-7", "message": message()},
]

COMMANDS: Final = tuple(
    Operation(
        "command",
        f"{name}, {'binary' if binary else 'JSON'}",
        _command(bodies, binary=binary, receivers=receivers),
        calls,
    )
    for name, bodies, receivers, calls in (
        ("ping", _PING, 0, 50),
        ("subscribe and unsubscribe", _SUBSCRIBE, 0, 20),
        (f"broadcast to {RECEIVERS}", _BROADCAST, RECEIVERS, 20),
    )
    for binary in (False, True)
)
