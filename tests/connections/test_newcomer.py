"""Between the handshake and ``connected``."""

from workbench import Workbench

from wsserver.connections.newcomer import Newcomer


async def test_a_newcomer_has_proved_nothing_and_owes_nothing() -> None:
    bench = await Workbench().start()
    far_end = bench.newcomer()
    assert far_end.connection is not None
    newcomer = far_end.connection.owner
    assert isinstance(newcomer, Newcomer)
    assert (newcomer.encoding.protocol, newcomer.busy, newcomer.waiting, newcomer.faults) == (
        "wsserver.v1.json",
        False,
        [],
        0,
    )
    assert not hasattr(newcomer, "__dict__")


async def test_its_place_at_the_gate_is_given_back_once() -> None:
    bench = await Workbench().start()
    far_end = bench.newcomer()
    far_end.leave()
    far_end.leave()
    bench.loop.run()
    assert bench.left == 1
    assert len(bench.service.admission) == 0
