"""Who is at the other end: the peer of the socket, or whom a trusted proxy says it speaks for.

``X-Forwarded-For`` and ``X-Forwarded-Proto`` are read only when the peer itself lies in a
trusted network. Everybody else may write them, so they would choose their own address.
"""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

from aiohttp.web import BaseRequest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_HOPS: Final = 256
"""Entries of ``X-Forwarded-For`` that are looked at, from the right; 256 trusted ones cost about 1 ms."""

# 1.2.3.4, 1.2.3.4:5678, [2001:db8::1]:443, 2001:db8::1 and fe80::1%eth0, as proxies write them.
_HOP: Final = re.compile(
    r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]{2,45})(?:%[^\]]*)?\]|(?P<v4>[0-9.]{7,15}))(?::[0-9]{1,5})?"
    r"|(?P<v6>[0-9A-Fa-f:.]{2,45})(?:%[^\s,]*)?"
)
# Traefik names the scheme of the WebSocket, the others that of its handshake.
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_LIMITED_PREFIX: Final = ~((1 << 64) - 1) & ((1 << 128) - 1)


class Client(NamedTuple):
    """The far end of a handshake."""

    address: str
    """Canonical text of its IP address; IPv4 mapped into IPv6 as IPv4. Empty for a peer without one."""
    scheme: str
    """``http`` or ``https``: how the client reached us or the outermost trusted proxy."""


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks (or single addresses) to trust.

    Raises ValueError with the text that is no network, host bits set included: a slip in a
    prefix must not make a proxy of every neighbour.
    """
    return tuple(ip_network(text) for text in texts)


def client_of(request: BaseRequest, trusted_proxies: Collection[Network]) -> Client:
    """The client of a request: the right-most hop that is no trusted proxy.

    A hop that names no address (``unknown``) ends the walk at the proxy that reported it;
    where every hop is trusted, the left-most is the client.
    """
    transport = request.transport
    # Not request.scheme, which an absolute request target has been able to choose.
    is_tls = transport is not None and transport.get_extra_info("sslcontext") is not None
    scheme = "https" if is_tls else "http"
    remote = request.remote or ""
    if not trusted_proxies:
        return Client(_canonical(remote), scheme)
    peer = _parse_address(remote)
    if peer is None:
        return Client("", scheme)
    if not _is_in(peer, trusted_proxies):
        return Client(str(peer), scheme)
    client, proxies = _walk(peer, request.headers.getall("X-Forwarded-For", []), trusted_proxies)
    schemes = ",".join(request.headers.getall("X-Forwarded-Proto", [])).split(",")
    # Proxies either replace this header or add to it. Counted from the right, the outermost
    # trusted proxy wrote the entry that counts, or the only one; what is left of it is hearsay.
    written = schemes[max(0, len(schemes) - proxies)].strip(" \t").lower()
    return Client(str(client), _SCHEMES.get(written, scheme))


# Each connection keeps its key, and behind a proxy or at a ward's address thousands have the same.
@lru_cache(maxsize=1024)
def limit_key(address: str) -> str:
    """What per-address limits count: an IPv4 address, or the /64 of an IPv6 address.

    A single host is given a whole /64 (RFC 6177) and could use a fresh address for each attempt.
    """
    if ":" not in address:
        return address
    return f"{IPv6Address(int(IPv6Address(address)) & _LIMITED_PREFIX)}/64"


def _walk(peer: Address, headers: Iterable[str], trusted: Collection[Network]) -> tuple[Address, int]:
    """The client and the number of trusted proxies passed, ``peer`` included."""
    client, proxies = peer, 1
    for hop in reversed(",".join(headers).rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        text = hop.strip(" \t")
        if not text:  # RFC 9110 section 5.6.1: empty list elements do not count
            continue
        address = _parse_hop(text)
        if address is None:
            break
        client = address
        if not _is_in(address, trusted):
            break
        proxies += 1
    return client, proxies


def _is_in(address: Address, networks: Collection[Network]) -> bool:
    return any(address in network for network in networks)


def _parse_hop(text: str) -> Address | None:
    match = _HOP.fullmatch(text)
    return None if match is None else _parse_address(match["bracketed"] or match["v4"] or match["v6"])


@lru_cache(maxsize=1024)
def _canonical(text: str) -> str:
    return str(_parse_address(text) or "")


# The few proxies of an installation come with every request, and parsing takes 4 µs.
@lru_cache(maxsize=1024)
def _parse_address(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
