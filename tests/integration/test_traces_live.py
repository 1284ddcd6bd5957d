"""Messages followed from stage to stage on a running server, over real sockets."""

import asyncio
from typing import Any

import pytest
from http_request import Answer
from live_server import ALL_SCOPES, LiveServer, StartServer, token_of, until
from operator_accounts import ACCOUNTS
from operator_page import OperatorPage

STAGES = ["received", "validated", "stored", "matched", "filtered", "encoded", "queued", "written"]


def ops(scope: str = ALL_SCOPES, **claims: Any) -> str:
    return token_of("ops", "admin", scope=scope, **claims)


async def ask(server: LiveServer, method: str, target: str = "", body: Any = None, **claims: Any) -> Answer:
    return await server.http(method, f"/ws/traces{target}", body, token=ops(**claims))


async def arm(server: LiveServer, **asked: Any) -> str:
    answer = await ask(server, "POST", body=asked)
    assert answer.status == 200, answer
    return str(answer.json["data"]["trace"]["trace_id"])


async def seen(server: LiveServer, trace_id: str, query: str = "", **claims: Any) -> list[dict[str, Any]]:
    answer = await ask(server, "GET", f"/{trace_id}{query}", **claims)
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.json["data"]["messages"]
    return found


async def test_a_message_over_http_is_followed_until_it_is_written(server: LiveServer) -> None:
    nurse = await server.enter("n1", "doctor", "patient:1", patients=["1"])
    strict = await server.enter("n2", "doctor", patients=["1"])
    await strict.ask("subscribe", topic="patient:1", filters={"hr": {"$gt": 120}})
    await server.enter("n3", "doctor", "patient:*", patients=["2"])
    trace_id = await arm(server, type="vitals", patient_id=1)
    sent = await server.publish("patient/1", {"type": "vitals", "hr": 90}, patients="*")
    await server.publish("patient/1", {"type": "note"}, patients="*")
    await nurse.everything()
    (one,) = await seen(server, trace_id)
    assert (one["message_id"], one["door"], one["publisher"]) == (sent["message_id"], "rest", "backend")
    assert [stage["stage"] for stage in one["stages"]] == STAGES
    times = [stage["us"] for stage in one["stages"]]
    assert times == sorted(times)
    assert times[0] == 0 < times[-1] < 5_000_000
    assert (one["stage"], one["settled"], one["error"], one["body"]) == ("written", True, None, None)
    outcomes = {row["user_id"]: (row["outcome"], row.get("clauses")) for row in one["connections"]}
    assert outcomes == {"n1": ("written", None), "n2": ("filtered", ["hr.$gt"]), "n3": ("denied", None)}
    queued = one["stages"][6]
    assert (queued["matched"], queued["delivered"]) == (sent["matched"], sent["delivered"]) == (1, 1)


async def test_both_encodings_have_their_times_and_sizes(server: LiveServer) -> None:
    await server.enter("n1", "doctor", "patient:1", patients=["1"])
    binary = await server.connect(token_of("n2", "doctor"), protocols=["wsserver.v1.bin"])
    await until(lambda: server.manager.binary_connections == 1)
    trace_id = await arm(server)
    await server.publish("all", {"data": list(range(100))})
    await until(lambda: server.manager.hub.frames_queued == 0)
    (one,) = await seen(server, trace_id)
    encodings = one["stages"][5]["encodings"]
    assert set(encodings) == {"json", "binary"}
    assert encodings["json"]["us"] <= encodings["binary"]["us"] == one["stages"][5]["us"]
    assert encodings["json"]["bytes"] > encodings["binary"]["bytes"] > 200
    await binary.close()


async def test_clients_threads_and_python_are_traced_like_http(server: LiveServer) -> None:
    trace_id = await arm(server)
    of_its_publisher = await arm(server, user_id="d1")
    client = await server.enter("d1", "service", patients=["1"])
    answer = await client.ask(
        "broadcast", target_type="patient", target_id="1", message={"type": "vitals", "hr": 1}
    )
    assert answer["type"] == "broadcast_ack", answer
    server.manager.broadcast_to_patient(1, {"n": 2})
    future = await asyncio.to_thread(server.manager.publish_threadsafe, "patient:1", {"n": 3})
    await asyncio.wrap_future(future)
    await server.publish("patient/1", {"n": 4}, patients="*")
    told = [(one["door"], one["publisher"], one["topic"]) for one in await seen(server, trace_id)]
    assert told == [
        ("client", "d1", "patient:1"),
        ("python", None, "patient:1"),
        ("thread", None, "patient:1"),
        ("rest", "backend", "patient:1"),
    ]
    assert [one["publisher"] for one in await seen(server, of_its_publisher)] == ["d1"]


async def test_refused_messages_and_publishers_are_traced_to_where_they_ended(server: LiveServer) -> None:
    trace_id = await arm(server, patient_id=1, body=True)
    backend = token_of("backend", "service", scope=ALL_SCOPES, patients=["1"])
    stranger = token_of("stranger", "service", scope=ALL_SCOPES, patients=["2"])
    reader = token_of("reader", "service", scope="admin:read", patients="*")
    for token, body in ((backend, b'{"n":'), (backend, b'{"_meta":1}'), (stranger, b"{}"), (reader, b"{}")):
        answer = await server.http("POST", "/ws/broadcast/patient/1", body, token=token)
        assert answer.status in (400, 403)
    answer = await server.http("POST", "/ws/broadcast/all", b'{"patient_id":1}', token=stranger)
    assert answer.status == 403
    # Without credentials that count nobody is a publisher, and uses no trace up.
    assert (await server.http("POST", "/ws/broadcast/patient/1", b"{}", token="wrong")).status == 401
    doctor = await server.enter("u1", "doctor", patients=["1"])
    answer = await doctor.ask("broadcast", target_type="patient", target_id="1", message={"n": 1})
    assert answer["code"] == 1011
    told = [
        (one["publisher"], one["topic"], one["stage"], one["error"]["code"], one["body"])
        for one in await seen(server, trace_id)
    ]
    assert told == [
        ("backend", "patient:1", "validated", 1003, '{"n":'),
        ("backend", "patient:1", "validated", 1003, '{"_meta":1}'),
        ("stranger", "patient:1", "validated", 1011, None),
        (None, "patient:1", "validated", 1011, None),
        ("stranger", "*", "validated", 1011, '{"patient_id":1}'),
        ("u1", "patient:1", "validated", 1011, '{"n":1}'),
    ]


async def test_a_message_that_was_brought_before_says_so(start_server: StartServer, tmp_path: Any) -> None:
    server = await start_server(store={"url": f"sqlite:///{tmp_path}/store.db"})
    await server.enter("n1", "doctor", "patient:1", patients=["1"])
    trace_id = await arm(server)
    token = token_of("backend", "service", scope=ALL_SCOPES, patients="*")
    for _ in range(2):
        answer = await server.http(
            "POST", "/ws/broadcast/patient/1", {"type": "alert", "severity": "critical"},
            token=token, headers={"Idempotency-Key": "k1"},
        )  # fmt: skip
        assert answer.status == 200, answer
    await until(lambda: server.manager.hub.frames_queued == 0)
    first, again = await seen(server, trace_id)
    assert (first["durability"], first["stage"], first["duplicate_of"]) == ("fsync", "written", None)
    assert (again["stage"], again["duplicate_of"], again["connections"]) == (
        "validated", first["message_id"], [],
    )  # fmt: skip
    moments = {stage["stage"]: stage.get("us") for stage in first["stages"]}
    assert moments["validated"] < moments["stored"] <= moments["matched"]


async def test_what_is_armed_is_listed_ended_and_remembered(server: LiveServer) -> None:
    first = await arm(server, messages=1)
    second = await arm(server, type="ecg_data", seconds=3600, messages=1000)
    await server.publish("all", {"n": 1})
    data = (await ask(server, "GET")).json["data"]
    assert [one["trace_id"] for one in data["armed"]] == [second]
    assert [(one["trace_id"], one["state"], one["seen"]) for one in data["ended"]] == [(first, "complete", 1)]
    assert [one["number"] for one in data["messages"]] == [1]
    answer = await ask(server, "DELETE", f"/{second}")
    assert answer.json["data"]["trace"]["state"] == "disarmed"
    assert (await ask(server, "DELETE", f"/{second}")).json["data"]["trace"]["state"] == "disarmed"
    assert (await ask(server, "DELETE", f"/{first}")).json["data"]["trace"]["state"] == "complete"
    assert not server.service.traces.is_armed


async def test_whoever_follows_reads_on_from_where_they_were(server: LiveServer) -> None:
    trace_id = await arm(server, messages=5)
    for number in range(5):
        await server.publish("all", {"n": number})
    assert [one["number"] for one in await seen(server, trace_id)] == [1, 2, 3, 4, 5]
    assert [one["number"] for one in await seen(server, trace_id, "?after=2&limit=2")] == [3, 4]
    assert await seen(server, trace_id, "?after=5") == []
    assert len((await ask(server, "GET", "?limit=2")).json["data"]["messages"]) == 2


async def test_what_it_says_is_shown_to_those_who_may_see_its_patient(server: LiveServer) -> None:
    trace_id = await arm(server, body=True)
    await server.publish("patient/1", {"note": "canary"}, patients="*")
    for patients, shown in (("*", True), (["1"], True), (["2"], False), ([], False)):
        (one,) = await seen(server, trace_id, patients=patients)
        assert (one["body"] == '{"note":"canary"}') is shown
        assert (one["body"] is None) is not shown


async def test_a_page_sees_masked_ids_and_arming_is_audited(start_server: StartServer) -> None:
    server = await start_server(operators={"accounts": ACCOUNTS})
    await server.enter("nurse7", "doctor", "patient:123", patients=["123"])
    operator, viewer = await OperatorPage.sign_in(server, "olga"), await OperatorPage.sign_in(server, "vera")
    asked = {"patient_id": "123", "user_id": "nurse7", "topic": "patient:123", "body": True}
    assert (await viewer.post("/ws/traces", asked)).status == 403
    assert (await operator.post("/ws/traces", asked, X_CSRF_Token=None)).status == 403
    assert not server.service.traces.is_armed
    answer = await operator.post("/ws/traces", asked)
    assert answer.status == 200, answer
    trace = answer.json["data"]["trace"]
    assert trace["criteria"] == {"patient_id": "•••3", "user_id": "•••e7", "topic": "patient:•••3"}
    await server.publish("patient/123", {"note": "canary"}, patients="*")
    for target in ("/ws/traces", f"/ws/traces/{trace['trace_id']}"):
        answer = await viewer.get(target)
        (one,) = answer.json["data"]["messages"]
        assert (one["topic"], one["patient_id"], one["publisher"]) == ("patient:•••3", "•••3", "•••nd")
        assert one["connections"][0]["user_id"] == "•••e7"
        for word in (b"nurse7", b'123"', b"canary"):
            assert word not in answer.body
    assert (await viewer.get("/ws/traces?reveal=true")).status == 403
    answer = await operator.get("/ws/traces?reveal=true")
    (one,) = answer.json["data"]["messages"]
    # No token says that this operator may see the patient.
    assert (one["patient_id"], one["body"]) == ("123", None)
    assert (await operator.send("DELETE", f"/ws/traces/{trace['trace_id']}")).status == 200
    assert (await operator.send("DELETE", f"/ws/traces/{trace['trace_id']}")).status == 200
    noted = [
        (record.action, record.actor, record.patient_id, record.details)
        for action in ("arm_trace", "disarm_trace")
        for record in server.service.audit.latest(action=action)
    ]
    details = {
        "trace_id": trace["trace_id"], "user_id": "nurse7", "topic": "patient:123", "messages": 10,
        "seconds": 60.0, "body": True,
    }  # fmt: skip
    assert noted == [
        ("arm_trace", "olga", "123", details),
        ("disarm_trace", "olga", "123", details),
    ]


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "words"),
    [
        ("POST", "", {"patient": "1"}, 400, "must be a JSON object of message_id, type"),
        ("POST", "", {"messages": 1001}, 400, "messages"),
        ("POST", "", {"seconds": 0}, 400, "seconds"),
        ("POST", "", {"patient_id": "a b"}, 400, "patient_id must be"),
        ("POST", "", {"topic": "what"}, 400, "topic"),
        ("POST", "", [], 400, "must be a JSON object"),
        ("POST", "?x=1", {}, 400, "unknown query"),
        ("GET", "?limit=0", None, 400, "limit must be"),
        ("GET", "?after=1", None, 400, "unknown query"),
        ("GET", "/t_unknown", None, 404, "No such trace is armed"),
        ("DELETE", "/t_unknown", None, 404, "No such trace is armed"),
        ("GET", "/t_unknown?after=-1", None, 400, "after must be"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    server: LiveServer, method: str, target: str, body: Any, status: int, words: str
) -> None:
    answer = await ask(server, method, target, body)
    assert answer.status == status, answer
    assert words in answer.json["error"]["message"]
    assert server.service.traces.armed == []
    assert server.service.audit.latest(action="arm_trace") == []


async def test_no_more_are_armed_than_may_be(server: LiveServer) -> None:
    ids = [await arm(server) for _ in range(8)]
    answer = await ask(server, "POST", body={})
    assert (answer.status, answer.json["error"]["code"]) == (409, 1003)
    await ask(server, "DELETE", f"/{ids[0]}")
    await arm(server)


async def test_arming_needs_the_right_to_write_and_looking_that_to_read(server: LiveServer) -> None:
    trace_id = await arm(server)
    for method, target, scope, status in (
        ("POST", "", "admin:read", 403), ("DELETE", f"/{trace_id}", "admin:read", 403),
        ("GET", "", "admin:write", 403), ("GET", f"/{trace_id}", "metrics:read", 403),
        ("GET", "", "admin:read", 200),
    ):  # fmt: skip
        body = {} if method == "POST" else None
        assert (await ask(server, method, target, body, scope=scope)).status == status
    assert (await server.http("GET", "/ws/traces")).status == 401
