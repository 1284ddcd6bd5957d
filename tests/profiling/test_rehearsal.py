"""The operations on a manager of their own: what is told, and that no server is touched."""

import pytest

from wsserver.connection_manager import connection_manager
from wsserver.loop import loop_port
from wsserver.profiling.rehearsal import MAX_ITERATIONS, rehearse


def test_every_operation_is_timed_and_the_sums_hold() -> None:
    found = rehearse(20)
    assert found.iterations == 20
    assert {name: one.calls for name, one in found.operations.items()} == {
        "connect": 20, "subscribe": 20, "broadcast": 20, "flush": 20,
    }  # fmt: skip
    assert all(0 < one.mean_us <= one.max_us for one in found.operations.values())
    counters = found.core.counters
    # Each broadcast reaches all who have come so far.
    reached = 20 * 21 // 2
    for name in ("matched", "delivered", "frames_sent"):
        assert counters[name] == reached, name
    assert (counters["connections_opened"], counters["broadcasts"]) == (20, 20)
    assert found.core.times["broadcast_write_volatile"].count == 20


def test_the_first_ten_functions_are_the_servers_and_not_the_rehearsals() -> None:
    functions = rehearse(20).functions
    assert len(functions) == 10
    assert [one.total_ms for one in functions] == sorted((one.total_ms for one in functions), reverse=True)
    names = [one.function for one in functions]
    assert any(name.startswith("wsserver.connection_manager:ConnectionManager.") for name in names)
    assert not [name for name in names if "rehearsal" in name]


def test_neither_the_default_manager_nor_a_running_loop_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> None:
        raise AssertionError("it has looked for a running loop")

    before = (connection_manager.opened, connection_manager.broadcasts.operations)
    monkeypatch.setattr(loop_port.asyncio, "get_running_loop", found)
    rehearse(5)
    assert (connection_manager.opened, connection_manager.broadcasts.operations) == before
    assert not connection_manager.connections


@pytest.mark.parametrize("iterations", [0, -1, MAX_ITERATIONS + 1])
def test_iterations_have_bounds(iterations: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        rehearse(iterations)


def test_people_get_lines() -> None:
    lines = rehearse(3).lines()
    assert lines[0].split() == ["operation", "calls", "mean", "µs", "max", "µs"]
    assert lines[1].split()[:2] == ["connect", "3"]
    assert "broadcasts 3, considered 6, matched 6, delivered 6, frames_sent 6, bytes_sent " in lines[6]
    assert len(lines) == 9 + 10
