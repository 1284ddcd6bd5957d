"""The client comes back: after cuts and closes, with new tokens, and when nothing is heard."""

import asyncio
from typing import Any

import pytest
from hand_clock import settle
from receiving import numbers, taken

from wsserver.client import (
    AuthenticationFailed,
    ConnectionEnded,
    Gap,
    HandshakeRefused,
    ReconnectFailed,
    State,
)
from wsserver.client.transport import Closed


class TestComingBack:
    async def test_the_session_and_the_cursor_of_what_was_handled_are_shown(self, scene) -> None:
        client = await scene.connected()
        for seq in (1, 2, 3):
            scene.server.last.publish(seq)
        await taken(client, 2)
        await scene.cut()
        await scene.back()
        # 1 is handled, because 2 was asked for. 2 is in hand and 3 waits.
        assert scene.server.last.sent[0]["session"] == {"id": "secret1", "cursor": {"d": 1, "v": 0}}

    async def test_what_waits_here_and_is_replayed_is_given_once(self, scene) -> None:
        client = await scene.connected()
        for seq in (1, 2, 3):
            scene.server.last.publish(seq)
        await taken(client, 2)
        await scene.cut()
        scene.server.cursor = {"d": 1, "v": 0}
        scene.server.session = {"replayed": 3}
        await scene.back()
        for seq in (2, 3, 4):
            scene.server.last.publish(seq)
        assert numbers(await taken(client, 2)) == [3, 4]
        metrics = client.get_metrics()
        assert (metrics["replayed"], metrics["duplicates"], metrics["reconnects"]) == (3, 2, 1)

    async def test_what_is_handled_during_the_handshake_is_not_given_again(self, scene) -> None:
        client = await scene.connected()
        for seq in (1, 2, 3):
            scene.server.last.publish(seq)
        await taken(client, 1)
        held = scene.server.answers.pop("connect")
        await scene.cut()
        await scene.back()
        assert numbers(await taken(client, 2)) == [2, 3]
        socket = scene.server.last
        scene.server.cursor = {"d": 0, "v": 0}
        socket.say(**held(socket, socket.sent[0]))
        for seq in (1, 2, 3, 4):
            socket.publish(seq)
        assert numbers(await taken(client, 1)) == [4]

    async def test_a_pong_moves_the_cursor_when_what_came_before_it_is_handled(self, scene) -> None:
        client = await scene.connected(heartbeat_interval=5)
        scene.server.last.publish(1)
        await settle()
        scene.server.cursor = {"d": 9, "v": 4}
        await scene.clock.advance(2)
        await scene.cut()
        await scene.back()
        assert scene.server.last.sent[0]["session"]["cursor"] == {"d": 0, "v": 4}
        await taken(client, 1)
        waiting = asyncio.ensure_future(client.receive())
        await scene.cut()
        await scene.back()
        assert scene.server.last.sent[0]["session"]["cursor"] == {"d": 9, "v": 4}
        waiting.cancel()

    async def test_the_old_session_is_shown_again_until_connected_has_come(self, scene) -> None:
        await scene.connected()
        held = scene.server.answers.pop("connect")
        await scene.cut()
        await scene.back()
        await scene.cut()
        scene.server.answers["connect"] = held
        await scene.back()
        assert [one.sent[0].get("session", {}).get("id") for one in scene.server.sockets] == [
            None, "secret1", "secret1",
        ]  # fmt: skip

    async def test_gaps_of_the_session_come_before_the_replay(self, scene) -> None:
        client = await scene.connected()
        scene.server.session = {
            "gaps": [{"type": "gap", "log": "d", "from": 1, "to": 4, "reason": "trimmed"}]
        }
        scene.server.cursor = {"d": 4, "v": 0}
        await scene.cut()
        await scene.back()
        scene.server.last.publish(5)
        items = await taken(client, 2)
        assert items[0] == Gap("trimmed", "d", first=1, last=4)
        assert numbers(items) == [5]
        assert scene.of("reconnected")[0].gap

    async def test_a_gap_for_what_waits_here_is_none(self, scene) -> None:
        client = await scene.connected()
        for seq in (1, 2, 3):
            scene.server.last.publish(seq)
        await settle()
        scene.server.resumes = False
        scene.server.session = {"gaps": [{"type": "gap", "log": "d", "from": 1, "to": 5, "reason": "limit"}]}
        scene.server.cursor = {"d": 5, "v": 0}
        await scene.cut()
        await scene.back()
        items = await taken(client, 4)
        assert numbers(items) == [1, 2, 3]
        assert items[3] == Gap("limit", "d", first=4, last=5)

    async def test_a_log_that_is_gone_is_not_shown_again(self, scene) -> None:
        client = await scene.connected()
        scene.server.last.publish(1)
        await taken(client, 1)
        scene.server.cursor = {"d": 1, "v2": 0}
        await scene.cut()
        await scene.back()
        waiting = asyncio.ensure_future(client.receive())
        await scene.cut()
        await scene.back()
        assert scene.server.last.sent[0]["session"]["cursor"] == {"d": 1, "v2": 0}
        waiting.cancel()

    async def test_a_log_that_lost_its_tail_gives_its_numbers_again(self, scene) -> None:
        client = await scene.connected()
        for seq in range(1, 51):
            scene.server.last.publish(seq)
        await taken(client, 51 - 1)
        scene.server.cursor = {"d": 45, "v": 0}
        scene.server.session = {
            "gaps": [{"type": "gap", "log": "d", "from": 46, "to": 49, "reason": "ahead"}]
        }
        await scene.cut()
        await scene.back()
        scene.server.last.publish(46, message_id="m_new")
        items = await taken(client, 2)
        assert items[0] == Gap("ahead", "d", first=46, last=49)
        assert numbers(items) == [46]

    async def test_without_replay_nothing_is_shown_and_the_hole_is_told(self, scene) -> None:
        client = await scene.connected(enable_message_replay=False, subscriptions=["patient:1"])
        await client.subscribe("type:ecg")
        scene.server.last.publish(1)
        await taken(client, 1)
        waiting = asyncio.ensure_future(client.receive())
        await settle()
        scene.server.cursor = {"d": 8, "v2": 0}
        await scene.cut()
        await scene.back()
        assert "session" not in scene.server.last.sent[0]
        assert scene.server.last.sent[0]["subscriptions"] == ["patient:1", "type:ecg"]
        gaps = {await waiting, *await taken(client, 1)}
        assert gaps == {Gap("limit", "d", first=2, last=8), Gap("restart", "v", first=1)}

    async def test_without_restore_only_the_first_subscriptions_are_made_anew(self, scene) -> None:
        client = await scene.connected(enable_session_restore=False, subscriptions=["patient:1"])
        await client.subscribe("type:ecg")
        await scene.cut()
        await scene.back()
        assert "session" not in scene.server.last.sent[0]
        assert scene.server.last.sent[0]["subscriptions"] == ["patient:1"]
        assert scene.server.last.said("subscribe") == []

    async def test_waits_grow_to_the_millisecond_and_end_loudly(self, scene) -> None:
        client = await scene.connected()
        scene.server.refusals.extend([Closed(1006)] * 10)
        await scene.cut()
        await scene.clock.advance(180.999)
        assert client.state is State.RECONNECTING
        await scene.clock.advance(0.001)
        assert [one.delay for one in scene.of("reconnecting")] == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
        assert client.state is State.FAILED
        assert scene.of("reconnect_failed")[0].attempts == 10
        with pytest.raises(ReconnectFailed):
            await client.receive()
        client.reconnect()
        await settle()
        assert client.state is State.CONNECTED

    async def test_zero_attempts_are_without_end(self, scene) -> None:
        client = await scene.connected(max_attempts=0)
        scene.server.refusals.extend([Closed(1006)] * 2000)
        await scene.cut()
        await scene.clock.advance(30 * 1500)
        assert client.state is State.RECONNECTING
        assert scene.of("reconnecting")[-1].delay == 30

    async def test_only_a_connection_that_lasted_lets_the_count_begin_anew(self, scene) -> None:
        await scene.connected()
        for uptime in (4.9, 4.9, 5.0, 4.9):
            await scene.clock.advance(uptime)
            await scene.cut()
            await scene.back()
        assert [one.attempt for one in scene.of("reconnecting")] == [1, 2, 1, 2]

    async def test_without_auto_reconnect_the_first_end_is_the_last(self, scene) -> None:
        client = await scene.connected(auto_reconnect=False)
        await scene.cut()
        with pytest.raises(ConnectionEnded):
            await client.receive()

    async def test_after_a_final_end_it_comes_back_when_it_is_told_to(self, scene) -> None:
        client = await scene.connected()
        await scene.cut(4523)
        assert client.state is State.CLOSED
        client.reconnect()
        await settle()
        assert client.state is State.CONNECTED
        await client.disconnect()
        client.reconnect()
        await settle()
        assert client.state is State.CLOSED

    async def test_reconnect_cuts_the_wait_short(self, scene) -> None:
        client = await scene.connected()
        await scene.cut()
        assert client.state is State.RECONNECTING
        client.reconnect()
        await settle()
        assert client.state is State.CONNECTED

    async def test_reconnect_gives_up_an_open_connection_but_not_its_session(self, scene) -> None:
        client = await scene.connected()
        client.reconnect()
        await settle()
        assert client.state is State.CONNECTED
        assert scene.server.sockets[0].closed_with == 4000
        assert scene.server.last.sent[0]["session"]["id"] == "secret1"


class TestCloses:
    @pytest.mark.parametrize(
        "code", [1001, 1005, 1006, 1011, 1012, 1013, 4000, 4005, 4006, 4020, 4021, 4099, 4100, 4199, 4300]
    )
    async def test_on_these_it_comes_back(self, scene, code: int) -> None:
        client = await scene.connected()
        await scene.cut(code, "why")
        assert client.state is State.RECONNECTING
        told = scene.of("disconnected")[0]
        assert (told.code, told.reason, told.will_reconnect, told.terminal) == (code, "why", True, False)
        await scene.back()

    @pytest.mark.parametrize("code", [1000, 1002, 1003, 1007, 1009, 4500, 4503, 4509, 4511, 4522, 4523, 4999])
    async def test_on_these_it_does_not(self, scene, code: int) -> None:
        client = await scene.connected()
        scene.server.last.publish(1)
        await scene.cut(code, "why")
        assert numbers(await taken(client, 1)) == [1]
        with pytest.raises(ConnectionEnded) as ended:
            async for _ in client:
                pass
        assert (ended.value.code, ended.value.reason) == (code, "why")
        told = scene.of("disconnected")[0]
        assert (told.will_reconnect, told.terminal) == (False, True)
        await scene.clock.advance(1000)
        assert len(scene.server.sockets) == 1

    async def test_the_slot_of_a_drain_is_kept_exactly_and_once(self, scene) -> None:
        await scene.connected()
        scene.random = lambda: 0.999
        scene.server.last.say(type="system_shutdown", message="bye", reconnect_after_ms=5402)
        await settle()
        assert (scene.of("server_shutdown")[0].reconnect_in, scene.clients[0].state) == (
            5.402,
            State.CONNECTED,
        )
        await scene.clock.advance(3)
        scene.server.refusals.append(Closed(1006))
        await scene.cut(4020)
        await scene.clock.advance(5.402)
        first, second = scene.of("reconnecting")
        assert (first.delay, first.advised) == (5.402, True)
        assert not second.advised

    async def test_retry_after_of_the_error_before_the_close_is_the_least(self, scene) -> None:
        await scene.connected()
        scene.random = lambda: 0.5
        scene.server.last.say(type="error", code=1002, name="n", message="m", retry_after_ms=5000)
        await scene.cut(4102)
        assert scene.of("reconnecting")[0].delay == pytest.approx(5.25)

    async def test_an_error_that_the_connection_survived_is_no_advice(self, scene) -> None:
        await scene.connected()
        scene.server.last.say(type="error", code=1010, name="n", message="m", retry_after_ms=60_000)
        scene.server.last.publish(1)
        await scene.cut(4005)
        assert scene.of("reconnecting")[0].delay == 1.0

    async def test_retry_after_of_a_refused_handshake_counts(self, scene) -> None:
        await scene.connected()
        scene.server.refusals.append(HandshakeRefused(503, 20.0))
        await scene.cut()
        await scene.clock.advance(1)
        assert scene.of("reconnecting")[1].delay == pytest.approx(21.0)

    async def test_disconnect_ends_the_session_and_the_iteration(self, scene) -> None:
        client = await scene.connected()
        scene.server.last.publish(1)
        await settle()
        await client.disconnect()
        assert scene.server.last.closed_with == 1000
        assert numbers([item async for item in client]) == [1]
        assert client.state is State.CLOSED
        told = scene.of("disconnected")
        assert [(one.code, one.will_reconnect, one.terminal) for one in told] == [(1000, False, False)]
        await client.connect()
        assert "session" not in scene.server.last.sent[0]

    async def test_disconnect_ends_a_wait_as_well(self, scene) -> None:
        client = await scene.connected()
        await scene.cut()
        await client.disconnect()
        await scene.clock.advance(1000)
        assert len(scene.server.sockets) == 1


class TestTokens:
    async def test_a_refused_token_is_replaced_once_if_another_one_is_to_be_had(self, scene) -> None:
        asked: list[str] = []
        tokens = iter(["bad", "good"])

        def get_token(reason: str) -> str:
            asked.append(reason)
            return next(tokens)

        def answer(socket: Any, command: dict[str, Any]) -> Any:
            if command["token"] == "bad":
                socket.say(
                    type="error", code=1001, name="authentication_failed", message="Authentication failed."
                )
                socket.end(4501)
                return None
            return type(scene.server).connected(socket, command)

        scene.server.answers["connect"] = answer
        connecting = asyncio.ensure_future(scene.client(token=None, get_token=get_token).connect())
        await scene.clock.advance(10)
        await connecting
        assert asked == ["first", "refused"]

    @pytest.mark.parametrize("second", ["bad", "other"])
    async def test_then_it_is_over(self, scene, second: str) -> None:
        tokens = iter(["bad", second, "third"])

        def answer(socket: Any, command: dict[str, Any]) -> Any:
            socket.end(4501)

        scene.server.answers["connect"] = answer
        connecting = asyncio.ensure_future(
            scene.client(token=None, get_token=lambda reason: next(tokens)).connect()
        )
        await scene.clock.advance(100)
        with pytest.raises(AuthenticationFailed):
            await connecting
        assert len(scene.server.sockets) == (1 if second == "bad" else 2)

    async def test_a_fixed_token_that_is_refused_is_not_shown_again(self, scene) -> None:
        client = await scene.connected()
        await scene.cut(4501)
        with pytest.raises(AuthenticationFailed):
            await client.receive()

    async def test_before_it_ends_a_token_is_renewed_on_the_open_connection(self, scene) -> None:
        async def get_token(reason: str) -> str:
            return f"after {reason}"

        await scene.connected(get_token=get_token)
        scene.server.last.say(type="token_expiring", expires_in=60.0)
        await settle()
        assert [one["token"] for one in scene.server.last.said("auth")] == ["after expiring"]
        await scene.cut()
        await scene.back()
        assert scene.server.last.sent[0]["token"] == "after expiring"

    async def test_an_expired_token_is_not_shown_again(self, scene) -> None:
        asked: list[str] = []

        def get_token(reason: str) -> str:
            asked.append(reason)
            return f"t{len(asked) + 1}"

        await scene.connected(get_token=get_token)
        for _ in range(3):
            await scene.cut(4001)
            await scene.back()
        assert asked == ["expired"] * 3
        assert [one.sent[0]["token"] for one in scene.server.sockets] == ["t1", "t2", "t3", "t4"]

    async def test_a_get_token_that_fails_is_asked_again_later(self, scene) -> None:
        outcomes = iter([RuntimeError("no net"), None, "good"])

        def get_token(reason: str) -> Any:
            outcome = next(outcomes)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        connecting = asyncio.ensure_future(scene.client(token=None, get_token=get_token).connect())
        await scene.clock.advance(10)
        await connecting
        assert scene.server.last.sent[0]["token"] == "good"
        assert [type(one).__name__ for one in scene.of("error")] == ["TokenUnavailable"] * 2

    async def test_without_get_token_the_application_is_told_and_may_bring_one(self, scene) -> None:
        client = await scene.connected()
        scene.server.last.say(type="token_expiring", expires_in=60.0)
        await settle()
        assert scene.of("token_expiring")[0].expires_in == 60.0
        assert scene.server.last.said("auth") == []
        await client.authenticate("new")
        assert scene.server.last.said("auth")[0]["token"] == "new"

    async def test_no_repr_and_no_error_shows_a_token_or_a_session(self, scene) -> None:
        client = await scene.connected(token="canary-token")
        texts = [repr(client), repr(client._memory), repr(client._credentials), str(client.get_metrics())]
        await scene.cut(4501)
        texts += [f"{error!r} {error}" for error in (client._supervisor.outcome, *scene.of("error"))]
        texts += [repr(payload) for _, payload in scene.told]
        assert not any("canary" in text or "secret1" in text for text in texts)


class TestHeartbeat:
    async def test_a_dead_line_is_noticed_and_left(self, scene) -> None:
        client = await scene.connected(heartbeat_interval=30, heartbeat_timeout=10)
        await scene.clock.advance(2)
        assert len(scene.of("heartbeat")) == 1
        del scene.server.answers["ping"]
        await scene.clock.advance(30 + 9.9)
        assert client.state is State.CONNECTED
        await scene.clock.advance(0.2)
        assert scene.server.sockets[0].aborted
        assert client.state is State.RECONNECTING
        assert scene.of("disconnected")[0].code == 1006

    async def test_any_frame_is_a_sign_of_life(self, scene) -> None:
        client = await scene.connected(heartbeat_interval=30, heartbeat_timeout=10)
        del scene.server.answers["ping"]
        reading = asyncio.ensure_future(taken(client, 40))
        for seq in range(1, 41):
            await scene.clock.advance(5)
            scene.server.last.publish(seq)
        await reading
        assert len(scene.server.sockets) == 1

    async def test_round_trips_are_measured(self, scene) -> None:
        client = await scene.connected()
        await scene.clock.advance(2)
        assert client.get_metrics()["rtt"] == {"last": 0.0, "avg": 0.0, "p95": 0.0}
