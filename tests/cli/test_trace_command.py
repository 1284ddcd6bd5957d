import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

TOKEN = "canary.token.text"
ERROR = {"code": 1014, "name": "not_found", "message": "There is no such \x1b[0mconnection."}


def verdict(outcome: str, text: str, **changed: Any) -> dict[str, Any]:
    return {
        "subscription_id": "s_1",
        "connection_id": "c_1",
        "subscription_type": "patient",
        "target_id": "123",
        "filters": {},
        "outcome": outcome,
        "text": text,
        **changed,
    }


TRACE = {
    "topic": "patient:123",
    "patient_id": "123",
    "considered": 4,
    "matching": 1,
    "filtered": 2,
    "denied": 1,
    "subscriptions": [
        verdict("matches", "✓ vitals.hr is 130, wanted > 120\n✓ lead is there", clauses=[]),
        verdict("filtered", "✗ vitals.hr is 90, wanted > 120", subscription_id="s_2", clauses=[]),
        verdict("denied", "This user may not see the patient.", connection_id="c_2", target_id="*"),
    ],
}


class Rest:
    """A REST server that remembers what it was asked and answers as it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, Any]] = []
        self.bodies: list[str] = []
        self.data: Any = TRACE
        self.answer = lambda: web.json_response({"status": "success", "data": self.data})

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.text())
        self.seen.append((request.path, request.headers["Authorization"], await request.json()))
        return self.answer()


@pytest.fixture
async def rest(aiohttp_server) -> tuple[Rest, str]:
    rest = Rest()
    app = web.Application()
    app.router.add_post("/{path:.*}", rest.handle)
    server = await aiohttp_server(app)
    return rest, str(server.make_url("/"))


@pytest.fixture
def message(tmp_path: Path) -> str:
    path = tmp_path / "message.json"
    path.write_text('{"a": 1, "b": "é"}\n', encoding="utf-8")
    return str(path)


async def test_people_read_who_gets_it_and_why_not_the_others(invoke, rest, message: str) -> None:
    server, url = rest
    result = await asyncio.to_thread(
        invoke, "trace", "--url", url, "--message", message, WSSERVER_TOKEN=TOKEN
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "to patient:123: subscriptions 4 considered, 1 matching, 2 filtered, 1 denied\n"
        "c_1 s_1 patient:123: gets it\n"
        "    ✓ vitals.hr is 130, wanted > 120\n"
        "    ✓ lead is there\n"
        "c_1 s_2 patient:123: filter does not match\n"
        "    ✗ vitals.hr is 90, wanted > 120\n"
        "c_2 s_1 patient:*: may not see the patient\n"
    )
    assert server.seen == [
        ("/ws/trace", f"Bearer {TOKEN}", {"message": {"a": 1, "b": "é"}, "limit": 20}),
    ]


async def test_what_is_asked_for_is_passed_on_and_what_is_not_is_left_out(invoke, rest, message: str) -> None:
    server, url = rest
    server.data = {"subscriptions": [verdict("other_topic", "The message is addressed to another topic.")]}
    asked = ("--topic", "type:ecg", "--connection", "c_1", "--limit", "7")
    result = await asyncio.to_thread(
        invoke, "trace", "--url", url, "--token", TOKEN, "--message", message, *asked
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == "c_1 s_1 patient:123: subscribed to another topic\n"
    assert server.seen[0][2] == {
        "message": {"a": 1, "b": "é"},
        "topic": "type:ecg",
        "connection_id": "c_1",
        "limit": 7,
    }


async def test_the_message_may_come_from_standard_input_and_arrives_as_written(invoke, rest) -> None:
    server, url = rest
    texts = ('{"n": 1.0, "m": 1e2, "b": "\\u00e9"}', '{"n":\t12345678901234567890}')
    for text in texts:
        result = await asyncio.to_thread(
            invoke, "trace", "--url", url, "--token", TOKEN, "--message", "-", stdin=f"\n{text}\n"
        )
        assert result.exit_code == 0, result.output
    for text, body in zip(texts, server.bodies, strict=True):
        assert text in body
        assert json.loads(body)["message"] == json.loads(text)


async def test_for_machines_the_answer_is_json_on_one_line(invoke, rest, message: str) -> None:
    server, url = rest
    server.data = {**TRACE, "topic": "patient:\x9b31m\u2028"}
    result = await asyncio.to_thread(
        invoke, "trace", "--url", url, "--token", TOKEN, "--message", message, "--json"
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    assert result.stdout.rstrip("\n").isprintable()
    assert json.loads(result.stdout) == server.data


async def test_nobody_to_tell_of_is_told(invoke, rest, message: str) -> None:
    server, url = rest
    server.data = {"subscriptions": []}
    result = await asyncio.to_thread(invoke, "trace", "--url", url, "--token", TOKEN, "--message", message)
    assert (result.exit_code, result.stdout) == (0, "no subscriptions\n")


async def test_what_a_terminal_would_obey_is_escaped(invoke, rest, message: str) -> None:
    server, url = rest
    wild = "\x1b[2J\x9b\u202e\r"
    server.data = {
        **TRACE,
        "topic": wild,
        "subscriptions": [
            verdict("matches", f"a{wild}b", connection_id=wild, subscription_id=wild, target_id=wild),
            verdict(wild, "", subscription_type=wild),
        ],
    }
    result = await asyncio.to_thread(invoke, "trace", "--url", url, "--token", TOKEN, "--message", message)
    assert result.exit_code == 0, result.output
    assert all(line.isprintable() for line in result.stdout.split("\n"))
    assert "\\x1b[2J\\x9b\\u202e" in result.stdout


async def test_a_long_answer_is_read_to_its_end(invoke, rest, message: str) -> None:
    server, url = rest
    server.data = {**TRACE, "subscriptions": [verdict("filtered", "x" * 2000)] * 3000}
    result = await asyncio.to_thread(invoke, "trace", "--url", url, "--token", TOKEN, "--message", message)
    assert result.exit_code == 0, result.output[:300]
    assert result.stdout.count("filter does not match") == 3000


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"3", b"{", b"{'a': 1}", b'{"a":"\xff"}', b'{"a":1}{}', b"[" * 100_000, b'{"a":' * 100_000],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_json_object_is_not_sent(invoke, text: bytes) -> None:
    result = invoke("trace", "--token", TOKEN, "--message", "-", stdin=text)
    assert result.exit_code == 2
    assert "must be a JSON object" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--message", "/nowhere/at/all"),
        ("--message", "-", "--limit", "0"),
        ("--message", "-", "--limit", "1001"),
        ("--message", "-", "--topic", "\udcff"),
        ("--message", "-", "--connection", "\udcff"),
    ],
)
def test_what_cannot_be_asked_for_ends_with_2(invoke, arguments: tuple[str, ...]) -> None:
    result = invoke("trace", "--token", TOKEN, *arguments, stdin="{}")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "canary" not in result.output


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            lambda: web.json_response({"status": "error", "error": ERROR}, status=404),
            "Error: 1014 not_found: There is no such \\x1b[0mconnection. (HTTP 404)\n",
        ),
        (lambda: web.Response(text="<html>"), "the answer is no JSON object (HTTP 200)"),
        (lambda: web.Response(body=b'{"a":"\xff"}'), "the answer is no JSON object (HTTP 200)"),
        (lambda: web.json_response({"data": None}), "the answer is no trace"),
        (lambda: web.json_response({"data": {"subscriptions": [{}]}}), "the answer is no trace"),
        (lambda: web.json_response({"data": {}}), "the answer is no trace"),
        (lambda: web.json_response({"data": {"subscriptions": ["x"]}}), "the answer is no trace"),
    ],
    ids=["refused", "html", "no text", "null", "no members", "empty", "no objects"],
)
async def test_a_refusal_or_a_stranger_ends_with_1_and_its_reason(
    invoke, rest, message: str, answer, text: str
) -> None:
    server, url = rest
    server.answer = answer
    result = await asyncio.to_thread(invoke, "trace", "--url", url, "--token", TOKEN, "--message", message)
    assert result.exit_code == 1, result.output
    assert text in result.stderr
    assert result.stdout == ""
    assert "canary" not in result.output
    assert len(server.seen) == 1
