"""Every message back as it came."""

import pytest
from far_end import BINARY, PONG, TEXT, FarEnd
from workbench import Workbench

from wsserver_core.connection import Connection
from wsserver_core.frames import ReadLimits


@pytest.fixture
def bench() -> Workbench:
    return Workbench()


def client(bench: Workbench, leave: object) -> FarEnd:
    far_end = FarEnd(bench.loop)
    Connection(bench.service.echo_inlet, ReadLimits(100, 1000, 8), leave).attach(far_end, -1)
    return far_end


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_comes_back_with_its_kind_and_its_bytes(bench: Workbench, opcode: int) -> None:
    far_end = client(bench, None)
    for payload in (b"", b"abc", b"x" * 100):
        far_end.send_raw(opcode, payload)
    bench.loop.run()
    assert far_end.frames == [(opcode, b""), (opcode, b"abc"), (opcode, b"x" * 100)]


def test_a_message_over_the_limit_is_answered_with_1009(bench: Workbench) -> None:
    far_end = client(bench, None)
    far_end.send_raw(TEXT, b"x" * 101)
    bench.loop.run()
    assert far_end.close_code == 1009


def test_there_is_no_rate(bench: Workbench) -> None:
    far_end = client(bench, None)
    for _ in range(1000):
        far_end.send_raw(TEXT, b"a")
        far_end.send_raw(PONG, b"")
    bench.loop.run()
    assert len(far_end.frames) == 1000


def test_its_place_is_given_back_once(bench: Workbench) -> None:
    left = []
    far_end = client(bench, lambda: left.append(1))
    far_end.leave()
    bench.loop.run()
    assert left == [1]
    client(bench, None).leave()
    bench.loop.run()
