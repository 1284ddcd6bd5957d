"""Which pages may open a socket (RFC 6455 section 10.2).

Browsers send ``Origin`` with every handshake and no page can change it; without this
check any page could talk to us from inside a user's network.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

from wsserver.errors import PERMISSION_DENIED
from wsserver.web.refusal import HandshakeRefused

# Exactly as browsers serialise it: lower case, no path, no userinfo, no trailing dot,
# international names in punycode.
_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_HOST: Final = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{0,5}))?")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_MAX_ORIGIN: Final = 512
"""Characters; a host name ends at 253."""


def allowed_origin(text: str) -> str:
    """The same text if a browser could send it as an origin; else raises ValueError that says why."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no origin: write it as browsers do, https://ward.example, lower case")
    if match["port"] == _DEFAULT_PORTS.get(match["scheme"], ""):
        raise ValueError(f"{text!r} will never match: browsers leave out the default port")
    return text


def is_valid_host(host: str) -> bool:
    """Whether the value of a ``Host`` header is ``name``, ``name:port`` or the same with an IP address."""
    return _HOST.fullmatch(host) is not None


def check_origin(
    sent: Sequence[str], *, allowed: Collection[str], required: bool, scheme: str, host: str
) -> None:
    """Refuse (403) a handshake that a foreign page caused.

    ``sent`` are the values of all ``Origin`` headers; ``scheme`` and ``host`` are how the
    client reached this server, ``host`` valid.
    """
    if not sent:
        if required:
            raise _refused("An Origin header is required.")
        return
    if len(sent) > 1:
        raise _refused("More than one Origin header.")
    origin = sent[0]
    if origin not in allowed and not is_own_origin(origin, scheme, host):
        raise _refused("This origin is not allowed.")


def is_own_origin(origin: str, scheme: str, host: str) -> bool:
    """Whether pages of this origin are those of the server that a client reached so."""
    if len(origin) > _MAX_ORIGIN:
        return False
    page, here = _ORIGIN.fullmatch(origin), _HOST.fullmatch(host)
    if page is None or here is None or page["scheme"] != scheme:
        return False
    default = _DEFAULT_PORTS[scheme]
    return page["host"] == here["host"].lower() and (page["port"] or default) == (here["port"] or default)


def _refused(message: str) -> HandshakeRefused:
    return HandshakeRefused(PERMISSION_DENIED, message)
