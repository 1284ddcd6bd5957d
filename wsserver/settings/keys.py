"""Whether the keys of tokens and the algorithms fit together: one algorithm per key.

A key that two algorithms may use is how a public key becomes an HMAC secret (RFC 8725
section 2.1), so what does not fit exactly stops the start.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from wsserver.settings.catalogue import did_you_mean, nearest
from wsserver.settings.network import is_loopback
from wsserver.settings.sections import AuthSettings

SYMMETRIC = ("HS256",)
ASYMMETRIC = ("RS256", "ES256", "EdDSA")
ALGORITHMS = SYMMETRIC + ASYMMETRIC

# RFC 7518 section 3.2: a key as long as the hash.
MIN_SECRET_BYTES = 32

KeyFault = tuple[tuple[str, ...], str]


def is_pem(text: str) -> bool:
    """Whether this is a PEM block rather than the path of one."""
    return "-----BEGIN" in text


def find_key_faults(auth: AuthSettings) -> Iterator[KeyFault]:
    """What does not fit, as (settings that take part, text); never quotes a key."""
    yield from _algorithm_faults(auth.algorithms)
    symmetric = [name for name in auth.algorithms if name in SYMMETRIC]
    asymmetric = list(dict.fromkeys(name for name in auth.algorithms if name in ASYMMETRIC))
    public = [
        f"auth.{name}" for name in ("public_key", "jwks_url", "jwks_file") if getattr(auth, name) is not None
    ]
    yield from _secret_faults(auth, bool(symmetric))
    if asymmetric and not public:
        yield (
            ("auth.public_key", "auth.algorithms"),
            f"or auth.jwks_url or auth.jwks_file is needed by {', '.join(asymmetric)}",
        )
    if public and not asymmetric:
        yield (
            (public[0], "auth.algorithms"),
            f"is used by none of auth.algorithms; it goes with one of {', '.join(ASYMMETRIC)}",
        )
    if auth.jwks_url is not None and auth.jwks_file is not None:
        yield (("auth.jwks_file", "auth.jwks_url"), "cannot be given together with auth.jwks_url")
    if len(asymmetric) > 1 and public == ["auth.public_key"]:
        yield (
            ("auth.algorithms", "auth.public_key"),
            f"{', '.join(asymmetric)} cannot share auth.public_key: one key has one algorithm",
        )
    if auth.public_key is not None and is_pem(auth.public_key) and "PRIVATE" in auth.public_key:
        yield (("auth.public_key",), "is a private key: only its public half belongs here")
    if auth.jwks_url is not None:
        yield from _url_faults(auth.jwks_url)


def _algorithm_faults(algorithms: tuple[str, ...]) -> Iterator[KeyFault]:
    keys = ("auth.algorithms",)
    if not algorithms:
        yield (keys, f"is empty; name one of {', '.join(ALGORITHMS)}")
    for name in algorithms:
        if name.lower() == "none":
            yield (keys, "none would believe unsigned tokens")
        elif name not in ALGORITHMS:
            spelled = {algorithm.lower(): algorithm for algorithm in ALGORITHMS}
            close = nearest(name.lower(), spelled)
            guess = did_you_mean(spelled[close]) if close else ""
            yield (keys, f"{name[:40]!r} is not one of {', '.join(ALGORITHMS)}{guess}")
    if len(set(algorithms)) < len(algorithms):
        yield (keys, "names an algorithm twice")


def _secret_faults(auth: AuthSettings, needed: bool) -> Iterator[KeyFault]:
    keys = ("auth.secret", "auth.algorithms")
    if auth.secret is None:
        if needed:
            yield (keys, "is needed by HS256: set WSSERVER_AUTH__SECRET or WSSERVER_AUTH__SECRET_FILE")
        return
    if not needed:
        yield (keys, "is used by none of auth.algorithms; it goes with HS256")
    if is_pem(auth.secret):
        yield (("auth.secret",), "is a PEM key: it belongs to auth.public_key")
    elif (size := len(auth.secret.encode())) < MIN_SECRET_BYTES:
        yield (("auth.secret",), f"has {size} bytes and needs at least {MIN_SECRET_BYTES}")


def _url_faults(url: str) -> Iterator[KeyFault]:
    keys = ("auth.jwks_url",)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        yield (keys, "is no address")
        return
    if not host or parts.scheme not in ("http", "https"):
        yield (keys, "must be an https: address")
    elif parts.scheme == "http" and not is_loopback(host):
        yield (keys, "must be https: whoever can change the keys on the way can forge every token")
    if parts.username or parts.password:
        yield (keys, "must not carry a user name or password")
