"""Clients that enter, leave, and come back with their session."""

from typing import Any

from far_end import FarEnd
from workbench import Workbench


async def enter(bench: Workbench, user: str = "u1", **more: Any) -> tuple[FarEnd, dict[str, Any]]:
    """A client and its ``connected``."""
    far_end = bench.newcomer()
    patients = more.pop("patients", "*")
    role = more.pop("role", "doctor")
    far_end.send(type="connect", token=bench.token(user, role, patients=patients), **more)
    await bench.settle()
    answer = far_end.take()[0]
    return far_end, answer


async def come_back(
    bench: Workbench, told: dict[str, Any], cursor: dict[str, int] | None = None, **more: Any
) -> tuple[FarEnd, list[dict[str, Any]]]:
    """A new connection with the session of an earlier one, and all that came on it."""
    far_end = bench.newcomer()
    patients = more.pop("patients", "*")
    user, role = more.pop("user", "u1"), more.pop("role", "doctor")
    session = {"id": told["session_id"], "cursor": told["cursor"] if cursor is None else cursor}
    token = bench.token(user, role, patients=patients)
    far_end.send(type="connect", token=token, session=session, **more)
    await bench.settle()
    return far_end, far_end.take()


async def lose(bench: Workbench, far_end: FarEnd) -> None:
    far_end.leave()
    await bench.settle()


def numbers(messages: list[dict[str, Any]]) -> list[int]:
    return [message["n"] for message in messages if "_meta" in message]
