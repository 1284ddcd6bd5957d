"""The whole client against a server without sockets: what it shows, what it gives, and when it stops."""

import asyncio
from array import array
from typing import Any

import pytest
from hand_clock import settle
from receiving import numbers, taken

from wsserver.client import (
    ClientError,
    ConnectionEnded,
    ConnectionLost,
    Gap,
    HandshakeRefused,
    InvalidOption,
    Message,
    State,
    UntrustedServer,
    WebSocketClient,
)
from wsserver.client.transport import Closed
from wsserver_core.envelope import encode_control, encode_message


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
