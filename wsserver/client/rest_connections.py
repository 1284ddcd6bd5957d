"""Connections to the REST interface, kept open between requests."""

import http.client
import os
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from wsserver.client.errors import ClientError, ConnectionLost, InvalidOption

MAX_ANSWER: Final = 1024 * 1024
_MAX_IDLE: Final = 8
_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


class Answer(NamedTuple):
    """What came back."""

    status: int
    retry_after: float | None
    body: bytes


class Unanswered(ClientError):
    """The request went out, at least in part, and no answer came."""


class RestConnections:
    """A pool for any number of threads: each request has a connection for itself."""

    def __init__(self, url: str, tls: ssl.SSLContext | None) -> None:
        parts = _parts(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._is_tls = parts.scheme in ("https", "wss")
        self._tls = tls or (ssl.create_default_context() if self._is_tls else None)
        path = parts.path.rstrip("/")
        self._prefix = path.removesuffix("/ws/connect")
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._is_closed = False

    def post(self, path: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        """Send a request and return the answer; at most about ``timeout`` seconds.

        Raises ConnectionLost where nothing was sent, Unanswered where something was.
        """
        while True:
            connection, was_used = self._take(timeout)
            try:
                answer = self._exchange(connection, path, headers, body, timeout)
            except (OSError, http.client.HTTPException) as fault:
                connection.close()
                # The server may have closed a connection that was idle just when it was used again:
                # that says nothing about the server.
                if was_used and isinstance(fault, ConnectionError):
                    continue
                raise Unanswered(f"no answer: {type(fault).__name__}") from None
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)
            return answer

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it is given back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self, timeout: float) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._is_closed:
                raise ConnectionLost("the publisher is closed")
            if self._process != os.getpid():
                # After a fork these sockets are the parent's as well: answers would get mixed up. To close
                # them here says nothing to the server.
                for connection in self._idle:
                    connection.close()
                self._idle, self._process = [], os.getpid()
            if self._idle:
                connection = self._idle.pop()
                if connection.sock is not None:
                    connection.sock.settimeout(timeout)
                    return connection, True
        connection = self._make(timeout)
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as fault:
            connection.close()
            raise ConnectionLost(f"the server cannot be reached: {type(fault).__name__}") from None
        return connection, False

    def _make(self, timeout: float) -> http.client.HTTPConnection:
        if self._is_tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if not self._is_closed and connection.sock is not None and len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,
    ) -> Answer:
        until = time.monotonic() + timeout
        connection.request("POST", self._prefix + path, body, dict(headers))
        # Closed in any case: a connection whose answer counts as unread cannot be used again.
        with connection.getresponse() as response:
            if response.length is None and not response.chunked:
                # http.client takes a stream that ends within the header for the end of the header.
                raise http.client.IncompleteRead(b"")
            content = bytearray()
            # The timeout of the socket is for each piece: one that comes byte by byte would never be over.
            while piece := response.read1(65536):
                content += piece
                if len(content) > MAX_ANSWER or time.monotonic() > until:
                    raise http.client.HTTPException("too long")
            if response.length:
                # read1 takes the end of the stream for that of the answer.
                raise http.client.IncompleteRead(b"", response.length)
        return Answer(response.status, _seconds(response.headers.get("Retry-After", "")), bytes(content))


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        scheme, host, _ = _SCHEMES.get(parts.scheme), parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError):
        scheme = host = None
    if scheme is None or not host:
        raise InvalidOption("url", "must be an address such as https://host")
    return parts


def _seconds(value: str) -> float | None:
    return float(value) if value.isdecimal() and len(value) < 10 else None
