"""The ``Sec-WebSocket-Protocol`` header: which protocol is spoken, and perhaps a token.

Browsers cannot set ``Authorization`` on a WebSocket, so a token may stand among the
offered protocols. It is read and never echoed.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from wsserver.errors import INVALID_MESSAGE
from wsserver.web.refusal import HandshakeRefused

BEARER_PREFIX: Final = "wsserver.bearer."

MAX_TEXT: Final = 16 * 1024
"""Characters of all these headers together; checking that many takes below 2 ms, be they spaces or commas."""

# RFC 9110 section 5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Offer(NamedTuple):
    """What of the client's offer counts here."""

    protocol: str | None
    """The first offered protocol that is supported; None when nothing was offered."""
    token: str | None


NO_OFFER: Final = Offer(None, None)


def read_offer(headers: Sequence[str], supported: Collection[str]) -> Offer:
    """Choose among the offers of all ``Sec-WebSocket-Protocol`` headers, the client's favourite first.

    Raises HandshakeRefused (400) for anything but distinct HTTP tokens, more than one bearer
    token, and an offer of nothing that is supported: a browser fails the connection when
    none of its offers comes back.
    """
    if not headers:
        return NO_OFFER
    if sum(map(len, headers)) > MAX_TEXT:
        raise _malformed("is too long")
    offered = [name for part in ",".join(headers).split(",") if (name := part.strip(" \t"))]
    if not offered or not all(map(_TOKEN.fullmatch, offered)):
        raise _malformed("is no list of protocol names")
    # RFC 6455 section 4.1: all unique.
    if len(set(offered)) < len(offered):
        raise _malformed("names a protocol twice")
    tokens = [name.removeprefix(BEARER_PREFIX) for name in offered if name.startswith(BEARER_PREFIX)]
    if len(tokens) > 1:
        raise _malformed("carries more than one token")
    if tokens == [""]:
        raise _malformed("carries an empty token")
    protocol = next((name for name in offered if name in supported), None)
    if protocol is None:
        raise HandshakeRefused(
            INVALID_MESSAGE,
            "None of the offered subprotocols is supported.",
            details={"supported": sorted(supported)},
        )
    return Offer(protocol, tokens[0] if tokens else None)


def _malformed(reason: str) -> HandshakeRefused:
    return HandshakeRefused(INVALID_MESSAGE, f"Sec-WebSocket-Protocol {reason}.")
