import pytest
from hypothesis import given
from hypothesis import strategies as st
from opening_request import request

from wsserver.web.client_address import Client, client_of, limit_key, parse_networks

TRUSTED = parse_networks(["10.0.0.0/8", "192.168.1.1", "2001:db8:ffff::/48"])
PROXY = "10.0.0.1"

# (peer, X-Forwarded-For headers, the client)
CASES = {
    "direct, no header": ("203.0.113.5", [], "203.0.113.5"),
    "direct, one address": ("203.0.113.5", ["1.2.3.4"], "203.0.113.5"),
    "direct, several": ("203.0.113.5", ["1.2.3.4, 10.0.0.1"], "203.0.113.5"),
    "direct, two headers": ("203.0.113.5", ["1.2.3.4", "10.0.0.1"], "203.0.113.5"),
    "direct, claims to be a proxy": ("203.0.113.5", ["10.0.0.1"], "203.0.113.5"),
    "direct, 200 hops": ("203.0.113.5", [", ".join(["1.2.3.4"] * 200)], "203.0.113.5"),
    "direct over IPv6": ("2001:db8:1::5", ["1.2.3.4"], "2001:db8:1::5"),
    "direct over IPv6, not shortest text": ("2001:DB8:1:0::5", [], "2001:db8:1::5"),
    "direct, IPv4 mapped": ("::ffff:203.0.113.5", ["1.2.3.4"], "203.0.113.5"),
    "direct, link-local with zone": ("fe80::1%eth0", ["1.2.3.4"], "fe80::1"),
    "neighbour of the trusted network": ("11.0.0.1", ["1.2.3.4"], "11.0.0.1"),
    "neighbour of the single trusted address": ("192.168.1.2", ["1.2.3.4"], "192.168.1.2"),
    "proxied, no header": (PROXY, [], PROXY),
    "proxied, one address": (PROXY, ["1.2.3.4"], "1.2.3.4"),
    "proxied by the single address": ("192.168.1.1", ["1.2.3.4"], "1.2.3.4"),
    "proxied, proxy IPv4 mapped": ("::ffff:10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
    "proxied over IPv6": ("2001:db8:ffff::1", ["1.2.3.4"], "1.2.3.4"),
    "proxied, the client wrote one before": (PROXY, ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
    "proxied, the client wrote three before": (PROXY, ["6.6.6.6,7.7.7.7,8.8.8.8,1.2.3.4"], "1.2.3.4"),
    "proxied, the client claims to be a proxy": (PROXY, ["9.9.9.9, 10.1.1.1, 1.2.3.4"], "1.2.3.4"),
    "two proxies": (PROXY, ["1.2.3.4, 10.0.0.2"], "1.2.3.4"),
    "three proxies, one in the other family": (PROXY, ["1.2.3.4, 2001:db8:ffff::9, 10.0.0.2"], "1.2.3.4"),
    "two headers": (PROXY, ["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
    "two headers, the second from a proxy": (PROXY, ["1.2.3.4", "10.0.0.2"], "1.2.3.4"),
    "no spaces": (PROXY, ["1.2.3.4,10.0.0.2,10.0.0.3"], "1.2.3.4"),
    "many spaces and tabs": (PROXY, ["6.6.6.6 ,\t 1.2.3.4 \t,  10.0.0.2"], "1.2.3.4"),
    "empty elements": (PROXY, ["6.6.6.6, 1.2.3.4, , 10.0.0.2,"], "1.2.3.4"),
    "empty header": (PROXY, [""], PROXY),
    "port": (PROXY, ["1.2.3.4:5678"], "1.2.3.4"),
    "IPv6": (PROXY, ["2001:db8::7"], "2001:db8::7"),
    "IPv6 in capitals": (PROXY, ["2001:DB8:0:0::7"], "2001:db8::7"),
    "IPv6 in brackets": (PROXY, ["[2001:db8::7]"], "2001:db8::7"),
    "IPv6 in brackets with port": (PROXY, ["[2001:db8::7]:443"], "2001:db8::7"),
    "IPv6 with zone": (PROXY, ["fe80::7%eth0"], "fe80::7"),
    "IPv6 in brackets with zone": (PROXY, ["[fe80::7%25eth0]:1"], "fe80::7"),
    "IPv4 mapped": (PROXY, ["::ffff:1.2.3.4"], "1.2.3.4"),
    "unknown": (PROXY, ["unknown"], PROXY),
    "unknown behind a second proxy": (PROXY, ["unknown, 10.0.0.2"], "10.0.0.2"),
    "unknown written by the client": (PROXY, ["unknown, 1.2.3.4"], "1.2.3.4"),
    "the right-most is garbage": (PROXY, ["1.2.3.4, <script>"], PROXY),
    "obfuscated": (PROXY, ["1.2.3.4, _hidden"], PROXY),
    "octets with leading zeros": (PROXY, ["1.2.3.4, 010.000.000.002"], PROXY),
    "too large an octet": (PROXY, ["1.2.3.256"], PROXY),
    "a network": (PROXY, ["1.2.3.0/24"], PROXY),
    "a name": (PROXY, ["client.example"], PROXY),
    "a whole number": (PROXY, ["16909060"], PROXY),
    "not ASCII": (PROXY, ["1.2.3.4, ١.٢.٣.٤"], PROXY),
    "everybody is trusted": (PROXY, ["10.9.9.9, 10.0.0.2"], "10.9.9.9"),
    "200 hops, the last is the client": (PROXY, [", ".join(["6.6.6.6"] * 199 + ["1.2.3.4"])], "1.2.3.4"),
    "200 hops, the first is the client": (PROXY, [", ".join(["1.2.3.4"] + ["10.0.0.2"] * 199)], "1.2.3.4"),
    "more hops than are looked at": (PROXY, [", ".join(["1.2.3.4"] + ["10.0.0.2"] * 256)], "10.0.0.2"),
}


@pytest.mark.parametrize(("peer", "forwarded", "expected"), CASES.values(), ids=CASES)
def test_the_client_is_the_right_most_hop_that_is_no_trusted_proxy(peer, forwarded, expected):
    made = request(peer=(peer, 50_000), add=[("X-Forwarded-For", value) for value in forwarded])
    assert client_of(made, TRUSTED).address == expected


@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=100))
def test_nothing_that_a_client_writes_changes_what_the_proxy_appends(written):
    made = request(peer=(PROXY, 1), add=[("X-Forwarded-For", f"{written}, 1.2.3.4")])
    assert client_of(made, TRUSTED).address == "1.2.3.4"


@pytest.mark.parametrize("peer", [None, "", "/run/wsserver.sock"])
def test_a_peer_without_an_ip_address_is_never_believed(peer):
    made = request(peer=peer, add=[("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https")])
    assert client_of(made, TRUSTED) == Client("", "http")


def test_other_forwarding_headers_are_not_read():
    headers = [
        ("Forwarded", "for=1.2.3.4;proto=https"),
        ("X-Real-IP", "1.2.3.4"),
        ("X-Forwarded-Host", "evil"),
    ]
    assert client_of(request(peer=(PROXY, 1), add=headers), TRUSTED) == Client(PROXY, "http")


@pytest.mark.parametrize("tls", [True, False])
def test_the_scheme_is_the_sockets_when_the_peer_is_no_trusted_proxy(tls):
    made = request(tls=tls, add=[("X-Forwarded-Proto", "http" if tls else "https")])
    assert client_of(made, TRUSTED).scheme == ("https" if tls else "http")


@pytest.mark.parametrize(
    ("target", "tls"), [("https://ward.example/ws", False), ("http://ward.example/ws", True)]
)
def test_an_absolute_request_target_does_not_choose_the_scheme(target, tls):
    assert client_of(request(target, tls=tls), ()).scheme == ("https" if tls else "http")


@pytest.mark.parametrize(
    ("forwarded_for", "written", "expected"),
    [
        ("1.2.3.4", ["https"], "https"),
        ("1.2.3.4", ["HTTPS "], "https"),
        ("1.2.3.4", ["wss"], "https"),
        ("1.2.3.4", ["ws"], "http"),
        ("1.2.3.4", [], "http"),
        ("1.2.3.4", ["ftp"], "http"),
        ("1.2.3.4", [""], "http"),
        # The client wrote the left one, the proxy appended the right one.
        ("6.6.6.6, 1.2.3.4", ["https, http"], "http"),
        ("6.6.6.6, 1.2.3.4", ["https", "http"], "http"),
        # The outer proxy saw https from the client, the inner one http from the outer.
        ("1.2.3.4, 10.0.0.2", ["https, http"], "https"),
        ("1.2.3.4, 10.0.0.2", ["http, https, http"], "https"),
        ("1.2.3.4, 10.0.0.2", ["https"], "https"),
    ],
)
def test_the_scheme_is_what_the_outermost_trusted_proxy_saw(forwarded_for, written, expected):
    headers = [("X-Forwarded-For", forwarded_for), *(("X-Forwarded-Proto", value) for value in written)]
    assert client_of(request(peer=(PROXY, 1), add=headers), TRUSTED).scheme == expected


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("", ""),
    ],
)
def test_limits_count_ipv6_clients_by_their_64_bit_prefix(address, key):
    assert limit_key(address) == key


@pytest.mark.parametrize("text", ["10.0.0.1/8", "ward.example", "10.0.0.0/33"])
def test_a_text_that_is_no_network_is_refused_by_name(text):
    with pytest.raises(ValueError, match=text):
        parse_networks(["192.0.2.0/24", text])
