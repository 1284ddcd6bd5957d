"""Going down as a whole."""

from functools import partial

import pytest
from test_drain import Nap
from workbench import Bench, assert_nothing_left

from wsserver import lifecycle
from wsserver.connection_manager import ConnectionManager
from wsserver.errors import ServerError
from wsserver.lifecycle import graceful_shutdown


async def note(ended: list[object], part: object) -> None:
    ended.append(part)


async def test_everybody_leaves_and_then_subscriptions_and_monitoring_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    connection_id, websocket = bench.connect()
    assert bench.manager.subscribe(connection_id, "ecg")
    ended = []
    subscriptions, health = bench.manager.subscription_manager, bench.manager.health_monitor
    for part in (subscriptions, health):
        monkeypatch.setattr(part, "shutdown", partial(note, ended, part))
    assert await graceful_shutdown(bench.manager, sleep=Nap(bench)) == 1
    bench.loop.run()
    assert websocket.close_code == 4020
    assert ended == [subscriptions, health]
    assert_nothing_left(bench.manager)


async def test_nobody_new_is_taken_afterwards() -> None:
    bench = Bench()
    await graceful_shutdown(bench.manager, sleep=Nap(bench))
    with pytest.raises(ServerError) as refused:
        bench.connect()
    assert refused.value.kind.code == 1013


async def test_the_settings_say_how_unless_a_time_is_given() -> None:
    bench = Bench(shutdown={"timeout": 9.0, "notice": 4.0})
    bench.connect()
    nap = Nap(bench)
    await graceful_shutdown(bench.manager, sleep=nap)
    assert nap.slept == pytest.approx(4.0, abs=0.15)
    bench = Bench(shutdown={"timeout": 9.0, "notice": 4.0})
    bench.connect()
    nap = Nap(bench)
    await graceful_shutdown(bench.manager, 2.0, sleep=nap)
    assert nap.slept == pytest.approx(1.0, abs=0.15), "half of the time at most is for the notice"


async def test_it_is_called_as_the_specification_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = ConnectionManager()
    monkeypatch.setattr(lifecycle, "default_manager", manager)
    await graceful_shutdown()
    assert manager.draining
