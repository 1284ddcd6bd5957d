"""Whoever has nothing to ask: refused at every route of the table in the same words, and nothing changes."""

import base64
import hmac
import json
import re
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest
from http_request import Answer
from live_server import ALL_SCOPES, SECRET, LiveServer, StartServer, claims_of, sign, token_of
from operator_accounts import ACCOUNTS
from operator_page import COOKIE, OperatorPage

from wsserver.operators.operator import SCOPES_BY_ROLE
from wsserver.web.openapi import openapi
from wsserver.web.route import Door, Route
from wsserver.web.routes import routes_of

GUARDED: Final = [route for route in routes_of() if route.door in (Door.BEARER, Door.OPERATOR)]
OPEN: Final = [route for route in routes_of() if route.door in (Door.NONE, Door.SIGN_IN)]
SCOPES: Final = sorted({*ALL_SCOPES.split(), "audit:read"})

UNKNOWN: Final = {"code": 1001, "name": "authentication_failed", "message": "Authentication failed."}

FORBIDDEN: Final = {"code": 1011, "name": "permission_denied", "message": "Not allowed."}

LEAST: Final = 40
"""Refused requests at every route."""


class Try(NamedTuple):
    """A request that must be refused."""

    name: str
    headers: dict[str, str]
    lacks: str | None = None
    """The scope that it lacks; None for somebody who is nobody."""


def unsigned(claims: dict[str, Any], header: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def whole_claims() -> dict[str, Any]:
    """Claims that lack nothing."""
    return claims_of("ops", "admin", scope=" ".join(SCOPES), aud="wsserver", iss="wards")


def bad_tokens() -> Iterator[tuple[str, str]]:
    now, good = int(time.time()), whole_claims()
    whole = sign(good)
    head, body, signature = whole.split(".")
    yield "garbage", "garbage"
    yield "three dots", "..."
    yield "empty parts", ".."
    yield "another key", sign(good, "another secret that is long enough, but another")
    yield "no signature", f"{head}.{body}."
    yield "half a signature", f"{head}.{body}.{signature[:10]}"
    yield "another's signature", f"{head}.{body}.{sign({**good, 'sub': 'else'}).split('.')[2]}"
    yield "changed body", f"{head}.{body[:-2]}AA.{signature}"
    yield "behind it", f"{whole}.x"
    yield "expired", sign({**good, "iat": now - 7200, "exp": now - 3600})
    yield "not yet", sign({**good, "nbf": now + 3600})
    yield "no end", sign({name: value for name, value in good.items() if name != "exp"})
    yield "no user", sign({name: value for name, value in good.items() if name != "sub"})
    yield "unknown role", sign({**good, "role": "nobody"})
    yield "no role", sign({name: value for name, value in good.items() if name != "role"})
    yield "another audience", sign({**good, "aud": "another"})
    yield "another issuer", sign({**good, "iss": "another"})
    yield "no audience", sign({name: value for name, value in good.items() if name != "aud"})
    for spelling in ("none", "None", "NONE", "nOnE"):
        yield f"alg {spelling}", unsigned(good, {"alg": spelling, "typ": "JWT"})
    yield "alg RS256", unsigned(good, {"alg": "RS256", "typ": "JWT"}, b"x" * 256)
    for name, header, key in (
        ("alg HS512", {"alg": "HS512"}, SECRET),
        ("a key from a file", {"alg": "HS256", "kid": "../../dev/null"}, ""),
    ):
        text = unsigned(good, {"typ": "JWT", **header})[:-1]
        yield name, f"{text}.{mac(text, key, header['alg'])}"
    yield "very long", "a" * 8000


def mac(text: str, key: str, algorithm: str) -> str:
    """The signature of a token, even by an algorithm and a key that make the library complain."""
    digest = hmac.digest(key.encode(), text.encode(), algorithm.replace("HS", "sha"))
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def nobodies() -> Iterator[Try]:
    """Those who do not say who they are, or say it in vain."""
    good = sign(whole_claims())
    yield Try("no header", {})
    for name, value in (
        ("empty", ""),
        ("only the scheme", "Bearer"),
        ("scheme and blank", "Bearer "),
        ("another scheme", f"Basic {good}"),
        ("digest", 'Digest username="ops"'),
        ("no scheme", good),
        ("scheme glued on", f"Bearer{good}"),
        ("two tokens", f"Bearer {good}, Bearer {good}"),
        ("quoted", f'Bearer "{good}"'),
    ):
        yield Try(name, {"Authorization": value})
    for name, token in bad_tokens():
        yield Try(name, {"Authorization": f"Bearer {token}"})
    yield Try("another's cookie", {"Cookie": "session=1234"})
    for name, cookie in (
        ("empty cookie", f"{COOKIE}="),
        ("made up cookie", f"{COOKIE}={'A' * 43}"),
        ("token as a cookie", f"{COOKIE}={good}"),
        ("cookie of another scheme", f"__Host-{COOKIE}={'A' * 43}"),
        ("two cookies", f"{COOKIE}=a; {COOKIE}=b"),
    ):
        yield Try(name, {"Cookie": cookie})
    yield Try("token in another header", {"X-Authorization": f"Bearer {good}", "Token": good})
    yield Try(
        "a proxy's word", {"X-Forwarded-User": "ops", "X-Remote-User": "ops", "Forwarded": "for=127.0.0.1"}
    )


def without_scope(route: Route) -> Iterator[Try]:
    """Those who are known and lack a scope: each of the route's alone, and with words that look like it."""
    for scope in route.scopes:
        others = [one for one in SCOPES if one != scope]
        for name, words in (
            ("no scope", None),
            ("all others", " ".join(others)),
            ("in capitals", scope.upper()),
            ("longer", f"{scope}s {scope}:all"),
            ("shorter", scope[:-1]),
            ("with a star", f"* {scope.partition(':')[0]}:*"),
            ("with commas", ",".join(SCOPES)),
        ):
            yield Try(name, bearer("ops", "admin", scope=words), scope)


def bearer(user: str, role: str, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(user, role, aud='wsserver', iss='wards', **claims)}"}


async def signed_in_in_vain(server: LiveServer, route: Route) -> list[Try]:
    """Operators whose cookie does not count for this request."""
    olga, gone = await OperatorPage.sign_in(server, "olga"), await OperatorPage.sign_in(server, "olga")
    assert (await gone.post("/ws/logout")).status == 200
    tries = [
        Try("sign-in that has ended", gone.headers),
        Try("both cookies", {"Cookie": f"{olga.cookie}; {gone.cookie}"}),
    ]
    if route.door is Door.BEARER:
        return [*tries, Try("an operator's cookie", olga.headers)]
    (scope,) = route.scopes
    foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    tries.append(Try("a page elsewhere", {**olga.headers, **foreign}, scope))
    tries.append(Try("an origin elsewhere", {**olga.headers, "Origin": "https://elsewhere.example"}, scope))
    if route.shown_method != "GET":
        plain = {name: value for name, value in olga.headers.items() if name != "X-CSRF-Token"}
        tries.append(Try("without the page's word", plain, scope))
        tries.append(Try("with another page's word", {**plain, "X-CSRF-Token": "A" * 43}, scope))
        tries.append(
            Try("without an origin", {"Cookie": olga.cookie, "X-CSRF-Token": olga.told["csrf_token"]}, scope)
        )
    if scope not in SCOPES_BY_ROLE["viewer"]:
        vera = await OperatorPage.sign_in(server, "vera")
        tries.append(Try("a viewer", vera.headers, scope))
    # A token that does not count is not helped by a cookie that does.
    tries.append(Try("cookie beside a bad token", {**olga.headers, "Authorization": "Bearer garbage"}))
    return tries


UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


async def asked(server: LiveServer, route: Route, target: str, headers: dict[str, str]) -> Answer:
    upgrade = UPGRADE if 101 in route.statuses() else {}
    body = None if route.body is None else route.body.example
    return await server.http(route.shown_method, target, body, headers={**upgrade, **headers})


def state(server: LiveServer) -> Any:
    """Whatever a request to one of the routes could have changed."""
    service, manager = server.service, server.manager
    return (
        manager.broadcasts.operations,
        sorted(manager.connections),
        manager.subscription_manager.get_metrics(),
        service.draining,
        "operator" in service.overload.causes,
        [trace.as_dict() for trace in service.traces.armed],
        [one["acknowledged"] for one in service.alerts.active() if one["acknowledged"]],
        [record for record in service.audit.latest(1000) if record.outcome == "allowed"],
    )


@pytest.fixture
async def ward(start_server: StartServer) -> LiveServer:
    """A server on which every route would have something to do."""
    return await start_server(
        operators={"accounts": ACCOUNTS}, auth={"audience": "wsserver", "issuer": "wards"}
    )


async def target_of(server: LiveServer, route: Route) -> str:
    """The path of a route with ids of things that are there."""
    claims = {"aud": "wsserver", "iss": "wards"}
    client = await server.connect(token_of("nurse7", "nurse", **claims))
    connection_id = (await client.receive())["connection_id"]
    assert (await client.ask("subscribe", topic="patient:123"))["type"] == "subscription_confirmed"
    report = await server.publish("patient/123", {"type": "vitals"}, **claims)
    server.service.alerts.observe("latency", 9_999.0)
    armed = await server.http(
        "POST", "/ws/traces", {"type": "ecg"}, token=token_of("ops", "admin", scope="admin:write", **claims)
    )
    ids = {"c": connection_id, "m": report["message_id"], "t": armed.json["data"]["trace"]["trace_id"]}
    path = re.sub(r"\{(\w+)\}", lambda found: route.place[found[1]].example, route.shown_path)
    return re.sub(r"\b([cmt])_[0-9a-f]+", lambda found: ids[found[1]], path)


def told(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    """All that an answer says, but for the time of day."""
    return (
        answer.status,
        answer.body,
        {name: value for name, value in answer.headers.items() if name != "date"},
    )


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: route.name)
async def test_whoever_may_not_is_refused_alike_and_changes_nothing(ward: LiveServer, route: Route) -> None:
    target = await target_of(ward, route)
    tries = [*nobodies(), *without_scope(route), *await signed_in_in_vain(ward, route)]
    assert len(tries) >= LEAST
    before, answers = state(ward), {}
    for one in tries:
        answer = await asked(ward, route, target, one.headers)
        error = UNKNOWN if one.lacks is None else {**FORBIDDEN, "details": {"scope": one.lacks}}
        assert (answer.status, answer.error) == (401 if one.lacks is None else 403, error), one.name
        assert told(answer) == answers.setdefault(one.lacks, told(answer)), f"{one.name} is told apart"
    assert state(ward) == before
    assert answers[None][2]["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: route.name)
async def test_whoever_has_the_scopes_is_let_in(ward: LiveServer, route: Route) -> None:
    """So that what was refused above was refused for its credentials."""
    if route.path == "/ws/profile":
        target = "/ws/profile?seconds=0"
    else:
        target = await target_of(ward, route)
    headers = bearer("ops", "service", scope=" ".join(route.scopes))
    if 101 in route.statuses():
        raw = await ward.dial()
        lines = {"Host": f"127.0.0.1:{ward.port}", **UPGRADE, **headers}
        await raw.send(
            f"GET {target} HTTP/1.1\r\n".encode()
            + b"".join(f"{n}: {v}\r\n".encode() for n, v in lines.items())
            + b"\r\n"
        )
        assert (await raw.read_head()).startswith("HTTP/1.1 101 ")
        return
    answer = await asked(ward, route, target, headers)
    assert answer.status not in (401, 403), answer
    ward.faults.seen[:] = [fault for fault in ward.faults.seen if "overload (operator)" not in fault]


@pytest.mark.parametrize("route", OPEN, ids=lambda route: route.name)
async def test_at_an_open_door_nobody_is_asked_who_they_are(ward: LiveServer, route: Route) -> None:
    """The table says which these are; they have no scope, and bad credentials make no difference."""
    assert not route.scopes
    target = re.sub(r"\{(\w+)\}", lambda found: route.place[found[1]].example, route.shown_path)
    before = state(ward)
    answers = [
        (await ward.http(route.shown_method, target, headers=one.headers)).status
        for one in nobodies()
        if 101 not in route.statuses()
    ]
    assert len(set(answers)) <= 1
    assert route.door is Door.SIGN_IN or not {401, 403}.intersection(answers)
    assert state(ward) == before


def test_the_document_says_of_every_route_whether_its_door_is_open() -> None:
    paths = openapi(routes_of())["paths"]
    for route in GUARDED:
        assert paths[route.shown_path][route.shown_method.lower()]["security"][0] == {
            "bearer": list(route.scopes)
        }
    for route in OPEN:
        security = paths[route.shown_path][route.shown_method.lower()]["security"]
        assert not any("bearer" in one for one in security)
