"""``GET /ws/status``: the status page, the same document for everybody, and its files.

There is nothing in them about this server: whoever may see figures asks for them after signing in.
"""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web

from wsserver.errors import NOT_FOUND, ServerError
from wsserver.web.asset import Asset
from wsserver.web.client_files import CLIENT_FILES
from wsserver.web.lean_script import lean_script, lean_style

DOCUMENT: Final = "index.html"

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
DOCUMENT_HEADERS: Final = {**_HEADERS, "Cache-Control": "no-store"}
FILE_HEADERS: Final = {**_HEADERS, "Cache-Control": "no-cache"}
EDITION_HEADERS: Final = {**_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
"""Of files under the name of their edition: what is there never changes, so nobody has to ask again."""

_CONTENT_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}

_LEAN: Final = {"js": lean_script, "css": lean_style}


def _load(folder: Traversable, prefix: str = "") -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        stem, _, suffix = entry.name.rpartition(".")
        if entry.is_dir():
            found |= _load(entry, f"{prefix}{entry.name}/")
        elif stem and suffix in _CONTENT_TYPES:
            found[f"{prefix}{entry.name}"] = Asset.of(_CONTENT_TYPES[suffix], entry.read_bytes())
    return found


def _lean(page: dict[str, Asset]) -> dict[str, Asset]:
    """The page with the JavaScript client beside it, both in few bytes; other people's files as they are."""
    client = {f"client/{name}": file for name, file in CLIENT_FILES.items() if name.endswith(".js")}
    return {name: _leaner(name, file) for name, file in {**page, **client}.items()}


def _leaner(name: str, file: Asset) -> Asset:
    lean = None if name.startswith("vendor/") else _LEAN.get(name.rpartition(".")[2])
    return file if lean is None else Asset.of(file.content_type, lean(file.body.decode()).encode())


def _edition(page: Mapping[str, Asset]) -> str:
    """A name that all files of the page have together: modules of two editions do not fit."""
    return hashlib.sha256("".join(page[name].etag for name in sorted(page)).encode()).hexdigest()[:16]


STATUS_FILES: Final[Mapping[str, Asset]] = _lean(_load(files("wsserver").joinpath("web", "status_page")))
"""Every file of the page by its path below ``/ws/status/``, and the document as ``index.html``."""

EDITION: Final = _edition(STATUS_FILES)


def _document() -> Asset:
    """The document, whose links lead to the files of this edition."""
    whole = STATUS_FILES[DOCUMENT]
    return Asset.of(whole.content_type, whole.body.replace(b'="status/', f'="status/{EDITION}/'.encode()))


_DOCUMENT: Final = _document()


async def serve_status_page(request: web.Request) -> web.StreamResponse:
    """The document; GET and HEAD, without credentials."""
    return _DOCUMENT.answer(request, DOCUMENT_HEADERS)


async def serve_status_file(request: web.Request) -> web.StreamResponse:
    """A file of the page, alone or under its edition; GET and HEAD, without credentials."""
    edition, _, name = request.match_info["name"].partition("/")
    is_lasting = edition == EDITION
    if not is_lasting:
        name = request.match_info["name"]
    file = STATUS_FILES.get(name)
    if file is None or name == DOCUMENT:
        raise ServerError(NOT_FOUND)
    return file.answer(request, EDITION_HEADERS if is_lasting else FILE_HEADERS)
