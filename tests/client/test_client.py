"""The whole client against a server without sockets: what it shows, what it gives, and when it stops."""

import asyncio
from array import array
from typing import Any

import pytest
from hand_clock import settle

from wsserver.client import (
    AuthenticationFailed,
    ClientError,
    ConnectionEnded,
    ConnectionLost,
    Gap,
    HandshakeRefused,
    InvalidOption,
    Message,
    ReconnectFailed,
    RequestRefused,
    State,
    UntrustedServer,
    WebSocketClient,
)
from wsserver.client.transport import Closed
from wsserver_core.envelope import encode_control, encode_message


async def taken(client: WebSocketClient, count: int) -> list[Message | Gap]:
    """So many items; the last one counts as handled only with the next."""
    async with asyncio.timeout(5):
        return [await client.receive() for _ in range(count)]


def numbers(items: list[Message | Gap]) -> list[int]:
    return [item["n"] for item in items if isinstance(item, Message)]


class TestConnecting:
    async def test_the_first_frame_says_who_and_what(self, scene) -> None:
        client = await scene.connected(
            token="secret", user_id="u1", role="doctor", patient_id=7, subscriptions=["patient:1", "type:ecg"]
        )
        assert scene.server.last.sent[0] == {
            "type": "connect", "token": "secret", "user_id": "u1", "role": "doctor", "patient_id": 7,
            "subscriptions": ["patient:1", "type:ecg"],
        }  # fmt: skip
        assert client.state is State.CONNECTED
        assert scene.server.addresses[0].url == "ws://server/ws/connect"
        assert list(scene.server.addresses[0].protocols) == ["wsserver.v1.json"]
        assert [one.connection_id for one in scene.of("connected")] == ["c_1"]
        assert scene.of("reconnected") == []

    async def test_connecting_goes_on_until_the_server_is_there(self, scene) -> None:
        scene.server.refusals.extend([Closed(1006), HandshakeRefused(503), None])
        connecting = asyncio.ensure_future(scene.client().connect())
        await scene.clock.advance(60)
        assert (await connecting).state is State.CONNECTED
        assert [one.attempt for one in scene.of("connecting")] == [0, 1, 2]
        assert [one.delay for one in scene.of("reconnecting")] == [1.0, 2.0]

    @pytest.mark.parametrize("refusal", [HandshakeRefused(403), HandshakeRefused(302), UntrustedServer()])
    async def test_who_is_refused_for_good_hears_it_from_connect(self, scene, refusal) -> None:
        scene.server.refusals.append(refusal)
        with pytest.raises(ConnectionEnded):
            await scene.connected()
        assert scene.clients[0].state is State.CLOSED

    @pytest.mark.parametrize("refusal", [HandshakeRefused(403), UntrustedServer()])
    async def test_but_who_was_in_before_takes_it_for_a_fault_of_others(self, scene, refusal) -> None:
        client = await scene.connected()
        scene.server.refusals.append(refusal)
        await scene.cut()
        await scene.clock.advance(3)
        assert client.state is State.CONNECTED

    async def test_a_server_that_says_nothing_is_given_up_after_the_timeout(self, scene) -> None:
        scene.server.answers["connect"] = lambda socket, command: None
        scene.client(connection_timeout=3)
        connecting = asyncio.ensure_future(scene.clients[0].connect())
        await scene.clock.advance(3)
        assert scene.server.last.closed_with is not None
        assert not connecting.done()
        connecting.cancel()

    async def test_the_timeout_is_for_get_token_and_opening_as_well(self, scene) -> None:
        async def get_token(reason: str) -> str:
            await asyncio.Event().wait()
            return ""

        client = scene.client(token=None, get_token=get_token, connection_timeout=3)
        connecting = asyncio.ensure_future(client.connect())
        await scene.clock.advance(3)
        assert len(scene.of("reconnecting")) == 1
        connecting.cancel()

    async def test_an_address_may_be_asked_for_before_each_attempt(self, scene) -> None:
        client = WebSocketClient(
            lambda: f"https://host{len(scene.server.addresses)}",
            token="t",
            surroundings=scene.client()._surroundings,
        )
        await client.connect()
        await scene.cut()
        await scene.clock.advance(2)
        assert [one.url for one in scene.server.addresses] == [
            "wss://host0/ws/connect", "wss://host1/ws/connect",
        ]  # fmt: skip
        await client.disconnect()

    async def test_iterating_without_connecting_is_a_fault_and_not_a_wait(self, scene) -> None:
        with pytest.raises(ConnectionLost, match="not connected"):
            await scene.client().receive()


class TestMessages:
    async def test_they_come_in_order_with_what_the_server_says_of_them(self, scene) -> None:
        client = await scene.connected()
        for seq in (1, 2, 5):
            scene.server.last.publish(seq)
        items = await taken(client, 3)
        assert numbers(items) == [1, 2, 5]
        assert isinstance(items[2], Message)
        assert (items[2].meta.id, items[2].meta.seq, items[2].meta.topic) == ("m_d5", 5, "patient:1")
        assert items[2].meta.time.isoformat() == "2026-01-01T00:00:00+00:00"

    async def test_gaps_stand_in_their_place_and_pass_for_no_message(self, scene) -> None:
        client = await scene.connected()
        scene.server.last.publish(1)
        scene.server.last.say(
            type="gap", log="d", topic="patient:1", **{"from": 2, "to": 4}, count=3, reason="slow"
        )
        scene.server.last.publish(5)
        items = await taken(client, 3)
        assert items[1] == Gap("slow", "d", "patient:1", 2, 4, 3)
        with pytest.raises(TypeError):
            items[1]["n"]
        assert client.get_metrics()["gaps"] == 1

    async def test_messages_alone_need_somebody_for_the_gaps(self, scene) -> None:
        client = await scene.connected()
        scene.server.last.publish(1)
        scene.server.last.say(type="gap", log="d", reason="slow")
        scene.server.last.publish(2)
        seen: list[Any] = []

        async def on_gap(gap: Gap) -> None:
            seen.append(gap.reason)

        async for message in client.messages(on_gap):
            seen.append(message["n"])
            if message["n"] == 2:
                break
        assert seen == [1, "slow", 2]
        with pytest.raises(TypeError):
            client.messages()

    async def test_a_message_twice_is_given_once(self, scene) -> None:
        client = await scene.connected()
        for seq in (1, 2, 2, 1, 3):
            scene.server.last.publish(seq)
        assert numbers(await taken(client, 3)) == [1, 2, 3]
        assert client.get_metrics()["duplicates"] == 2

    async def test_one_at_a_time_may_ask(self, scene) -> None:
        client = await scene.connected()
        waiting = asyncio.ensure_future(client.receive())
        await settle()
        with pytest.raises(ClientError, match="somebody else"):
            await client.receive()
        waiting.cancel()

    async def test_a_wait_that_is_cancelled_loses_nothing(self, scene) -> None:
        client = await scene.connected()
        for _ in range(3):
            waiting = asyncio.ensure_future(client.receive())
            await settle()
            waiting.cancel()
            await settle()
        scene.server.last.publish(1)
        assert numbers(await taken(client, 1)) == [1]

    @pytest.mark.parametrize(
        "frame", ["[]", "{", "3", '{"_meta": 3}', '{"_meta": {}}', b"\xb1", "[" * 100_000]
    )
    async def test_a_frame_that_is_none_ends_the_connection_and_not_the_client(self, scene, frame) -> None:
        client = await scene.connected()
        scene.server.last.say_frame(frame)
        await settle()
        assert scene.of("reconnecting")
        await scene.back()
        assert client.state is State.CONNECTED


class TestBinary:
    async def test_messages_samples_and_answers_come_in_binary_frames(self, scene) -> None:
        client = await scene.connected(codec="binary")
        assert list(scene.server.addresses[0].protocols) == ["wsserver.v1.bin", "wsserver.v1.json"]
        meta = {"id": "m_1", "log": "d"}
        samples = [n / 2 for n in range(100)]
        for seq, body in ((1, {"text": "é"}), (2, {"data": samples, "lead": "II"})):
            scene.server.last.say_frame(
                encode_message(
                    {"_meta": meta | {"id": f"m_{seq}"}, **body},
                    topic="patient:1",
                    seq=seq,
                    time=1_767_225_600_000_000,
                )
            )
        scene.server.last.say_frame(encode_control({"type": "gap", "log": "d", "reason": "slow"}, time=1))
        first, second, third = await taken(client, 3)
        assert isinstance(first, Message)
        assert (first["text"], first.meta) == (
            "é", ("m_1", "patient:1", "d", 1, "2026-01-01T00:00:00.000Z"),
        )  # fmt: skip
        assert isinstance(second, Message)
        assert isinstance(second["data"], array)
        assert list(second["data"]) == samples
        assert third == Gap("slow", "d")

    async def test_a_server_without_it_is_understood_as_well(self, scene) -> None:
        client = await scene.connected(codec="auto")
        scene.server.last.publish(1)
        assert numbers(await taken(client, 1)) == [1]

    async def test_a_damaged_frame_ends_the_connection_and_not_the_client(self, scene) -> None:
        await scene.connected(codec="binary")
        frame = encode_message({"_meta": {"id": "m", "log": "d"}}, topic="patient:1", seq=1, time=1)
        scene.server.last.say_frame(frame[:-1])
        await settle()
        assert scene.of("reconnecting")

    async def test_a_body_over_the_bound_is_not_unpacked(self, scene) -> None:
        await scene.connected(codec="binary", max_message_size=1000)
        message = {"_meta": {"id": "m", "log": "d"}, "text": "x" * 5000}
        frame = encode_message(message, topic="patient:1", seq=1, time=1, compression_threshold=100)
        assert len(frame) < 1000
        scene.server.last.say_frame(frame)
        await settle()
        assert scene.of("reconnecting")


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


class TestSubscriptions:
    async def test_a_subscription_is_what_the_server_confirms(self, scene) -> None:
        client = await scene.connected()
        made = await client.subscribe("patient", 123, {"severity": ["high"]})
        assert scene.server.last.said("subscribe")[0] == {
            "type": "subscribe", "subscription_type": "patient", "target_id": "123",
            "filters": {"severity": ["high"]}, "request_id": "p1",
        }  # fmt: skip
        assert (made.subscription_id, made.filters) == ("s_patient_123", {"normal": {"severity": ["high"]}})

    async def test_before_there_is_a_connection_it_waits_for_one(self, scene) -> None:
        client = scene.client()
        asking = asyncio.ensure_future(client.subscribe("patient:1", filters={"a": 1}))
        await settle()
        await client.connect()
        assert (await asking).target_id == "1"

    async def test_a_cut_before_the_answer_is_no_fault_of_the_caller(self, scene) -> None:
        client = await scene.connected()
        held = scene.server.answers.pop("subscribe")
        asking = asyncio.ensure_future(client.subscribe("patient:1", filters={"a": 1}))
        await settle()
        scene.server.answers["subscribe"] = held
        await scene.cut()
        await scene.back()
        assert (await asking).target_id == "1"

    async def test_what_the_session_gives_back_is_not_asked_for_again(self, scene) -> None:
        client = await scene.connected()
        await client.subscribe("patient:1", filters={"a": 1})
        await client.subscribe("patient:2", filters={"a": 2})
        scene.server.restored = [
            scene.server.view({"subscription_type": "patient", "target_id": "1", "filters": {"a": 1}})
        ]
        await scene.cut()
        await scene.back()
        assert [one["target_id"] for one in scene.server.last.said("subscribe")] == ["2"]

    async def test_filters_that_changed_while_it_was_away_are_sent(self, scene) -> None:
        client = await scene.connected()
        await client.subscribe("patient:1", filters={"a": 1})
        scene.server.restored = [
            scene.server.view({"subscription_type": "patient", "target_id": "1", "filters": {"a": 1}})
        ]
        await scene.cut()
        asking = asyncio.ensure_future(client.subscribe("patient:1", filters={}))
        await settle()
        await scene.back()
        await asking
        # The server keeps the filters of what it gives back, whatever connect names.
        assert [one.get("filters") for one in scene.server.last.said("subscribe")] == [None]

    async def test_filters_of_an_older_copy_of_the_session_are_replaced(self, scene) -> None:
        client = await scene.connected()
        for filters in ({"a": 1}, {"a": 2}):
            await client.subscribe("patient:1", filters=filters)
        scene.server.restored = [
            scene.server.view({"subscription_type": "patient", "target_id": "1", "filters": {"a": 1}})
        ]
        await scene.cut()
        await scene.back()
        await settle()
        assert [one["filters"] for one in scene.server.last.said("subscribe")] == [{"a": 2}]

    async def test_what_was_unsubscribed_while_it_was_away_is_given_back(self, scene) -> None:
        client = await scene.connected()
        await client.subscribe("patient:1")
        scene.server.restored = [scene.server.view({"subscription_type": "patient", "target_id": "1"})]
        await scene.cut()
        assert await client.unsubscribe("patient:1")
        await scene.back()
        await settle()
        assert [one["subscription_id"] for one in scene.server.last.said("unsubscribe")] == ["s_patient_1"]

    async def test_a_session_that_is_gone_gets_them_all_anew(self, scene) -> None:
        client = await scene.connected()
        await client.subscribe("patient:1", filters={"a": 1})
        await client.subscribe("type:ecg")
        scene.server.resumes = False
        await scene.cut()
        await scene.back()
        assert scene.server.last.sent[0]["subscriptions"] == ["type:ecg"]
        assert [one["target_id"] for one in scene.server.last.said("subscribe")] == ["1"]

    async def test_a_refusal_goes_to_the_caller_and_is_not_repeated(self, scene) -> None:
        client = await scene.connected()
        scene.server.answers["subscribe"] = lambda socket, command: {
            "type": "error", "code": 1011, "name": "permission_denied", "message": "Not allowed.",
        }  # fmt: skip
        with pytest.raises(RequestRefused) as refused:
            await client.subscribe("patient:1")
        assert (refused.value.code, refused.value.name) == (1011, "permission_denied")
        await scene.cut()
        await scene.back()
        assert "subscriptions" not in scene.server.last.sent[0]

    async def test_when_new_filters_are_refused_the_old_ones_hold(self, scene) -> None:
        client = await scene.connected()
        await client.subscribe("patient:1", filters={"a": 1})
        held = scene.server.answers["subscribe"]
        scene.server.answers["subscribe"] = lambda socket, command: {
            "type": "error", "code": 1008, "name": "filter_parsing_error", "message": "m",
        }  # fmt: skip
        with pytest.raises(RequestRefused):
            await client.subscribe("patient:1", filters={"$a": 1})
        scene.server.answers["subscribe"] = held
        scene.server.resumes = False
        await scene.cut()
        await scene.back()
        assert [one["filters"] for one in scene.server.last.said("subscribe")] == [{"a": 1}]

    async def test_too_fast_is_asked_again_when_the_server_says(self, scene) -> None:
        client = await scene.connected()
        held = scene.server.answers["subscribe"]
        scene.server.answers["subscribe"] = lambda socket, command: {
            "type": "error", "code": 1010, "name": "n", "message": "m", "retry_after_ms": 700,
        }  # fmt: skip
        asking = asyncio.ensure_future(client.subscribe("patient:1"))
        await settle()
        scene.server.answers["subscribe"] = held
        await scene.clock.advance(0.699)
        assert not asking.done()
        await scene.clock.advance(0.001)
        assert (await asking).target_id == "1"

    async def test_whoever_only_iterates_learns_that_a_right_has_ended(self, scene) -> None:
        client = await scene.connected()
        await client.subscribe("patient:1")
        scene.server.last.say(
            type="error", code=1011, name="permission_denied", message="m",
            details={"subscription_type": "patient", "target_id": "1"},
        )  # fmt: skip
        assert await taken(client, 1) == [Gap("forbidden", topic="patient:1")]
        await scene.cut()
        await scene.back()
        assert "subscriptions" not in scene.server.last.sent[0]

    @pytest.mark.parametrize(("code", "reason"), [(1011, "forbidden"), (1012, "limit")])
    async def test_and_that_it_was_not_restored(self, scene, code: int, reason: str) -> None:
        client = await scene.connected()
        await client.subscribe("patient:1")
        connected = scene.server.answers["connect"]
        scene.server.answers["connect"] = lambda socket, command: {
            **connected(socket, command), "subscriptions": [],
            "errors": [{"code": code, "name": "n", "message": "m", "topic": "patient:1"}],
        }  # fmt: skip
        await scene.cut()
        await scene.back()
        assert await taken(client, 1) == [Gap(reason, topic="patient:1")]
        assert client.get_metrics()["subscriptions"] == 0

    async def test_once_if_the_server_tells_it_by_a_gap_as_well(self, scene) -> None:
        client = await scene.connected()
        await client.subscribe("patient:1")
        connected = scene.server.answers["connect"]
        scene.server.session = {
            "gaps": [{"type": "gap", "log": "d", "topic": "patient:1", "reason": "forbidden"}]
        }
        scene.server.answers["connect"] = lambda socket, command: {
            **connected(socket, command), "subscriptions": [],
            "errors": [{"code": 1011, "name": "n", "message": "m", "topic": "patient:1"}],
        }  # fmt: skip
        await scene.cut()
        await scene.back()
        scene.server.last.publish(1)
        assert [type(item) for item in await taken(client, 2)] == [Gap, Message]

    async def test_one_that_expired_is_asked_for_again_and_the_hole_is_told(self, scene) -> None:
        client = await scene.connected()
        await client.subscribe("patient:1")
        scene.server.last.say(type="subscription_expiring", subscription_id="s_patient_1", expires_in=300.0)
        scene.server.last.say(
            type="subscription_expired", subscription_type="patient", target_id="1", code=1007
        )
        assert await taken(client, 1) == [Gap("expired", topic="patient:1")]
        await settle()
        assert len(scene.server.last.said("subscribe")) == 2
        assert scene.server.last.said("refresh")[0]["subscription_id"] == "s_patient_1"

    async def test_a_server_that_does_not_answer_is_left(self, scene) -> None:
        client = await scene.connected(heartbeat_interval=0)
        del scene.server.answers["subscribe"]
        asking = asyncio.ensure_future(client.subscribe("patient:1"))
        await scene.clock.advance(10)
        assert scene.server.last.aborted
        asking.cancel()

    async def test_connect_takes_no_more_topics_along_than_fit(self, scene) -> None:
        await scene.connected(subscriptions=[f"patient:{'x' * 60}{n}" for n in range(90)])
        await settle()
        first = scene.server.last.sent[0]["subscriptions"]
        assert 40 < len(first) < 70
        assert len(scene.server.last.said("subscribe")) == 90 - len(first)

    async def test_those_who_wait_hear_when_it_is_over(self, scene) -> None:
        client = await scene.connected()
        del scene.server.answers["subscribe"]
        asking = asyncio.ensure_future(client.subscribe("patient:1"))
        await settle()
        await scene.cut(4511)
        with pytest.raises(ConnectionEnded):
            await asking

    @pytest.mark.parametrize("filters", [{"a": float("nan")}, {"a": object()}, {"a": "\ud800"}])
    async def test_filters_that_are_no_json_are_not_sent(self, scene, filters) -> None:
        client = await scene.connected()
        with pytest.raises(InvalidOption):
            await client.subscribe("patient:1", filters=filters)
        assert client.get_metrics()["subscriptions"] == 0


class TestBackpressure:
    async def test_the_socket_is_not_read_while_the_consumer_is_busy(self, scene) -> None:
        client = await scene.connected(max_pending_messages=10)
        for seq in range(1, 101):
            scene.server.last.publish(seq)
        await settle()
        assert client.get_metrics()["pending"] == 10
        reads = scene.server.last.reads
        assert numbers(await taken(client, 5)) == [1, 2, 3, 4, 5]
        await settle()
        assert scene.server.last.reads == reads + 5
        assert numbers(await taken(client, 95)) == list(range(6, 101))

    async def test_bytes_count_as_well(self, scene) -> None:
        client = await scene.connected(max_pending_bytes=1000)
        for seq in range(1, 101):
            scene.server.last.publish(seq)
        await settle()
        assert 1000 <= client.get_metrics()["pending_bytes"] < 1200

    async def test_who_subscribes_while_handling_gets_the_answer_from_behind_the_messages(
        self, scene
    ) -> None:
        client = await scene.connected(max_pending_messages=10)
        for seq in range(1, 31):
            scene.server.last.publish(seq)
        await taken(client, 1)
        async with asyncio.timeout(5):
            await client.subscribe("patient:2")
        assert numbers(await taken(client, 29)) == list(range(2, 31))

    async def test_silence_of_a_socket_that_is_not_read_is_no_death(self, scene) -> None:
        client = await scene.connected(max_pending_messages=2, heartbeat_interval=5, heartbeat_timeout=3)
        for seq in range(1, 11):
            scene.server.last.publish(seq)
        await scene.clock.advance(100)
        assert client.state is State.CONNECTED
        assert len(scene.server.sockets) == 1
        # It pings all the same: for the server any frame is a sign of life.
        assert len(scene.server.last.said("ping")) > 10
        assert numbers(await taken(client, 10)) == list(range(1, 11))


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


class TestQueue:
    async def test_what_is_queued_leaves_in_order_when_there_is_a_connection(self, scene) -> None:
        client = scene.client()
        assert client.queue_message({"type": "ack", "message_id": "a"}) == "queued"
        assert client.queue_message({"type": "ack", "message_id": "b"}) == "queued"
        await client.connect()
        await settle()
        assert client.queue_message({"type": "ack", "message_id": "c"}) == "sent"
        await settle()
        assert [one["message_id"] for one in scene.server.last.said("ack")] == ["a", "b", "c"]

    @pytest.mark.parametrize(
        ("overflow", "left", "last"),
        [("drop-oldest", ["1", "2"], "queued"), ("drop-newest", ["0", "1"], "dropped")],
    )
    async def test_it_is_bounded(self, scene, overflow: str, left: list[str], last: str) -> None:
        client = scene.client(max_queue_size=2, queue_overflow=overflow)
        fates = [client.queue_message({"type": "ack", "message_id": str(n)}) for n in range(3)]
        assert fates == ["queued", "queued", last]
        await client.connect()
        await settle()
        assert [one["message_id"] for one in scene.server.last.said("ack")] == left
        assert client.get_metrics()["dropped"] == 1

    async def test_a_cut_while_sending_loses_nothing_that_was_not_sent(self, scene) -> None:
        client = await scene.connected()
        scene.server.last.holds_back.clear()
        for n in range(3):
            client.queue_message({"type": "ack", "message_id": str(n)})
        await scene.cut()
        await scene.back()
        await settle()
        assert [one["message_id"] for one in scene.server.last.said("ack")] == ["0", "1", "2"]

    async def test_what_it_subscribes_to_is_kept_over_reconnects(self, scene) -> None:
        client = scene.client()
        assert client.queue_message({"type": "subscribe", "topic": "patient:1"}) == "queued"
        await client.connect()
        assert scene.server.last.sent[0]["subscriptions"] == ["patient:1"]
        command = {"type": "subscribe", "subscription_type": "patient", "target_id": 2, "filters": {"n": 1}}
        assert client.queue_message(command) == "sent"
        await settle()
        assert len(scene.server.last.said("subscribe")) == 1
        scene.server.restored = [
            scene.server.view({"subscription_type": "patient", "target_id": str(n), "filters": filters})
            | {"subscription_id": f"s_{n}"}
            for n, filters in ((1, {}), (2, {"n": 1}))
        ]
        await scene.cut()
        await scene.back()
        await settle()
        assert scene.server.last.said("unsubscribe") == []
        client.queue_message({"type": "unsubscribe", "subscription_id": "s_2"})
        client.queue_message({"type": "unsubscribe", "topic": "patient:1"})
        await settle()
        assert [one["target_id"] for one in scene.server.last.said("unsubscribe")] == ["2", "1"]
        assert client.get_metrics()["subscriptions"] == 0

    @pytest.mark.parametrize(
        "command",
        [
            {"type": "connect", "token": "t"},
            {"type": "subscribe"},
            {"type": "subscribe", "subscription_type": "patient"},
            {"type": "subscribe", "topic": "patient:1", "filters": [1]},
            {"type": "unsubscribe", "subscription_id": "s_unknown"},
        ],
    )
    async def test_what_cannot_be_meant_is_refused(self, scene, command: dict[str, Any]) -> None:
        client = await scene.connected()
        with pytest.raises(InvalidOption):
            client.queue_message(command)
        await settle()
        assert [one["type"] for one in scene.server.last.sent] == ["connect"]
        assert client.get_metrics()["subscriptions"] == 0

    async def test_it_leaves_no_faster_than_the_server_takes_it(self, scene) -> None:
        client = scene.client(max_send_rate=40)
        for n in range(180):
            client.queue_message({"type": "ack", "message_id": str(n)})
        await client.connect()
        await settle()
        await scene.clock.advance(0)
        for _ in range(10):
            await settle()
        assert len(scene.server.last.said("ack")) == 100
        await scene.clock.advance(1)
        assert 138 <= len(scene.server.last.said("ack")) <= 141


class TestListeners:
    async def test_messages_go_to_listeners_one_by_one_and_the_cursor_waits_for_them(self, scene) -> None:
        client = scene.client()
        gate, seen = asyncio.Event(), []

        async def listener(message: Message) -> None:
            seen.append(message["n"])
            await gate.wait()

        client.on("message", listener)
        client.on("gap", lambda gap: seen.append(gap.reason))
        await client.connect()
        scene.server.last.publish(1)
        scene.server.last.say(type="gap", log="d", reason="slow")
        scene.server.last.publish(2)
        await settle()
        assert seen == [1]
        await scene.cut()
        await scene.back()
        assert scene.server.last.sent[0]["session"]["cursor"]["d"] == 0
        gate.set()
        await settle()
        assert seen == [1, "slow", 2]
        await scene.cut()
        await scene.back()
        assert scene.server.last.sent[0]["session"]["cursor"]["d"] == 2

    async def test_one_that_fails_stops_no_other_and_is_reported(self, scene) -> None:
        faults: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        client, seen = scene.client(), []

        def failing(message: Message) -> None:
            raise RuntimeError("a listener's own")

        async def failing_later(message: Message) -> None:
            raise RuntimeError("a listener's own")

        client.on("message", failing)
        client.on("message", failing_later)
        client.on("message", lambda message: seen.append(message["n"]))
        client.on("connected", failing)
        await client.connect()
        for seq in (1, 2):
            scene.server.last.publish(seq)
        await settle()
        assert seen == [1, 2]
        assert len(faults) == 5
        assert all(str(context["exception"]) == "a listener's own" for context in faults)
        assert len(scene.of("error")) == 5

    async def test_a_gap_that_nobody_listens_to_is_logged_without_its_topic(self, scene, caplog) -> None:
        client = scene.client()
        client.on("message", lambda message: None)
        await client.connect()
        scene.server.last.say(type="gap", log="d", topic="patient:canary", reason="slow")
        await settle()
        assert [record.getMessage() for record in caplog.records] == [
            "messages are missing (slow), and nobody listens to 'gap'"
        ]

    async def test_nobody_gets_half_of_the_messages(self, scene) -> None:
        client = scene.client()
        off = client.on("message", lambda message: None)
        await client.connect()
        with pytest.raises(ClientError, match="listeners"):
            await client.receive()
        off()
        scene.server.last.publish(1)
        assert numbers(await taken(client, 1)) == [1]
        with pytest.raises(ClientError, match="one by one"):
            client.on("message", lambda message: None)

    async def test_the_last_listener_that_leaves_takes_no_message_along(self, scene) -> None:
        client, seen = scene.client(), []
        await client.connect()

        def first(message: Message) -> None:
            seen.append(message["n"])
            off()

        off = client.on("message", first)
        for seq in (1, 2, 3):
            scene.server.last.publish(seq)
        await settle()
        client.on("message", lambda message: seen.append(-message["n"]))
        await settle()
        assert seen == [1, -2, -3]

    async def test_once_is_once_and_an_unknown_name_is_refused(self, scene) -> None:
        client, seen = scene.client(), []
        client.once("connected", seen.append)
        await client.connect()
        await scene.cut()
        await scene.back()
        assert len(seen) == 1
        with pytest.raises(InvalidOption, match="event"):
            client.on("mesage", seen.append)


class TestCommands:
    async def test_a_broadcast_returns_its_report(self, scene) -> None:
        client = await scene.connected()
        scene.server.answers["broadcast"] = lambda socket, command: {
            "type": "broadcast_ack", "message_id": "m_1", "topic": "patient:1", "log": "d", "seq": 4,
            "durability": "memory", "duplicate": False, "considered": 3, "filtered": 1, "denied": 0,
            "matched": 2, "delivered": 1, "refused": {"slow": 1},
        }  # fmt: skip
        report = await client.broadcast("patient", {"type": "note"}, 1, echo=True)
        assert (int(report), report.matched, report.refused) == (1, 2, {"slow": 1})
        command = scene.server.last.said("broadcast")[0]
        assert {name: command[name] for name in ("target_type", "target_id", "message", "echo")} == {
            "target_type": "patient", "target_id": 1, "message": {"type": "note"}, "echo": True,
        }  # fmt: skip

    async def test_without_a_connection_or_when_it_breaks_the_caller_is_told(self, scene) -> None:
        client = scene.client()
        with pytest.raises(ConnectionLost):
            await client.broadcast("all", {})
        await client.connect()
        asking = asyncio.ensure_future(client.broadcast("all", {}))
        await settle()
        await scene.cut()
        with pytest.raises(ConnectionLost):
            await asking

    async def test_what_nobody_answers_times_out(self, scene) -> None:
        client = await scene.connected(connection_timeout=4)
        asking = asyncio.ensure_future(client.broadcast("all", {}))
        await scene.clock.advance(4)
        with pytest.raises(TimeoutError):
            await asking

    async def test_any_command_gets_its_answer(self, scene) -> None:
        client = await scene.connected()
        scene.server.answers["health_check"] = lambda socket, command: {"type": "health", "sent": 3}
        assert (await client.request({"type": "health_check"}))["sent"] == 3

    async def test_a_message_is_acknowledged_by_its_id(self, scene) -> None:
        client = await scene.connected()
        scene.server.last.publish(1)
        (message,) = await taken(client, 1)
        assert isinstance(message, Message)
        await client.acknowledge(message)
        assert scene.server.last.said("ack")[0]["message_id"] == "m_d1"
