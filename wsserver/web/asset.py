"""Files that are served out of memory: with their type, their tag, and packed where that is shorter."""

import gzip
import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from aiohttp import hdrs, web

_PACKED_TAG: Final = "-gzip"
"""What the tag of the packed form ends in: other bytes, so another strong tag (RFC 9110 section 8.8.3)."""


class Asset(NamedTuple):
    """One file as it is served."""

    content_type: str
    body: bytes
    etag: str
    """Strong, without its quotes."""
    packed: bytes | None
    """The body as gzip, None where it would not be shorter."""

    @classmethod
    def of(cls, content_type: str, body: bytes) -> "Asset":
        """An asset of these bytes, packed now so that no request has to wait for it."""
        packed = gzip.compress(body, 9, mtime=0)
        tag = hashlib.sha256(body).hexdigest()[:32]
        return cls(content_type, body, tag, packed if len(packed) < len(body) else None)

    def answer(self, request: web.Request, headers: Mapping[str, str]) -> web.Response:
        """The answer to GET and HEAD: 304 for who has it, packed for who takes that."""
        is_packed = self.packed is not None and _takes_gzip(request)
        tag = f"{self.etag}{_PACKED_TAG}" if is_packed else self.etag
        told = {**headers, "ETag": f'"{tag}"'}
        if self.packed is not None:
            told["Vary"] = "Accept-Encoding"
        # A weak tag of these bytes will do (RFC 9110 section 13.1.2), and `*` is whatever there is.
        if any(known.value in (tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers=told)
        told["Content-Type"] = self.content_type
        if is_packed:
            return web.Response(body=self.packed, headers={**told, "Content-Encoding": "gzip"})
        return web.Response(body=self.body, headers=told)


def _takes_gzip(request: web.Request) -> bool:
    for entry in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().split(","):
        coding, _, weight = entry.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
