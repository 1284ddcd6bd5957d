"""The opening handshake, checked to the letter of RFC 6455 section 4.2 before anything is upgraded.

aiohttp upgrades POSTs, HTTP/1.0, requests with a body, other versions and doubled keys;
each of those lets two programs on the way disagree about where a request ends.
"""

import re
from binascii import b2a_base64
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum, unique
from hashlib import sha1
from typing import Final, Self

import msgspec
from aiohttp.web import BaseRequest
from multidict import CIMultiDictProxy, MultiMapping

from wsserver.errors import INVALID_MESSAGE
from wsserver.protocol.encoding import JSON_PROTOCOL, PROTOCOLS
from wsserver.settings.sections import AuthSettings, ServerSettings
from wsserver.web.client_address import Client, Network, client_of, parse_networks
from wsserver.web.origin import allowed_origin, check_origin, is_valid_host
from wsserver.web.refusal import HandshakeRefused
from wsserver.web.subprotocols import read_offer

VERSION: Final = "13"

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# 16 bytes in base64: 22 characters, of whose last one only two bits are used.
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_TOKEN68: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1
# RFC 9110 section 15.5.22: 426 names the protocol to upgrade to, as a hop-by-hop field.
_UPGRADE_HINT: Final = {
    "Upgrade": "websocket",
    "Connection": "upgrade, close",
    "Sec-WebSocket-Version": VERSION,
}

Headers = CIMultiDictProxy[str]


@dataclass(frozen=True, slots=True)
class HandshakeRules:
    """What the operator decides about handshakes."""

    allowed_origins: Collection[str] = frozenset()
    """Origins besides the server's own, exactly as browsers send them."""
    require_origin: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    allow_query_token: bool = False
    protocols: tuple[str, ...] = PROTOCOLS
    """Subprotocols that this server speaks."""

    @classmethod
    def of(cls, server: ServerSettings, auth: AuthSettings, protocols: tuple[str, ...] = PROTOCOLS) -> Self:
        """The rules that settings mean; raises ValueError for text that is no origin or network."""
        return cls(
            allowed_origins=frozenset(map(allowed_origin, server.allowed_origins)),
            require_origin=server.require_origin,
            trusted_proxies=parse_networks(server.trusted_proxies),
            allow_query_token=auth.allow_query_token,
            protocols=protocols,
        )


@unique
class TokenSource(StrEnum):
    """Where the token stood."""

    AUTHORIZATION = "authorization"
    SUBPROTOCOL = "subprotocol"
    QUERY = "query"


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """An acceptable handshake. What it says about people is a claim; only the token can prove it."""

    accept: str
    """The value of ``Sec-WebSocket-Accept``."""
    protocol: str
    """The subprotocol to speak."""
    protocol_offered: bool
    """Whether the client offered it; only then it is echoed (RFC 6455 section 4.2.2)."""
    client: Client
    token: str | None
    token_source: TokenSource | None
    user_id: str | None = None
    role: str | None = None
    patient_id: str | None = None
    subscriptions: tuple[str, ...] = ()

    # What the client says of people, and its token, are not for logs.
    __repr__ = object.__repr__


def check_handshake(request: BaseRequest, rules: HandshakeRules, client: Client | None = None) -> Handshake:
    """The handshake in a request; raises HandshakeRefused for one that must not be upgraded.

    A foreign Origin is refused before credentials are looked at. The token is found, not
    verified. ``client`` saves finding out again what ``client_of`` said.
    """
    headers = request.headers
    key = _check_form(request, headers)
    if client is None:
        client = client_of(request, rules.trusted_proxies)
    check_origin(
        headers.getall("Origin", []),
        allowed=rules.allowed_origins,
        required=rules.require_origin,
        scheme=client.scheme,
        host=headers["Host"],
    )
    offer = read_offer(headers.getall("Sec-WebSocket-Protocol", []), rules.protocols)
    query = request.query
    token, source = _find_token(_bearer(headers), offer.token, _query_token(query, rules))
    protocol, offered = offer.protocol or JSON_PROTOCOL, offer.protocol is not None
    if not query:
        return Handshake(
            accept=accept_value(key),
            protocol=protocol,
            protocol_offered=offered,
            client=client,
            token=token,
            token_source=source,
        )
    subscriptions = _parameter(query, "subscriptions") or ""
    return Handshake(
        accept=accept_value(key),
        protocol=protocol,
        protocol_offered=offered,
        client=client,
        token=token,
        token_source=source,
        user_id=_parameter(query, "user_id"),
        role=_parameter(query, "role"),
        patient_id=_parameter(query, "patient_id"),
        subscriptions=tuple(text for part in subscriptions.split(",") if (text := part.strip())),
    )


def accept_value(key: str) -> str:
    """``Sec-WebSocket-Accept`` for a key (RFC 6455 section 4.2.2)."""
    digest = sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return b2a_base64(digest, newline=False).decode()


def response_head(handshake: Handshake) -> bytes:
    """The bytes of the 101 response; WebSocket frames follow at once."""
    protocol = f"Sec-WebSocket-Protocol: {handshake.protocol}\r\n" if handshake.protocol_offered else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {handshake.accept}\r\n"
        f"{protocol}\r\n"
    ).encode()


def _check_form(request: BaseRequest, headers: Headers) -> str:
    """The key of a well-formed opening handshake."""
    if request.method != "GET":
        raise HandshakeRefused(
            INVALID_MESSAGE, "A WebSocket opens with GET.", http_status=405, headers={"Allow": "GET"}
        )
    if request.version != (1, 1):
        raise _malformed("A WebSocket needs HTTP/1.1.")
    _check_target(request.raw_path, headers)
    if not _lists(headers, "Upgrade", "websocket"):
        raise HandshakeRefused(
            INVALID_MESSAGE,
            "This address speaks WebSocket: Upgrade must name websocket.",
            http_status=426,
            headers=_UPGRADE_HINT,
        )
    if not _lists(headers, "Connection", "upgrade"):
        raise _malformed("Connection must name Upgrade.")
    if headers.getall("Sec-WebSocket-Version", []) != [VERSION]:
        raise HandshakeRefused(
            INVALID_MESSAGE,
            f"Only WebSocket version {VERSION} is spoken here.",
            http_status=426,
            headers=_UPGRADE_HINT,
        )
    keys = headers.getall("Sec-WebSocket-Key", [])
    if len(keys) != 1 or _KEY.fullmatch(keys[0]) is None:
        raise _malformed("Sec-WebSocket-Key must be 16 bytes in base64, once.")
    if "Transfer-Encoding" in headers or headers.getall("Content-Length", ["0"]) != ["0"]:
        raise _malformed("The request of a WebSocket has no body.")
    return keys[0]


def _check_target(target: str, headers: Headers) -> None:
    hosts = headers.getall("Host", [])
    if len(hosts) != 1 or not is_valid_host(hosts[0]):
        raise _malformed("Host must name this server, once.")
    if target.startswith("/"):
        return
    # RFC 9112 section 3.2.2: a server takes the absolute form too, whose authority the client
    # repeats in Host. Where they differ, two programs on the way may each believe another one.
    authority = re.split(r"[/?#]", target.partition("://")[2], maxsplit=1)[0]
    if not authority.isascii() or authority.lower() != hosts[0].lower():
        raise _malformed("Host and the request target differ.")


def _lists(headers: Headers, name: str, token: str) -> bool:
    """Whether a comma-separated header names a token, whatever its case."""
    for value in headers.getall(name, ()):
        # The Kelvin sign's lower case is a plain k.
        if value.isascii():
            for element in value.lower().split(","):
                if element.strip(" \t") == token:
                    return True
    return False


def _bearer(headers: Headers) -> str | None:
    values = headers.getall("Authorization", [])
    if not values:
        return None
    if len(values) > 1:
        raise _malformed("More than one Authorization header.")
    scheme, _, token = values[0].partition(" ")
    # Browsers add this one by themselves when a proxy on the way has asked for a password.
    if scheme.lower() == "basic":
        return None
    token = token.strip(" ")
    if scheme.lower() != "bearer" or _TOKEN68.fullmatch(token) is None:
        raise _malformed("Authorization must be a Bearer token.")
    return token


def _query_token(query: MultiMapping[str], rules: HandshakeRules) -> str | None:
    if not query:
        return None
    token = _parameter(query, "token")
    if token is not None and not rules.allow_query_token:
        raise _malformed("A token in the address ends up in logs and is not accepted here.")
    return token


def _find_token(
    authorization: str | None, subprotocol: str | None, query: str | None
) -> tuple[str | None, TokenSource | None]:
    if (authorization, subprotocol, query).count(None) < 2:
        raise _malformed("More than one token.")
    if authorization is not None:
        return authorization, TokenSource.AUTHORIZATION
    if subprotocol is not None:
        return subprotocol, TokenSource.SUBPROTOCOL
    return query, None if query is None else TokenSource.QUERY


def _parameter(query: MultiMapping[str], name: str) -> str | None:
    values = query.getall(name, [])
    if len(values) > 1:
        raise _malformed(f"The query parameter {name} is given more than once.")
    return values[0] if values else None


def _malformed(message: str) -> HandshakeRefused:
    return HandshakeRefused(INVALID_MESSAGE, message)
