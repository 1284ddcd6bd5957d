import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opening_request import KEY, request

from wsserver.settings.sections import AuthSettings, ServerSettings
from wsserver.web.client_address import Client, parse_networks
from wsserver.web.handshake import HandshakeRules, TokenSource, check_handshake, response_head
from wsserver.web.refusal import HandshakeRefused

RULES = HandshakeRules()
QUERY_TOKENS = HandshakeRules(allow_query_token=True)


def refusal(made, rules=RULES):
    with pytest.raises(HandshakeRefused) as refused:
        check_handshake(made, rules)
    return refused.value


def test_a_browsers_handshake_is_accepted():
    found = check_handshake(request(), RULES)
    assert found.accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3
    assert (found.protocol, found.protocol_offered) == ("wsserver.v1.json", True)
    assert (found.token, found.token_source) == (None, None)
    assert (found.user_id, found.role, found.patient_id, found.subscriptions) == (None, None, None, ())
    assert found.client == Client("192.0.2.7", "http")


def test_the_answer_echoes_the_chosen_protocol_and_nothing_else():
    found = check_handshake(
        request(sec_websocket_protocol="other, wsserver.bearer.abc, wsserver.v1.json"), RULES
    )
    assert response_head(found) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: wsserver.v1.json\r\n"
        b"\r\n"
    )


def test_without_an_offer_json_is_spoken_and_nothing_is_echoed():
    found = check_handshake(request(without=["Sec-WebSocket-Protocol"]), RULES)
    assert found.protocol == "wsserver.v1.json"
    assert b"Protocol:" not in response_head(found)


def test_an_extension_is_never_negotiated():
    found = check_handshake(
        request(sec_websocket_extensions="permessage-deflate, x; client_max_window_bits=99"), RULES
    )
    assert b"Extensions" not in response_head(found)


@pytest.mark.parametrize(
    "header",
    [
        {"upgrade": "WebSocket"},
        {"upgrade": "h2c, websocket"},
        {"connection": "upgrade"},
        {"connection": "keep-alive ,\tUPGRADE"},
        {"content_length": "0"},
        {"host": "WARD.example:80"},
        {"authorization": "Basic dXNlcjpwYXNz"},
    ],
)
def test_other_correct_spellings_are_accepted(header):
    check_handshake(request(**header), RULES)


def test_lists_may_be_spread_over_headers():
    check_handshake(request(upgrade="h2c", add=[("Upgrade", "websocket")]), RULES)
    check_handshake(request(connection="keep-alive", add=[("Connection", "Upgrade")]), RULES)


@pytest.mark.parametrize(
    "target", ["http://ward.example/ws/connect?role=nurse", "http://WARD.example?role=nurse"]
)
def test_the_absolute_form_of_the_target_is_accepted_when_host_repeats_it(target):
    assert check_handshake(request(target), RULES).role == "nurse"


@pytest.mark.parametrize(
    "target",
    ["http://other/ws", "http://u@ward.example/", "http://ward.example:8000/"],
)
def test_a_target_that_differs_from_host_is_refused(target):
    assert refusal(request(target)).message == "Host and the request target differ."


def test_a_kelvin_sign_in_the_target_is_not_the_letter_k_of_host():
    check_handshake(request("http://Keeper/ws", host="keeper", without=["Origin"]), RULES)
    refusal(request("http://\u212aeeper/ws", host="keeper", without=["Origin"]))


# An absolute target must not choose the scheme that the own origin is compared with.
def test_the_own_origin_follows_the_socket_and_not_the_target():
    assert refusal(request("https://ward.example/ws", origin="https://ward.example")).http_status == 403
    check_handshake(request("http://ward.example/ws", origin="https://ward.example", tls=True), RULES)


def test_the_own_origin_follows_the_scheme_that_a_trusted_proxy_reports():
    behind_proxy = HandshakeRules(trusted_proxies=parse_networks(["192.0.2.0/24"]))
    made = request(
        origin="https://ward.example", add=[("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "1.2.3.4")]
    )
    assert check_handshake(made, behind_proxy).client == Client("1.2.3.4", "https")
    assert refusal(made).http_status == 403


def test_a_foreign_origin_is_refused_before_credentials_are_looked_at():
    made = request(
        "/ws/connect?token=a&token=b",
        origin="https://evil.example",
        authorization="Bearer",
        sec_websocket_protocol="",
    )
    assert refusal(made).http_status == 403


def test_a_missing_origin_is_refused_only_when_one_is_required():
    made = request(without=["Origin"])
    check_handshake(made, RULES)
    assert refusal(made, HandshakeRules(require_origin=True)).http_status == 403


@pytest.mark.parametrize(
    ("headers", "path", "token", "source"),
    [
        ({"authorization": "Bearer a.b-_.c"}, "/ws", "a.b-_.c", TokenSource.AUTHORIZATION),
        ({"authorization": "bearer  abc=="}, "/ws", "abc==", TokenSource.AUTHORIZATION),
        (
            {"sec_websocket_protocol": "wsserver.v1.json, wsserver.bearer.abc"},
            "/ws",
            "abc",
            TokenSource.SUBPROTOCOL,
        ),
        ({}, "/ws?token=a.b.c", "a.b.c", TokenSource.QUERY),
        ({}, "/ws?to%6ben=abc", "abc", TokenSource.QUERY),
        # Faults of a token are told after the upgrade, where a browser can read them.
        ({}, "/ws?token=", "", TokenSource.QUERY),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "/ws?token=abc", "abc", TokenSource.QUERY),
    ],
)
def test_the_token_is_found_in_each_of_its_places(headers, path, token, source):
    found = check_handshake(request(path, **headers), QUERY_TOKENS)
    assert (found.token, found.token_source) == (token, source)


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        (
            {
                "authorization": "Bearer abc",
                "sec_websocket_protocol": "wsserver.v1.json, wsserver.bearer.abc",
            },
            "/ws",
        ),
        ({"authorization": "Bearer abc"}, "/ws?token=abc"),
        ({"sec_websocket_protocol": "wsserver.v1.json, wsserver.bearer.abc"}, "/ws?token=abc"),
        ({}, "/ws?token=abc&token=abc"),
        ({"add": [("Authorization", "Bearer abc"), ("Authorization", "Bearer abc")]}, "/ws"),
        ({"add": [("Authorization", "Basic abc"), ("Authorization", "Bearer abc")]}, "/ws"),
        ({"authorization": "Bearer"}, "/ws"),
        ({"authorization": "Bearer "}, "/ws"),
        ({"authorization": "Bearer a b"}, "/ws"),
        ({"authorization": "Bearer abc, Bearer abc"}, "/ws"),
        ({"authorization": "Bearer äbc"}, "/ws"),
        ({"authorization": "Token abc"}, "/ws"),
        ({"authorization": ""}, "/ws"),
    ],
)
def test_anything_but_one_token_in_one_place_is_refused(headers, path):
    error = refusal(request(path, **headers), QUERY_TOKENS)
    assert error.http_status == 400
    assert "abc" not in f"{error} {error.details}"


@pytest.mark.parametrize("path", ["/ws?token=canary", "/ws?token=", "/ws?to%6Ben=canary"])
def test_a_token_in_the_address_is_refused_without_repeating_it_unless_allowed(path):
    error = refusal(request(path))
    assert error.http_status == 400
    assert "canary" not in f"{error} {error.details} {error.headers}"


def test_the_query_carries_what_a_first_frame_would():
    found = check_handshake(
        request(
            "/ws?user_id=user123&role=doctor&patient_id=0123&subscriptions=patient:123,%20type%3Aecg,,&unknown=1"
        ),
        RULES,
    )
    assert (found.user_id, found.role, found.patient_id) == ("user123", "doctor", "0123")
    assert found.subscriptions == ("patient:123", "type:ecg")


@pytest.mark.parametrize("name", ["user_id", "role", "patient_id", "subscriptions"])
def test_a_parameter_given_twice_is_refused(name):
    error = refusal(request(f"/ws?{name}=a&{name}=b"))
    assert (error.http_status, error.message) == (400, f"The query parameter {name} is given more than once.")


def test_no_representation_shows_the_token_or_who_it_is_about():
    found = check_handshake(
        request("/ws?user_id=canary&patient_id=canary&subscriptions=canary", authorization="Bearer canary"),
        RULES,
    )
    assert "canary" not in repr(found)
    assert "192.0.2.7" not in repr(found)


def test_a_client_that_is_known_already_is_not_looked_for_again():
    known = Client("198.51.100.1", "https")
    assert check_handshake(request(origin="https://ward.example"), RULES, known).client is known


def test_rules_come_from_settings():
    server = ServerSettings(
        allowed_origins=("https://app.example.com",), require_origin=True, trusted_proxies=("10.0.0.0/8",)
    )
    rules = HandshakeRules.of(server, AuthSettings(allow_query_token=True))
    assert rules == HandshakeRules(
        allowed_origins=frozenset({"https://app.example.com"}),
        require_origin=True,
        trusted_proxies=parse_networks(["10.0.0.0/8"]),
        allow_query_token=True,
    )
    check_handshake(request(origin="https://app.example.com"), rules)


@pytest.mark.parametrize(
    "server", [ServerSettings(allowed_origins=("null",)), ServerSettings(trusted_proxies=("10.0.0.1/8",))]
)
def test_settings_that_name_no_origin_or_network_are_refused(server):
    with pytest.raises(ValueError):
        HandshakeRules.of(server, AuthSettings())


NAMES = [
    "Host", "Connection", "Upgrade", "Origin", "Sec-WebSocket-Version", "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol", "Authorization", "Content-Length", "Transfer-Encoding",
    "X-Forwarded-For", "X-Forwarded-Proto",
]  # fmt: skip
VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30),
    st.sampled_from(
        ["", "websocket", "Upgrade", "13", KEY, "wsserver.v1.json", "Bearer abc", "ward.example", "10.0.0.1"]
    ),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sets(st.sampled_from(NAMES), max_size=2),
    st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=3),
)
def test_whatever_the_headers_say_the_outcome_is_a_handshake_or_a_refusal(dropped, added):
    dropped.discard("Authorization")
    made = request(
        without=dropped
        & {"Host", "Connection", "Upgrade", "Origin", "Sec-WebSocket-Version", "Sec-WebSocket-Key"},
        add=added,
    )
    rules = HandshakeRules(trusted_proxies=parse_networks(["192.0.2.0/24"]))
    try:
        head = response_head(check_handshake(made, rules))
    except HandshakeRefused as error:
        head = error.response().body
    assert head.startswith((b"HTTP/1.1 101 ", b'{"status":"error",'))
    assert head.count(b"\r\n\r\n") == head.startswith(b"HTTP")
