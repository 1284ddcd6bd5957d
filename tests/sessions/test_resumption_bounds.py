"""When sessions end, how many there may be, and what an overloaded server does with them."""


import pytest
from comings import come_back, enter, lose, numbers
from workbench import Workbench, assert_nothing_left

from wsserver.connection_manager import DRAIN, OVERLOAD
from wsserver.overload import Cause
from wsserver.settings import SessionSettings

pytestmark = pytest.mark.usefixtures("time_enough")


class TestEnds:
    @pytest.mark.parametrize(
        ("code", "resumed"),
        [(1000, False), (1001, True), (1011, True), (4001, True), (4005, True), (4020, True), (4110, True),
         (4501, False), (4511, False), (4523, False), (4503, False)],
    )  # fmt: skip
    async def test_final_closes_end_the_session(self, bench: Workbench, code: int, resumed: bool) -> None:
        client, told = await enter(bench)
        bench.manager.disconnect(told["connection_id"], code=code)
        await bench.settle()
        await lose(bench, client)
        _, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"] is resumed

    @pytest.mark.parametrize(("code", "resumed"), [(1000, False), (1001, True), (4000, True)])
    async def test_so_does_the_clients_own_goodbye(self, bench: Workbench, code: int, resumed: bool) -> None:
        client, told = await enter(bench)
        client.send_raw(8, code.to_bytes(2, "big"))
        await bench.settle()
        await lose(bench, client)
        _, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"] is resumed

    async def test_what_was_published_while_it_was_closing_is_replayed(self, bench: Workbench) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        client.send_raw(8, (1001).to_bytes(2, "big"))
        assert len(bench.manager.connections) == 1
        report = bench.manager.broadcast_to_type("ecg", {"n": 1})
        assert report.refused == {"closing": 1}
        await lose(bench, client)
        bench.manager.broadcast_to_type("ecg", {"n": 2})
        _, (_, *replayed) = await come_back(bench, told)
        assert numbers(replayed) == [1, 2]

    async def test_a_revoked_user_has_nothing_to_come_back_to(self, bench: Workbench) -> None:
        client, told = await enter(bench)
        other, told_other = await enter(bench, user="u2")
        await lose(bench, client)
        await lose(bench, other)
        await bench.service.revoke(user_id="u1")
        bench.clock.advance(5)
        _, (connected,) = await come_back(bench, told)
        assert not connected["session"]["resumed"]
        _, (connected,) = await come_back(bench, told_other, user="u2")
        assert connected["session"]["resumed"]

    async def test_a_revoked_token_neither(self, bench: Workbench) -> None:
        far_end = bench.newcomer()
        far_end.send(type="connect", token=bench.token(patients="*", token_id="t1"))
        await bench.settle()
        told = far_end.take()[0]
        await lose(bench, far_end)
        await bench.service.revoke(token_id="t1")
        _, (connected,) = await come_back(bench, told)
        assert not connected["session"]["resumed"]

    async def test_nothing_is_left_of_a_connection_that_ends_in_the_middle_of_its_replay(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        await lose(bench, client)
        for n in range(900):
            bench.manager.broadcast_to_type("ecg", {"n": n})
        far_end = bench.newcomer()
        far_end.stuck = True
        session = {"id": told["session_id"], "cursor": told["cursor"]}
        far_end.send(type="connect", token=bench.token(patients="*"), session=session)
        await bench.settle()
        await lose(bench, far_end)
        assert_nothing_left(bench.manager)
        assert len(bench.manager.catch_ups) == 0
        assert len(bench.manager.sessions) == 1
        bench.pass_time(130)
        sessions = bench.manager.sessions
        assert (len(sessions), sessions.bytes, sessions._former, sessions._live) == (0, 0, {}, {})
        assert sessions.get_metrics()["expired"] == 1


class TestRoom:
    async def test_of_too_many_sessions_those_that_ended_first_go(self) -> None:
        bench = await Workbench(session={"max_sessions": 2}).start()
        told = []
        for number in range(3):
            client, answer = await enter(bench, user=f"u{number}")
            told.append(answer)
            await lose(bench, client)
        resumed = []
        for number in (2, 1, 0):
            _, (connected,) = await come_back(bench, told[number], user=f"u{number}")
            resumed.append(connected["session"]["resumed"])
        assert resumed == [True, True, False]
        assert bench.manager.sessions.get_metrics()["dropped"] == 1

    async def test_a_user_that_comes_and_goes_pushes_out_its_own_sessions_and_nobody_elses(self) -> None:
        few = {"max_connections_per_user": 3}
        bench = await Workbench(session={"max_sessions": 6}, connection=few).start()
        client, told = await enter(bench, user="quiet")
        await lose(bench, client)
        own = []
        for _ in range(20):
            client, answer = await enter(bench, user="restless")
            own.append(answer)
            await lose(bench, client)
        sessions = bench.manager.sessions
        assert len(sessions) == 4
        assert sessions.get_metrics()["dropped"] == 17
        for answer, resumed in ((told, True), (own[-1], True), (own[-3], True), (own[-4], False)):
            user = "quiet" if answer is told else "restless"
            client, (connected,) = await come_back(bench, answer, user=user)
            assert connected["session"]["resumed"] is resumed
            client.leave()

    async def test_of_too_many_bytes_too_and_new_bounds_hold_at_once(self) -> None:
        bench = await Workbench(session={"max_total_bytes": 5_000}).start()
        for number in range(10):
            client, _ = await enter(bench, user=f"u{number}", subscriptions=["type:ecg"])
            await lose(bench, client)
            assert bench.manager.sessions.bytes <= 5_000
        assert len(bench.manager.sessions) == 3
        bench.manager.sessions.configure(SessionSettings(max_sessions=1))
        assert len(bench.manager.sessions) == 1


class TestOverload:
    async def test_clients_come_back_within_a_reserve_and_nobody_else_comes_in(self) -> None:
        bench = await Workbench(overload={"resume_reserve": 1}).start()
        clients = [await enter(bench, user=f"u{number}") for number in range(2)]
        for client, _ in clients:
            await lose(bench, client)
        bench.service.overload.enter(Cause.MEMORY)
        assert bench.manager.refusals == {OVERLOAD}
        assert bench.manager.may_return
        stranger = bench.newcomer()
        stranger.send(type="connect", token=bench.token())
        guesser, (error,) = await come_back(bench, {"session_id": "x", "cursor": {}})
        assert (error["code"], guesser.close_code) == (1013, 4020)
        assert error["retry_after_ms"]
        await bench.settle()
        assert (stranger.take()[0]["code"], stranger.close_code) == (1013, 4020)
        _, (connected,) = await come_back(bench, clients[0][1], user="u0")
        assert connected["session"]["resumed"]
        assert not bench.manager.may_return
        _, (error,) = await come_back(bench, clients[1][1], user="u1")
        assert error["code"] == 1013
        bench.service.overload.leave_by_hand()
        _, (connected,) = await come_back(bench, clients[1][1], user="u1")
        assert connected["session"]["resumed"]

    async def test_a_server_that_drains_takes_nobody_back(self, bench: Workbench) -> None:
        client, told = await enter(bench)
        await lose(bench, client)
        bench.manager.reserve = 10
        bench.manager.set_accept_connections(False, cause=OVERLOAD)
        bench.manager.set_accept_connections(False, cause=DRAIN)
        _, (error,) = await come_back(bench, told)
        assert error["code"] == 1013
        bench.manager.set_accept_connections(True, cause=DRAIN)
        _, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"]
