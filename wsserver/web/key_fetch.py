"""Fetching the issuer's keys."""

import aiohttp

from wsserver.access.jwks import MAX_DOCUMENT


class KeyFetch:
    """Gets one document over HTTP: no redirects, no cookies, bounded in size and time.

    A redirect could lead the server to another issuer's keys or into the inner network.
    """

    def __init__(self, timeout: float = 5.0) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str) -> bytes:
        """The document; raises aiohttp.ClientError, TimeoutError or ValueError."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        async with self._session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise ValueError(f"the key set was answered with HTTP {answer.status}")
            body = await answer.content.read(MAX_DOCUMENT + 1)
            while len(body) <= MAX_DOCUMENT and not answer.content.at_eof():
                body += await answer.content.read(MAX_DOCUMENT + 1 - len(body))
            if len(body) > MAX_DOCUMENT:
                raise ValueError("the key set is too large")
            return body

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
