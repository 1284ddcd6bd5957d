"""What a client asks of the server: subscriptions, queued commands, commands with an answer."""

import asyncio
from typing import Any

import pytest
from hand_clock import settle
from receiving import taken

from wsserver.client import (
    ClientError,
    ConnectionEnded,
    ConnectionLost,
    Gap,
    InvalidOption,
    Message,
    RequestRefused,
)


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


def breaking(command: dict[str, Any], view: dict[str, Any]) -> dict[str, Any]:
    """As a server answers that lets the glass be broken."""
    mark = {"break_glass": True} if "break_glass" in command else {}
    return {"type": "subscription_confirmed", **view, "replaced": False, **mark}


class TestBreakingTheGlass:
    async def broken(self, scene, **how: Any) -> Any:
        scene.server.answers["subscribe"] = lambda _, command: breaking(command, scene.server.view(command))
        client = await scene.connected(**how)
        made = await client.subscribe("patient", "9", break_glass="cannot wait")
        assert made.break_glass is True
        return client

    def reasons(self, scene) -> list[tuple[str, str | None]]:
        return [(one["target_id"], one.get("break_glass")) for one in scene.server.last.said("subscribe")]

    async def test_the_reason_is_sent_and_not_in_the_first_frame(self, scene) -> None:
        scene.server.answers["subscribe"] = lambda _, command: breaking(command, scene.server.view(command))
        client = scene.client()
        asking = asyncio.ensure_future(client.subscribe("patient:9", break_glass="cannot wait"))
        await settle()
        await client.connect()
        assert (await asking).break_glass is True
        assert not scene.server.last.said("connect")[0].get("subscriptions")
        assert self.reasons(scene) == [("9", "cannot wait")]
        client.queue_message({"type": "subscribe", "topic": "patient:8", "break_glass": "neither can this"})
        await settle()
        assert self.reasons(scene)[1] == ("8", "neither can this")

    async def test_it_ends_with_the_connection_and_is_not_asked_for_again(self, scene) -> None:
        client = await self.broken(scene)
        await scene.cut()
        assert await taken(client, 1) == [Gap("forbidden", topic="patient:9")]
        await scene.back()
        assert self.reasons(scene) == []

    @pytest.mark.parametrize(
        "end",
        [
            {"type": "error", "code": 1011, "name": "permission_denied", "message": "Not any more.",
             "details": {"subscription_type": "patient", "target_id": "9"}},
            {"type": "subscription_expired", "subscription_type": "patient", "target_id": "9", "code": 1007},
        ],
    )  # fmt: skip
    async def test_nor_when_its_time_is_over(self, scene, end: dict[str, Any]) -> None:
        client = await self.broken(scene)
        scene.server.last.say(**end)
        await settle()
        assert await taken(client, 1) == [Gap("forbidden", topic="patient:9")]
        assert len(self.reasons(scene)) == 1
        await scene.cut()
        await scene.back()
        assert self.reasons(scene) == []

    async def test_who_waits_for_another_filter_then_is_told(self, scene) -> None:
        client = await self.broken(scene)
        scene.server.answers["subscribe"] = lambda _, command: None
        asking = asyncio.ensure_future(client.subscribe("patient:9", filters={"n": 1}))
        await settle()
        await scene.cut()
        with pytest.raises(ClientError, match="has ended"):
            await asking
        await scene.back()
        assert self.reasons(scene) == []

    async def test_a_reason_that_was_not_answered_is_stated_on_the_next_connection(self, scene) -> None:
        client = await scene.connected()
        scene.server.answers["subscribe"] = lambda _, command: None
        asking = asyncio.ensure_future(client.subscribe("patient:9", break_glass="cannot wait"))
        await settle()
        scene.server.answers["subscribe"] = lambda _, command: breaking(command, scene.server.view(command))
        await scene.cut()
        await scene.back()
        assert (await asking).break_glass is True
        assert self.reasons(scene) == [("9", "cannot wait")]

    async def test_where_no_glass_had_to_be_broken_it_is_a_subscription_like_any_other(self, scene) -> None:
        client = await scene.connected()
        assert not (await client.subscribe("patient:9", break_glass="cannot wait")).break_glass
        await scene.cut()
        await scene.back()
        assert scene.server.last.said("connect")[0]["subscriptions"] == ["patient:9"]
