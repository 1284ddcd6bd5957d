"""The demonstration's page: its files as they are served, and the headers that belong to them."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final, NamedTuple

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # The files change with the server's version: kept, but asked for each time.
    "Cache-Control": "no-cache",
}

_JAVASCRIPT: Final = "text/javascript; charset=utf-8"
_FILES: Final = {
    "/demo": ("index.html", "text/html; charset=utf-8"),
    "/demo/demo.css": ("demo.css", "text/css; charset=utf-8"),
    "/demo/alert-list.js": ("alert-list.js", _JAVASCRIPT),
    "/demo/bed.js": ("bed.js", _JAVASCRIPT),
    "/demo/connection-bar.js": ("connection-bar.js", _JAVASCRIPT),
    "/demo/connection-log.js": ("connection-log.js", _JAVASCRIPT),
    "/demo/demo.js": ("demo.js", _JAVASCRIPT),
    "/demo/markup.js": ("markup.js", _JAVASCRIPT),
    "/demo/trace.js": ("trace.js", _JAVASCRIPT),
}


class PageFile(NamedTuple):
    """One file of the page."""

    content_type: str
    body: bytes


def load_page() -> dict[str, PageFile]:
    """Every file of the page by the path at which it is served.

    ``/demo/config.json`` is not among them: it holds a token and is made for each request.
    """
    folder = files(__package__).joinpath("page")
    page = {}
    for path, (name, content_type) in _FILES.items():
        page[path] = PageFile(content_type, folder.joinpath(name).read_bytes())
    return page
