"""In which state a server is, and since when."""

import pytest
from workbench import Workbench

from wsserver.overload import Cause
from wsserver.status.standing import Standing


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench().start()


async def test_a_server_that_takes_everybody_is_accepting(bench: Workbench) -> None:
    standing = Standing(bench.service)
    began = bench.clock.time()
    bench.clock.advance(5)
    standing.look()
    assert (standing.state, standing.reasons, standing.since) == ("accepting", [], began)


async def test_each_state_has_its_reasons_and_the_worst_is_told(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing, service = Standing(bench.service), bench.service
    service.manager.set_accept_connections(False)
    standing.look()
    assert (standing.state, standing.reasons) == ("refusing", ["operator"])
    service.overload.enter(Cause.OPERATOR)
    service.overload.enter(Cause.MEMORY)
    standing.look()
    assert (standing.state, standing.reasons) == ("overloaded", ["memory", "operator"])
    monkeypatch.setattr(type(service.store_keeper), "fault", property(lambda self: "the disk is full"))
    standing.look()
    assert (standing.state, standing.reasons) == ("store_lost", ["the disk is full"])
    service.manager.set_accept_connections(False, cause="drain")
    standing.look()
    assert (standing.state, standing.reasons) == ("draining", ["drain"])


async def test_since_is_when_the_state_changed_and_not_its_reasons(bench: Workbench) -> None:
    standing, service = Standing(bench.service), bench.service
    bench.clock.advance(10)
    service.overload.enter(Cause.OPERATOR)
    standing.look()
    since = bench.clock.time()
    bench.clock.advance(10)
    service.overload.enter(Cause.MEMORY)
    standing.look()
    assert standing.since == since
    bench.clock.advance(10)
    service.overload.leave(Cause.OPERATOR)
    service.overload.leave(Cause.MEMORY)
    standing.look()
    assert (standing.state, standing.since) == ("accepting", bench.clock.time())
