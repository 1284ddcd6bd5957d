"""Listeners: in order, apart from each other, and gone when they are taken away."""

import asyncio

from wsserver.client.emitter import Emitter


def emitter_with_faults() -> tuple[Emitter, list[tuple[str, str]]]:
    faults: list[tuple[str, str]] = []
    return Emitter(["a", "b"], lambda event, fault: faults.append((event, str(fault)))), faults


def test_they_are_called_in_the_order_in_which_they_came() -> None:
    emitter, _ = emitter_with_faults()
    seen: list[int] = []
    for n in range(3):
        emitter.on("a", lambda payload, n=n: seen.append(n + payload))
    emitter.emit("a", 10)
    emitter.emit("b", 10)
    assert seen == [10, 11, 12]


def test_who_comes_or_goes_meanwhile_does_not_change_this_round() -> None:
    emitter, _ = emitter_with_faults()
    seen: list[str] = []

    def first(payload: object) -> None:
        seen.append("first")
        off()
        emitter.on("a", lambda payload: seen.append("late"))

    off = emitter.on("a", first)
    emitter.on("a", lambda payload: seen.append("second"))
    emitter.emit("a", None)
    assert seen == ["first", "second"]
    emitter.off("a", first)


async def test_coroutines_are_left_to_be_awaited_and_their_faults_told() -> None:
    emitter, faults = emitter_with_faults()

    async def failing(payload: object) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("late")

    def failing_at_once(payload: object) -> None:
        raise RuntimeError("at once")

    emitter.on("a", failing)
    emitter.on("a", failing_at_once)
    for left in emitter.emit("a", None):
        await left
    assert faults == [("a", "at once"), ("a", "late")]
