"""Whose a session is: taken over by its own client, out of reach for all others."""


import pytest
from comings import come_back, enter, lose, numbers
from workbench import Workbench

from wsserver.sessions import catch_up as catch_up_module

pytestmark = pytest.mark.usefixtures("time_enough")


class TestTakeover:
    async def test_the_old_connection_is_closed_and_its_queue_goes_by_the_new_one(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        client.stuck = True
        for n in range(5):
            bench.manager.broadcast_to_type("ecg", {"n": n})
        bench.loop.run()
        old = bench.owner(client)
        again, (connected, *replayed) = await come_back(bench, told)
        assert connected["session"]["resumed"]
        assert numbers(replayed) == [0, 1, 2, 3, 4]
        assert client.connection is not None
        assert client.connection.close_code == 4522
        assert old.connection_id not in bench.manager.connections
        assert len(bench.manager.connections) == 1
        assert bench.manager.sessions.get_metrics()["taken_over"] == 1
        assert bench.owner(again).connection_id in bench.manager.connections

    async def test_limits_do_not_count_the_connection_that_goes(self) -> None:
        bench = await Workbench(
            connection={"max_connections": 1, "max_connections_per_user": 1, "max_connections_per_role": 1}
        ).start()
        _, told = await enter(bench)
        _, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"]
        assert bench.manager.limits.total == 1

    async def test_whoever_is_refused_anyway_keeps_the_old_connection(self) -> None:
        bench = await Workbench(connection={"max_connections_per_role": {"nurse": 0}}).start()
        client, told = await enter(bench)
        refused, (error,) = await come_back(bench, told, role="nurse")
        assert (error["code"], refused.close_code) == (1002, 4102)
        assert client.close_code is None
        assert len(bench.manager.connections) == bench.manager.limits.total == 1
        bench.manager.set_accept_connections(False)
        refused, (error,) = await come_back(bench, told)
        assert (error["code"], refused.close_code) == (1013, 4020)
        assert client.close_code is None

    async def test_a_second_return_during_the_replay_begins_where_that_one_had_come(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        await lose(bench, client)
        for n in range(900):
            bench.manager.broadcast_to_type("ecg", {"n": n})
        second = bench.newcomer()
        second.stuck = True
        session = {"id": told["session_id"], "cursor": told["cursor"]}
        second.send(type="connect", token=bench.token(patients="*"), session=session)
        await bench.settle()
        assert bench.owner(second).catch_up is not None
        _, (connected, *replayed) = await come_back(bench, told)
        assert connected["session"]["replayed"] == 900
        assert numbers(replayed) == list(range(900))
        assert len(bench.manager.catch_ups) == 0


class TestIds:
    @pytest.mark.parametrize("how", ["guessed", "another's", "expired", "ended", "reused"])
    async def test_nothing_says_why_a_session_is_not_resumed(self, bench: Workbench, how: str) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        if how == "ended":
            client.send(type="disconnect")
        await bench.settle()
        await lose(bench, client)
        user = "u2" if how == "another's" else "u1"
        if how == "guessed":
            told = told | {"session_id": "A" * 43}
        if how == "expired":
            bench.pass_time(121)
        if how == "reused":
            again, (connected,) = await come_back(bench, told)
            again.send(type="ping")
            await bench.settle()
        bench.manager.broadcast_to_type("ecg", {"n": 1})
        _, messages = await come_back(bench, told, user=user)
        log = bench.manager.broadcasts.logs.volatile.name
        (connected,) = messages
        assert connected["session"] == {
            "resumed": False,
            "replayed": 0,
            "gaps": [{"type": "gap", "log": log, "from": 1, "to": 1, "reason": "limit"}],
        }
        assert connected["subscriptions"] == connected["errors"] == []
        assert connected["session_id"]
        assert bench.manager.sessions.get_metrics()["unknown"] == 1

    async def test_an_attempt_by_somebody_else_changes_nothing(self, bench: Workbench) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        await come_back(bench, told, user="u2")
        assert client.close_code is None
        await lose(bench, client)
        await come_back(bench, told, user="u2")
        _, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"]

    async def test_the_old_id_is_good_until_the_client_shows_that_it_got_the_new_one(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        ids = [told["session_id"]]
        for _ in range(3):
            await lose(bench, client)
            client, (connected,) = await come_back(bench, told)
            assert connected["session"]["resumed"]
            ids.append(connected["session_id"])
        # Of those that it never showed only the last is known.
        await lose(bench, client)
        client, (connected,) = await come_back(bench, told | {"session_id": ids[2]})
        assert not connected["session"]["resumed"]
        client, (connected,) = await come_back(bench, told | {"session_id": ids[3]})
        assert connected["session"]["resumed"]
        client.send(type="ping")
        await bench.settle()
        await lose(bench, client)
        for shown in ids:
            _, (refused,) = await come_back(bench, told | {"session_id": shown})
            assert not refused["session"]["resumed"]
        _, (connected,) = await come_back(bench, told | {"session_id": connected["session_id"]})
        assert connected["session"]["resumed"]

    async def test_a_pong_shows_it_too_and_what_came_with_connect_does_not(self, bench: Workbench) -> None:
        client, told = await enter(bench)
        await lose(bench, client)
        far_end = bench.newcomer()
        far_end.send(
            type="connect",
            token=bench.token(patients="*"),
            session={"id": told["session_id"], "cursor": told["cursor"]},
        )
        far_end.send(type="ping")
        await bench.settle()
        assert [one["type"] for one in far_end.take()] == ["connected", "pong"]
        await lose(bench, far_end)
        client, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"]
        client.send_raw(10, b"")
        await lose(bench, client)
        _, (connected,) = await come_back(bench, told)
        assert not connected["session"]["resumed"]

    async def test_a_pong_before_connected_shows_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catch_up_module, "EXAMINED", 1)
        bench = await Workbench().start()
        client, told = await enter(bench, subscriptions=["type:ecg"])
        await lose(bench, client)
        for n in range(30):
            bench.manager.broadcast_to_type("ecg", {"n": n})
        far_end = bench.newcomer()
        session = {"id": told["session_id"], "cursor": told["cursor"]}
        far_end.send(type="connect", token=bench.token(patients="*"), session=session)
        while not bench.manager.connections:
            await bench.settle_once()
        assert far_end.messages == []
        far_end.send_raw(10, b"")
        await bench.settle()
        await lose(bench, far_end)
        _, (connected, *_) = await come_back(bench, told)
        assert connected["session"]["resumed"]

    async def test_there_are_none_where_they_are_not_kept(self) -> None:
        bench = await Workbench(session={"ttl": 0.0}).start()
        client, told = await enter(bench)
        assert "session_id" not in told
        assert "session_ttl" not in told
        await lose(bench, client)
        assert len(bench.manager.sessions) == 0
        _, (connected,) = await come_back(bench, {"session_id": "x", "cursor": {}})
        assert not connected["session"]["resumed"]
        assert "session_id" not in connected
