"""Subscribing over a socket: addresses, answers, limits, filters, endings."""

from typing import Any

import pytest
from live_server import LiveServer, until

CONFIRMED = {"type", "request_id", "subscription_id", "subscription_type", "target_id", "filters", "replaced"}


@pytest.mark.parametrize(
    ("asked", "address"),
    [
        ({"topic": "patient:123"}, ("patient", "123")),
        ({"subscription_type": "patient", "target_id": "123"}, ("patient", "123")),
        ({"subscription_type": "patient", "target_id": 123}, ("patient", "123")),
        ({"topic": "type:ecg"}, ("ecg", "*")),
        ({"subscription_type": "type", "target_id": "ecg"}, ("ecg", "*")),
        ({"subscription_type": "ecg"}, ("ecg", "*")),
        ({"subscription_type": "ecg", "target_id": "*"}, ("ecg", "*")),
        ({"subscription_type": "ecg", "target_id": "bed-4"}, ("ecg", "bed-4")),
        ({"topic": "ecg:bed-4"}, ("ecg", "bed-4")),
        ({"topic": "patient:*"}, ("patient", "*")),
        ({"topic": "*"}, ("*", "*")),
        ({"subscription_type": "*"}, ("*", "*")),
    ],
)
async def test_every_spelling_of_an_address_is_confirmed_in_normal_form(
    server: LiveServer, asked: dict[str, Any], address: tuple[str, str]
) -> None:
    client = await server.enter()
    answer = await client.ask("subscribe", **asked)
    assert set(answer) == CONFIRMED
    assert (answer["type"], answer["subscription_type"], answer["target_id"]) == (
        "subscription_confirmed", *address,
    )  # fmt: skip
    assert (answer["filters"], answer["replaced"]) == ({}, False)
    gone = await client.ask("unsubscribe", **asked)
    assert gone == {
        "type": "unsubscribed", "request_id": "r2", "subscription_type": address[0], "target_id": address[1],
        "existed": True,
    }  # fmt: skip
    assert len(server.manager.index) == 0


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"topic": ""},
        {"topic": "patient"},
        {"topic": "patient:"},
        {"topic": ":1"},
        {"topic": "type:patient"},
        {"topic": "type:*"},
        {"topic": "*:1"},
        {"topic": "patient:1*"},
        {"topic": "patient:a:b"},
        {"topic": "Patient:1"},
        {"topic": "patient:1", "target_id": "1"},
        {"subscription_type": "patient"},
        {"subscription_type": "type"},
        {"subscription_type": "type", "target_id": "patient"},
        {"subscription_type": "*", "target_id": "1"},
        {"subscription_type": "ecg", "target_id": "a b"},
        {"subscription_type": "ecg", "target_id": 1.5},
        {"subscription_type": "ecg", "target_id": True},
        {"subscription_type": 1},
        {"topic": "patient:1", "filter": {}},
        {"topic": ["patient:1"]},
    ],
)
async def test_an_address_that_means_nothing_is_an_error_and_changes_nothing(
    server: LiveServer, asked: dict[str, Any]
) -> None:
    client = await server.enter()
    answer = await client.ask("subscribe", **asked)
    assert (answer["type"], answer["code"]) == ("error", 1003)
    assert len(server.manager.index) == 0
    assert await client.everything() == []


async def test_a_second_subscribe_replaces_the_filter_and_keeps_the_id(server: LiveServer) -> None:
    client = await server.enter()
    first = await client.ask("subscribe", topic="patient:1", filters={"severity": "critical"})
    second = await client.ask(
        "subscribe", subscription_type="patient", target_id=1, filters={"kind": ["a", "b"]}
    )
    assert (second["subscription_id"], second["replaced"]) == (first["subscription_id"], True)
    assert second["filters"] == {"kind": ["a", "b"]}
    await server.publish("patient/1", {"severity": "critical"})
    await server.publish("patient/1", {"kind": "b", "n": 2})
    assert [message["n"] for message in await client.published()] == [2]


async def test_a_filter_that_is_refused_leaves_the_older_subscription_as_it_was(server: LiveServer) -> None:
    client = await server.enter()
    await client.ask("subscribe", topic="patient:1", filters={"n": 1})
    answer = await client.ask("subscribe", topic="patient:1", filters={"n": {"$where": "1"}})
    assert answer["code"] == 1008
    await server.publish("patient/1", {"n": 1})
    assert len(await client.published()) == 1


@pytest.mark.parametrize(
    ("filters", "path"),
    [
        ({"severity": []}, "severity"),
        ({"n": {"$where": "x"}}, None),
        ({"__class__": {"a": 1}}, None),
        ({"": 1}, None),
        ({"a..b": 1}, None),
        ([1], ""),
        ("text", ""),
        ({"a": list(range(10_000))}, None),
        ({f"k{number}": number for number in range(1000)}, None),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_wrong_filter_is_told_with_its_path_and_reason(
    server: LiveServer, filters: Any, path: str | None
) -> None:
    client = await server.enter()
    answer = await client.ask("subscribe", topic="patient:1", filters=filters)
    assert (answer["code"], answer["name"]) == (1008, "filter_parsing_error")
    assert set(answer["details"]) == {"path", "reason"}
    if path is not None:
        assert answer["details"]["path"] == path
    assert len(server.manager.index) == 0


async def test_unsubscribing_by_id_and_twice(server: LiveServer) -> None:
    client, other = await server.enter("a"), await server.enter("b")
    made = await client.ask("subscribe", topic="patient:1")
    foreign = await other.ask("unsubscribe", subscription_id=made["subscription_id"])
    assert foreign["code"] == 1003
    answer = await client.ask("unsubscribe", subscription_id=made["subscription_id"])
    assert (answer["type"], answer["existed"]) == ("unsubscribed", True)
    assert (await client.ask("unsubscribe", topic="patient:1"))["existed"] is False
    assert (await client.ask("unsubscribe", subscription_id="s_unknown"))["code"] == 1003
    await server.publish("patient/1", {})
    assert await client.published() == []


async def test_refresh_renews_one_or_all(server: LiveServer) -> None:
    client = await server.enter("a", "doctor", "patient:1")
    made = await client.ask("subscribe", topic="type:ecg")
    assert await client.ask("refresh") == {
        "type": "refreshed", "request_id": "r3", "count": 2, "expires_in": 3600,
    }  # fmt: skip
    assert (await client.ask("refresh", subscription_id=made["subscription_id"]))["count"] == 1
    assert (await client.ask("refresh", subscription_id="s_other"))["code"] == 1003


async def test_the_limit_of_a_connection_and_of_all_are_told_apart(start_server) -> None:
    server = await start_server(subscription={"max_per_connection": 2, "max_global": 3})
    one = await server.enter("a", "doctor", "patient:1", "patient:2")
    refused = await one.ask("subscribe", topic="patient:3")
    assert (refused["code"], refused["details"]) == (1012, {"scope": "connection"})
    assert (await one.ask("subscribe", topic="patient:2"))["replaced"] is True
    two = await server.enter("b", "doctor", "patient:1")
    refused = await two.ask("subscribe", topic="patient:2")
    assert (refused["code"], refused["details"]) == (1012, {"scope": "global"})
    await one.ask("unsubscribe", topic="patient:1")
    assert (await two.ask("subscribe", topic="patient:2"))["type"] == "subscription_confirmed"


async def test_a_subscription_expires_where_heartbeats_do_not_renew_it(start_server) -> None:
    """The idle clock runs from the last sign of life; nothing is heard from this client any more."""
    server = await start_server(subscription={"timeout": 0.4, "cleanup_interval": 0.1})
    client = await server.enter("a", "doctor", "patient:1")
    notice = await client.receive()
    assert {**notice, "subscription_id": ""} == {
        "type": "subscription_expired", "subscription_id": "", "subscription_type": "patient",
        "target_id": "1", "code": 1007, "name": "subscription_timeout",
        "message": "The subscription expired.",
    }  # fmt: skip
    await server.publish("patient/1", {})
    assert await client.published() == []
    assert (await client.ask("subscribe", topic="patient:1"))["replaced"] is False


async def test_leaving_empties_every_index_however_it_happens(server: LiveServer) -> None:
    topics = ("patient:1", "patient:*", "type:ecg", "ecg:bed", "*")
    polite = await server.enter("a", "doctor", *topics)
    rude = await server.enter("b", "doctor", *topics)
    asked = await server.enter("c", "doctor", *topics)
    assert len(server.manager.index) == 15
    await polite.close()
    await rude.abort()
    await asked.send("disconnect")
    assert (await asked.closing())[0] == 1000
    await until(lambda: not server.manager.connections)
    assert not any(server.manager.index.sizes().values())
    assert len(server.manager.subscription_manager.filters) == 0


async def test_a_request_id_comes_back_on_every_answer_and_on_none_that_is_too_long(
    server: LiveServer,
) -> None:
    client = await server.enter()
    for kind, members in (
        ("subscribe", {"topic": "patient:1"}),
        ("subscribe", {"topic": "wrong"}),
        ("unsubscribe", {"topic": "patient:1"}),
        ("refresh", {}),
        ("ping", {"t": 1.5}),
        ("health_check", {}),
        ("broadcast", {"target_type": "all", "message": {}}),
        ("auth", {"token": "x"}),
        ("connect", {"token": "x"}),
        ("nonsense", {}),
    ):
        assert (await client.ask(kind, **members))["request_id"], kind
    await client.send("ping", request_id="x" * 65)
    answer = await client.receive()
    assert (answer["type"], answer["code"]) == ("error", 1003)
    assert "request_id" not in answer


async def test_health_check_tells_this_connections_figures(server: LiveServer) -> None:
    client = await server.enter("a", "doctor", "patient:1")
    await server.publish("patient/1", {})
    health = await client.ask("health_check")
    assert health["type"] == "health"
    assert (health["subscriptions"], health["received"], health["queue"]["messages"]) == (1, 2, 0)
    # The head of the handshake, connected, confirmed, published.
    assert health["sent"] == 4
    assert health["rtt_ms"] is None


async def test_a_ping_gives_back_what_it_was_sent_and_the_servers_position(server: LiveServer) -> None:
    client = await server.enter()
    await server.publish("patient/77", {})
    for t in (1, -1.5, "mine", None):
        pong = await client.ask("ping", t=t)
        assert pong.get("t") == t
        logs = server.manager.broadcasts.logs
        assert pong["cursor"] == {logs.durable.name: 1, logs.volatile.name: 0}
        assert pong["server_time"].endswith("Z")
