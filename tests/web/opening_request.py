"""Opening handshakes for unit tests: aiohttp requests that no socket has seen.

``request(...)`` is one that a browser on ``http://ward.example`` sends; arguments change it.
"""

from collections.abc import Iterable
from types import SimpleNamespace

from aiohttp import web
from aiohttp.http_writer import HttpVersion
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The example of RFC 6455 section 1.3."""

BROWSER = (
    ("Host", "ward.example"),
    ("Connection", "keep-alive, Upgrade"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"),
    ("Upgrade", "websocket"),
    ("Origin", "http://ward.example"),
    ("Sec-WebSocket-Version", "13"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
    ("Sec-WebSocket-Protocol", "wsserver.v1.json"),
)


def request(
    path: str = "/ws/connect",
    *,
    method: str = "GET",
    version: tuple[int, int] = (1, 1),
    without: Iterable[str] = (),
    add: Iterable[tuple[str, str]] = (),
    peer: object = ("192.0.2.7", 50_000),
    tls: bool = False,
    **replaced: str,
) -> web.Request:
    """A browser's handshake; ``sec_websocket_key="…"`` replaces that header, ``without`` drops some."""
    headers = CIMultiDict(BROWSER)
    for name in without:
        del headers[name]
    for name, value in replaced.items():
        headers[name.replace("_", "-")] = value
    headers.extend(list(add))
    secure = object() if tls else None
    known = {"sslcontext": secure, "peername": peer}
    protocol = SimpleNamespace(
        peername=peer,
        sockname=None,
        ssl_context=secure,
        max_field_size=8190,
        max_line_length=8190,
        max_headers=128,
    )
    transport = SimpleNamespace(get_extra_info=known.get)
    made = make_mocked_request(
        method, path, headers=headers, version=HttpVersion(*version), protocol=protocol, transport=transport
    )
    protocol.transport = transport
    return made
