"""What can go wrong between a client or publisher and its server.

::

    ClientError
    ├── InvalidOption (ValueError)     an option or an argument that cannot be used
    ├── ConnectionLost                 the connection broke while an answer was awaited, or there is none
    ├── OutboxFull                     with ``queue_overflow="throw"``
    ├── RequestRefused                 the server answered with an error
    ├── HandshakeRefused               the server, or something before it, refused the WebSocket
    ├── UntrustedServer                TLS does not vouch for it
    ├── NoAnswer                       a request over REST got no answer: it may have been done
    └── ConnectionEnded                it is over: the client does not come back by itself
        ├── AuthenticationFailed
        └── ReconnectFailed            all attempts are used up

No text here carries a token, a session id or anything of a message.
"""

from collections.abc import Mapping
from typing import Any, Self


class ClientError(Exception):
    """What all errors of this package have in common."""


class InvalidOption(ClientError, ValueError):
    """An option or argument that cannot be used; the text names it and says why."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"{name} {reason}")


class ConnectionLost(ClientError):
    """There is no connection, or it broke before the answer came. What was asked may have been done."""


class OutboxFull(ClientError):
    """The outbox holds ``max_queue_size`` messages, and ``queue_overflow`` is ``throw``."""


class RequestRefused(ClientError):
    """The server answered with an error.

    ``code`` and ``name`` are its row in the table of errors, ``details`` is for programs;
    ``retry_after`` is in seconds, None if the server gave no time. ``status`` is that of HTTP, None
    on a WebSocket.
    """

    def __init__(
        self,
        code: int,
        name: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        self.code = code
        self.name = name
        self.message = message
        self.details = details
        self.retry_after = retry_after
        self.status = status
        super().__init__(f"{code} {name}: {message}")

    @classmethod
    def of(cls, error: Mapping[str, Any], status: int | None = None) -> Self:
        """From the members of an ``error`` message, whatever types they have."""
        code, milliseconds, details = error.get("code"), error.get("retry_after_ms"), error.get("details")
        return cls(
            code if isinstance(code, int) else 0,
            str(error.get("name", "")),
            str(error.get("message", "")),
            details=details if isinstance(details, dict) else None,
            retry_after=milliseconds / 1000 if isinstance(milliseconds, int | float) else None,
            status=status,
        )


class HandshakeRefused(ClientError):
    """HTTP said no before there was a WebSocket. ``retry_after`` is in seconds."""

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(f"the handshake was refused with HTTP {status}")

    @property
    def is_final(self) -> bool:
        """Whether to ask again would get the same answer: it is about us, and not about this moment."""
        return 300 <= self.status < 500 and self.status not in {404, 408, 425, 429}


class UntrustedServer(ClientError):
    """The server's certificate does not count: it is another server, or ``ssl`` lacks its authority."""

    def __init__(self) -> None:
        super().__init__("the certificate of the server is not trusted")


class NoAnswer(ClientError):
    """No answer to a REST request, which may have been done. Its ``key`` makes it safe to ask again."""

    def __init__(self, text: str, key: str) -> None:
        self.key = key
        super().__init__(text)


class ConnectionEnded(ClientError):
    """It is over. ``code`` and ``reason`` are those of the last close; 1006 is an end without one."""

    def __init__(self, code: int, reason: str, text: str | None = None) -> None:
        self.code = code
        self.reason = reason
        super().__init__(text or f"the connection has ended for good with close code {code}")


class AuthenticationFailed(ConnectionEnded):
    """The token does not count, and there is no other one."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(
            code, reason, f"the token does not count (close code {code}), and there is no other one"
        )


class ReconnectFailed(ConnectionEnded):
    """As many attempts as ``max_attempts`` allows have failed, one after the other."""

    def __init__(self, code: int, reason: str, attempts: int) -> None:
        self.attempts = attempts
        super().__init__(code, reason, f"{attempts} attempts to reconnect have failed")
