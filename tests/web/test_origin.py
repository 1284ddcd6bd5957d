import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsserver.web.origin import allowed_origin, check_origin, is_valid_host
from wsserver.web.refusal import HandshakeRefused

ALLOWED = frozenset({"https://app.example.com"})


def check(*sent, required=False, scheme="http", host="ward.example:8000"):
    check_origin(sent, allowed=ALLOWED, required=required, scheme=scheme, host=host)


def test_an_allowed_origin_passes():
    check("https://app.example.com")


def test_a_client_that_is_no_browser_passes_unless_an_origin_is_required():
    check()
    with pytest.raises(HandshakeRefused) as refused:
        check(required=True)
    assert refused.value.http_status == 403


@pytest.mark.parametrize(
    ("origin", "scheme", "host"),
    [
        ("http://ward.example:8000", "http", "ward.example:8000"),
        ("http://ward.example:8000", "http", "WARD.example:8000"),
        ("http://ward.example", "http", "ward.example"),
        ("http://ward.example", "http", "ward.example:80"),
        ("http://ward.example", "http", "ward.example:"),
        ("http://ward.example:80", "http", "ward.example"),
        ("https://ward.example", "https", "ward.example:443"),
        ("https://ward.example:8443", "https", "ward.example:8443"),
        ("http://127.0.0.1:8000", "http", "127.0.0.1:8000"),
        ("http://[::1]:8000", "http", "[::1]:8000"),
        ("http://my_host:8000", "http", "my_host:8000"),
    ],
)
def test_the_servers_own_pages_pass(origin, scheme, host):
    check(origin, scheme=scheme, host=host)


@pytest.mark.parametrize(
    ("origin", "scheme", "host"),
    [
        ("https://ward.example", "http", "ward.example"),
        ("http://ward.example", "https", "ward.example"),
        ("http://ward.example:443", "https", "ward.example"),
        ("http://ward.example:80", "http", "ward.example:8000"),
        ("http://ward.example", "http", "ward.example:443"),
        ("http://ward.example:0080", "http", "ward.example"),
        ("http://ward.example.", "http", "ward.example."),
        ("http://WARD.example", "http", "WARD.example"),
        ("HTTP://ward.example", "http", "ward.example"),
        ("ftp://ward.example", "http", "ward.example"),
        ("http://ward.example/", "http", "ward.example"),
        ("http://ward.example:", "http", "ward.example"),
        ("http://a@ward.example", "http", "ward.example"),
        ("//ward.example", "http", "ward.example"),
        ("ward.example", "http", "ward.example"),
        ("http://" + "a" * 8000, "http", "a" * 8000),
    ],
)
def test_what_only_resembles_the_servers_own_origin_does_not_pass(origin, scheme, host):
    with pytest.raises(HandshakeRefused) as refused:
        check(origin, scheme=scheme, host=host)
    assert refused.value.http_status == 403


@given(st.integers(0, 23), st.integers(0, 2), st.text(max_size=3))
@example(len("https://app"), 0, "%2e")
def test_no_edit_of_an_allowed_origin_passes(position, cut, inserted):
    (allowed,) = ALLOWED
    edited = allowed[:position] + inserted + allowed[position + cut :]
    if edited == allowed:
        check(edited)
    else:
        with pytest.raises(HandshakeRefused):
            check(edited)


def test_a_refusal_does_not_repeat_what_was_sent():
    with pytest.raises(HandshakeRefused) as refused:
        check("https://canary.example")
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["https://ward.example", "http://localhost:5173", "https://[2001:db8::1]", "capacitor://localhost"],
)
def test_settings_may_name_an_origin_as_browsers_spell_it(text):
    assert allowed_origin(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "null", "*", "", "ward.example", "https://ward.example/", "https://Ward.example", "https://*.ward.example",
        "https://ward.example:443", "http://ward.example:80", "https://ward.example.", "https://u@ward.example",
        "https://bücher.example", "https://ward.example ", "https://ward.example\n",
    ],
)  # fmt: skip
def test_settings_may_not_name_what_no_browser_sends(text):
    with pytest.raises(ValueError):
        allowed_origin(text)


@pytest.mark.parametrize(
    "host", ["ward.example", "ward.example:8000", "[::1]", "[::1]:80", "10.0.0.1", "a_b", "a.", "a:"]
)
def test_a_host_is_a_name_or_address_with_or_without_port(host):
    assert is_valid_host(host)


@pytest.mark.parametrize(
    "host",
    ["", ":80", "a b", "a,b", "u@a", "a/b", "a:b", "a:123456", "::1", "[::1", "a?b", "a#b", "a\\b", "bücher"],
)
def test_anything_else_is_no_host(host):
    assert not is_valid_host(host)
