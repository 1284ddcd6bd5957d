"""What operators may ask a running server, and filters with operators from socket to socket."""

import json
from typing import Any

import pytest
from live_server import LiveServer, StartServer, token_of
from ward_client import WardClient

from wsserver.subscriptions.subscription_hints import ENOUGH
from wsserver.web.handlers.explaining import MAX_TRACED
from wsserver.web.query import MAX_LIMIT

ADMIN = {"scope": "admin:read"}


async def trace(server: LiveServer, body: Any) -> Any:
    return await server.http("POST", "/ws/trace", body, token=token_of("ops", "admin", **ADMIN))


async def traced(server: LiveServer, **body: Any) -> dict[str, Any]:
    answer = await trace(server, body)
    assert answer.status == 200, answer
    return answer.json["data"]


async def ask(server: LiveServer, target: str) -> Any:
    return await server.http("GET", target, token=token_of("ops", "admin", **ADMIN))


async def told(server: LiveServer, target: str) -> dict[str, Any]:
    answer = await ask(server, target)
    assert answer.status == 200, answer
    return answer.json["data"]


async def subscribed(client: WardClient, topic: str, filters: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await client.ask("subscribe", topic=topic, filters=filters or {})
    assert answer["type"] == "subscription_confirmed", answer
    return answer


# -- trace


async def test_a_trace_says_who_would_get_it_and_why_not_the_others(server: LiveServer) -> None:
    doctor = await server.enter("d1", "doctor", patients=["1", "2"])
    nurse = await server.enter("n1", "nurse", patients=["2"])
    watched = await subscribed(doctor, "patient:1", {"vitals.hr": {"$gt": 120}})
    await subscribed(doctor, "patient:*", {"severity": "critical"})
    await subscribed(nurse, "patient:*")
    await subscribed(nurse, "type:ecg")
    message = {"type": "vitals_data", "vitals": {"hr": 130}}
    document = await traced(server, message=message, topic="patient:1")
    verdicts = document.pop("subscriptions")
    assert document == {
        "topic": "patient:1", "patient_id": "1", "considered": 3, "matching": 1, "filtered": 1, "denied": 1,
    }  # fmt: skip
    assert [one["outcome"] for one in verdicts] == ["matches", "filtered", "denied"]
    assert verdicts[0]["subscription_id"] == watched["subscription_id"]
    assert verdicts[0]["text"] == "✓ vitals.hr is 130, wanted > 120"
    assert verdicts[0]["clauses"][0]["found"] == [130]
    assert verdicts[1]["text"] == '✗ severity is "normal", wanted "critical"'
    assert "clauses" not in verdicts[2]
    report = await server.publish("patient/1", message)
    assert {name: report[name] for name in ("considered", "filtered", "denied")} == {
        name: document[name] for name in ("considered", "filtered", "denied")
    }
    assert [len(await one.published()) for one in (doctor, nurse)] == [1, 0]


async def test_a_trace_never_delivers_and_counts_nothing(server: LiveServer) -> None:
    client = await server.enter("d1", "doctor", "patient:1", "*")
    await subscribed(client, "type:ecg", {"severity": "normal"})
    before = (
        await server.metrics(),
        await told(server, "/ws/subscriptions"),
        server.manager.broadcasts.logs.heads(),
    )
    for topic in ("patient:1", "type:ecg", "patient:*", "*", None):
        for connection_id in (None, next(iter(server.manager.connections))):
            await traced(
                server, message={"patient_id": 1}, topic=topic, connection_id=connection_id, limit=100
            )
    after = (
        await server.metrics(),
        await told(server, "/ws/subscriptions"),
        server.manager.broadcasts.logs.heads(),
    )
    for figures in (before[0], after[0]):
        figures["performance"].pop("memory_usage_mb")
    assert after == before
    assert await client.everything() == []


async def test_without_a_topic_the_message_goes_where_it_says_itself(server: LiveServer) -> None:
    client = await server.enter("d1", "doctor", "patient:1", "type:ecg")
    (connection_id,) = server.manager.connections
    for message, topic in (
        ({"type": "ecg_data", "patient_id": 1}, "patient:1"),
        ({"type": "ecg_data"}, "ecg:*"),
        ({"data_type": "ecg"}, "ecg:*"),
    ):
        document = await traced(server, message=message)
        assert (document["topic"], document["matching"]) == (topic, 1)
        one = await traced(server, message=message, connection_id=connection_id)
        matching = [
            f"{verdict['subscription_type']}:{verdict['target_id']}"
            for verdict in one["subscriptions"]
            if verdict["outcome"] == "matches"
        ]
        assert matching == [topic]
    for more in ({}, {"connection_id": connection_id}):
        answer = await trace(server, {"message": {}, **more})
        assert (answer.status, answer.error["code"]) == (400, 1003)
    assert await client.everything() == []


async def test_all_subscriptions_of_one_connection_are_explained(server: LiveServer) -> None:
    client = await server.enter("d1", "doctor", "patient:1", "type:ecg", patients=["1"])
    await subscribed(client, "type:vitals", {"vitals.hr": {"$gt": 120}})
    (connection_id,) = server.manager.connections
    asked = {"message": {"vitals": {"hr": 90}}, "connection_id": connection_id}
    document = await traced(server, topic="type:vitals", **asked)
    assert set(document) == {"subscriptions"}
    assert [one["outcome"] for one in document["subscriptions"]] == ["other_topic", "other_topic", "filtered"]
    assert document["subscriptions"][2]["text"] == "✗ vitals.hr is 90, wanted > 120"


@pytest.mark.parametrize("topic", [None, "patient:1", "*"])
async def test_an_unknown_connection_is_not_found(server: LiveServer, topic: str | None) -> None:
    body = {"message": {"patient_id": 1}, "connection_id": "c_nowhere", "topic": topic}
    answer = await trace(server, body)
    assert (answer.status, answer.error["code"]) == (404, 1014)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        {"topic": "patient:1"},
        {"message": []},
        {"message": None},
        {"message": {}, "topic": "nonsense"},
        {"message": {}, "topic": ""},
        {"message": {}, "topic": "patient:a b"},
        {"message": {}, "topic": 5},
        {"message": {}, "topic": ["*"]},
        {"message": {}, "topic": "*", "limit": 0},
        {"message": {}, "topic": "*", "limit": MAX_TRACED + 1},
        {"message": {}, "topic": "*", "limit": "5"},
        {"message": {}, "topic": "*", "limit": True},
        {"message": {}, "topic": "*", "limit": 10**40},
        {"message": {}, "topic": "*", "connection": "c"},
        {"message": {}, "topic": "*", "connection_id": 5},
        {"message": {"patient_id": 2}, "topic": "patient:1"},
        {"message": {"_meta": {}}, "topic": "*"},
        {"message": {"type": "error"}, "topic": "*"},
        {"message": {"type": 1}, "topic": "*"},
        {"message": {"a": 2**53 + 1}, "topic": "*"},
        b'{"message":{"a":NaN},"topic":"*"}',
        b'{"message":{"a":1e999},"topic":"*"}',
        b'{"message":{"a":"\xff"},"topic":"*"}',
        b'{"message":{"a":"\\ud800"},"topic":"*"}',
        b'{"message":{"a":' + b"9" * 5000 + b'},"topic":"*"}',
        b'{"message":' + b'{"a":' * 33 + b"1" + b"}" * 33 + b',"topic":"*"}',
        b'{"message":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b'},"topic":"*"}',
        b'{"message":' * 100_000,
    ],
    ids=lambda body: repr(body)[:40],
)
async def test_a_body_that_cannot_be_meant_is_answered_with_400(server: LiveServer, body: Any) -> None:
    answer = await trace(server, body)
    assert answer.status == 400
    assert answer.error["code"] == 1003
    assert set(answer.error) <= {"code", "name", "message", "details"}


async def test_a_message_is_traced_up_to_the_limit_for_publishing_and_a_huge_body_not_read(
    start_server: StartServer,
) -> None:
    server = await start_server(broadcast={"max_message_size": 1024})
    frame = len(b'{"a":""}')
    for size, status in ((1024, 200), (1025, 413), (2000, 413), (100_000, 413)):
        body = {"message": {"a": "x" * (size - frame)}, "topic": "type:ecg"}
        answer = await trace(server, body)
        assert answer.status == status, size
        if status == 413:
            assert answer.error["code"] == 1004
    head = {"Content-Length": str(10**12)}
    answer = await server.http(
        "POST", "/ws/trace", b"{", token=token_of("ops", "admin", **ADMIN), headers=head
    )
    assert (answer.status, answer.error["code"]) == (413, 1004)


async def test_a_trace_says_what_a_limit_leaves_out_only_in_its_counts(server: LiveServer) -> None:
    for user in ("d1", "d2", "d3"):
        await server.enter(user, "doctor", "type:ecg")
    document = await traced(server, message={}, topic="type:ecg", limit=2)
    assert (document["matching"], len(document["subscriptions"])) == (3, 2)


# -- figures


async def test_the_figures_of_subscriptions_are_by_type_by_target_and_by_filter(server: LiveServer) -> None:
    client = await server.enter("d1", "doctor", "patient:1", "type:ecg")
    other = await server.enter("d2", "doctor", "patient:1")
    await subscribed(other, "type:ecg", {"severity": "high"})
    for severity in ("high", "low", "low"):
        await server.publish("type/ecg", {"severity": severity})
    document = await told(server, "/ws/subscriptions")
    assert (document["total"], document["by_type"]) == (4, {"patient": 2, "ecg": 2})
    assert (document["wildcard_count"], document["distinct_filters"], document["topics"]) == (2, 2, 2)
    assert document["filter_complexity"] == 0.25
    targets = {
        (one["subscription_type"], one["target_id"]): one["subscriptions"] for one in document["top_targets"]
    }
    assert targets == {("patient", "1"): 2, ("ecg", "*"): 2}
    by_filter = {json.dumps(one["filters"]): one for one in document["filters"]}
    assert by_filter['{"severity": "high"}'] == {
        "filters": {"severity": "high"}, "subscriptions": 1, "tested": 3, "matched": 1, "complexity": 1.0,
    }  # fmt: skip
    assert by_filter["{}"]["subscriptions"] == 3
    short = await told(server, "/ws/subscriptions?limit=1")
    assert (len(short["top_targets"]), len(short["filters"]), short["total"]) == (1, 1, 4)
    assert len(await client.published()) == 3


async def test_events_are_told_newest_first_and_may_be_narrowed(server: LiveServer) -> None:
    first = await server.enter("d1", "doctor")
    made = await subscribed(first, "patient:1")
    await subscribed(first, "patient:1", {"a": 1})
    await first.ask("unsubscribe", topic="patient:1")
    await server.enter("d2", "doctor", "type:ecg")
    one, two = server.manager.connections
    document = await told(server, "/ws/events")
    assert [(event["kind"], event["connection_id"]) for event in document["events"]] == [
        ("subscribed", two), ("unsubscribed", one), ("replaced", one), ("subscribed", one),
    ]  # fmt: skip
    assert document["events"][3] == {
        "at": document["events"][3]["at"], "kind": "subscribed", "connection_id": one,
        "subscription_id": made["subscription_id"], "subscription_type": "patient", "target_id": "1",
        "detail": None,
    }  # fmt: skip
    assert document["events"][3]["at"].endswith("Z")
    assert (document["counts"]["subscribed"], document["counts"]["hint"]) == (2, 0)
    for query, kinds in (
        ("limit=1", ["subscribed"]),
        ("kind=replaced", ["replaced"]),
        ("kind=hint", []),
        (f"connection_id={one}", ["unsubscribed", "replaced", "subscribed"]),
        (f"connection_id={one}&kind=subscribed&limit=5", ["subscribed"]),
        (f"connection_id={one}&kind=hint", []),
    ):
        events = (await told(server, f"/ws/events?{query}"))["events"]
        assert [event["kind"] for event in events] == kinds, query


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("/ws/events?connection_id=c_nowhere", 404, "No such connection"),
        ("/ws/events?connection_id=not%20an%20id", 400, "connection_id must be"),
        ("/ws/events?connection_id=", 400, "connection_id must be"),
        ("/ws/events?conection_id=c_1", 400, "known are limit, kind, connection_id"),
        ("/ws/events?limit=1&limit=2", 400, "limit must be given once"),
        ("/ws/subscriptions?connection_id=c_1", 400, "known are limit"),
        ("/ws/alerts?since=1", 400, "known are limit"),
    ],
)
async def test_what_was_not_meant_is_no_empty_success(
    server: LiveServer, target: str, status: int, words: str
) -> None:
    answer = await ask(server, target)
    assert answer.status == status, answer
    assert words in answer.json["error"]["message"]
    assert answer.json["error"]["code"] == (1014 if status == 404 else 1003)


async def test_a_trace_takes_no_query(server: LiveServer) -> None:
    answer = await server.http(
        "POST", "/ws/trace?limit=1", {"message": {}}, token=token_of("ops", "admin", **ADMIN)
    )
    assert answer.status == 400
    assert "known are reveal" in answer.json["error"]["message"]


async def test_a_history_of_no_events_still_counts(start_server: StartServer) -> None:
    server = await start_server(subscription={"event_history_size": 0})
    await server.enter("d1", "doctor", "type:ecg")
    document = await told(server, "/ws/events")
    assert (document["events"], document["counts"]["subscribed"]) == ([], 1)


@pytest.mark.parametrize("path", ["/ws/subscriptions", "/ws/events"])
@pytest.mark.parametrize(
    "limit",
    ["0", "1001", "-1", "+1", "1.0", "x", "", "%201", "1e2", "%D9%A1", "00001001", "000000001999", "0" * 500,
     "000000001" + "9" * 5000, "9" * 5000],
)  # fmt: skip
async def test_a_limit_that_is_none_is_answered_with_400(server: LiveServer, path: str, limit: str) -> None:
    answer = await ask(server, f"{path}?limit={limit}")
    assert answer.status == 400
    assert answer.error["code"] == 1003


@pytest.mark.parametrize("path", ["/ws/subscriptions", "/ws/events"])
async def test_the_smallest_and_the_largest_limit_are_taken(server: LiveServer, path: str) -> None:
    for limit in (1, MAX_LIMIT):
        await told(server, f"{path}?limit={limit}")


@pytest.mark.parametrize("kind", ["", "Subscribed", "gone", "hint,expired", "%00"])
async def test_a_kind_of_event_that_does_not_exist_is_answered_with_400(
    server: LiveServer, kind: str
) -> None:
    answer = await ask(server, f"/ws/events?kind={kind}")
    assert (answer.status, answer.error["code"]) == (400, 1003)
    assert "subscribed, replaced" in answer.error["message"]


# -- filters, from socket to socket


async def test_a_filter_with_an_operator_lets_only_matching_messages_through(server: LiveServer) -> None:
    client = await server.enter("d1", "doctor")
    answer = await subscribed(client, "patient:1", {"vitals.hr": {"$gt": 120}})
    assert answer["filters"] == {"vitals.hr": {"$gt": 120}}
    for number, hr in enumerate((121, 120, 120.5, "130", None, [130], 500)):
        await server.publish("patient/1", {"n": number, "vitals": {"hr": hr}})
    await server.publish("patient/1", {"n": 7})
    assert [message["n"] for message in await client.published()] == [0, 2, 6]


async def test_connectives_and_patterns_work_from_socket_to_socket(server: LiveServer) -> None:
    client = await server.enter("d1", "doctor")
    await subscribed(
        client,
        "type:alerts",
        {
            "$or": [{"severity": "critical"}, {"vitals.spo2": {"$lt": 88}}],
            "text": {"$regex": "(?i)lead (I|II) off"},
            "$not": {"source": "test"},
        },
    )
    for number, message in enumerate(
        (
            {"severity": "critical", "text": "LEAD ii OFF"},
            {"severity": "low", "text": "lead I off"},
            {"vitals": {"spo2": 80}, "text": "lead I off", "source": "bed"},
            {"vitals": {"spo2": 80}, "text": "lead I off", "source": "test"},
            {"severity": "critical", "text": "lead IV off"},
        )
    ):
        await server.publish("type/alerts", {"n": number, **message})
    assert [message["n"] for message in await client.published()] == [0, 2]


@pytest.mark.parametrize(
    ("filters", "path"),
    [
        ({"vitals.hr": {"$gt": "fast"}}, "vitals.hr.$gt"),
        ({"vitals.hr": {"$get": 120}}, "vitals.hr.$get"),
        ({"$or": [{"a": 1}, {"b": {"$regex": "("}}]}, "$or[1].b.$regex"),
        ({"$not": {"a": {"$in": []}}}, "$not.a.$in"),
        ({"text": {"$regex": "(?=x)"}}, "text.$regex"),
    ],
)
async def test_a_bad_filter_is_1008_with_its_path_and_the_old_one_stays(
    server: LiveServer, filters: dict[str, Any], path: str
) -> None:
    client = await server.enter("d1", "doctor")
    await subscribed(client, "patient:1", {"n": 1})
    answer = await client.ask("subscribe", topic="patient:1", filters=filters)
    assert (answer["type"], answer["code"], answer["name"]) == ("error", 1008, "filter_parsing_error")
    assert answer["details"]["path"] == path
    assert answer["details"]["reason"]
    for number in (1, 2):
        await server.publish("patient/1", {"n": number})
    assert [message["n"] for message in await client.published()] == [1]


async def test_too_many_patterns_on_one_connection_are_1008(start_server: StartServer) -> None:
    server = await start_server(filter={"max_patterns_per_connection": 1, "max_pattern_bytes": 8})
    client = await server.enter("d1", "doctor")
    await subscribed(client, "patient:1", {"text": {"$regex": "lead"}})
    for filters in ({"text": {"$regex": "apnea"}}, {"text": {"$regex": "x" * 9}}):
        answer = await client.ask("subscribe", topic="patient:2", filters=filters)
        assert answer["code"] == 1008
    await subscribed(client, "patient:2", {"text": {"$regex": "lead"}, "n": 1})


async def test_the_settings_say_what_filters_see_as_severity(start_server: StartServer) -> None:
    server = await start_server(
        filter={
            "severity_data": "routine",
            "severity_alert": "urgent",
            "severity_by_type": {"drug_alert": "grave"},
        }
    )
    clients = {}
    for severity in ("routine", "urgent", "grave", "normal", "info"):
        clients[severity] = await server.enter(f"u-{severity}", "doctor")
        await subscribed(clients[severity], "type:ward", {"severity": severity})
    for number, message_type in enumerate(("ecg_data", "my_alert", "drug_alert", None)):
        await server.publish(
            "type/ward", {"n": number} if message_type is None else {"n": number, "type": message_type}
        )
    got = {severity: [one["n"] for one in await client.published()] for severity, client in clients.items()}
    assert got == {"routine": [0, 3], "urgent": [1], "grave": [2], "normal": [], "info": []}
    document = await traced(server, message={"type": "my_alert"}, topic="type:ward")
    assert (document["matching"], document["filtered"]) == (1, 4)


# -- hints


async def test_a_hint_comes_with_the_answer_when_the_field_was_never_seen(server: LiveServer) -> None:
    client = await server.enter("d1", "doctor")
    for _ in range(256):
        server.manager.broadcast_to_patient(1, {"vitals": {"hr": 80}})
    answer = await subscribed(client, "patient:1", {"vitals.hrr": {"$gt": 120}})
    assert answer["hint"] == "field 'vitals.hrr' was never seen; did you mean 'vitals.hr'?"
    (event,) = (await told(server, "/ws/events?kind=hint"))["events"]
    assert (event["subscription_id"], event["detail"]) == (answer["subscription_id"], answer["hint"])


async def test_a_hint_comes_by_itself_after_a_thousand_messages_of_which_none_matched(
    server: LiveServer,
) -> None:
    client = await server.enter("d1", "doctor")
    made = await subscribed(client, "patient:1", {"severity": "high"})
    assert "hint" not in made
    for _ in range(ENOUGH):
        server.manager.broadcast_to_patient(1, {"hr": 80})
    assert server.manager.hints.round() == 1
    assert await client.everything() == [
        {
            "type": "hint",
            "subscription_id": made["subscription_id"],
            "subscription_type": "patient",
            "target_id": "1",
            "message": "tested 1,000 times, matched 0 times; fields seen: hr, severity",
        }
    ]
    assert server.manager.hints.round() == 0
