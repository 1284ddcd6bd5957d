import gzip
import hashlib
import re
from pathlib import Path
from typing import get_args
from urllib.parse import urljoin

import pytest
from aiohttp.test_utils import make_mocked_request

import wsserver
from wsserver.connections.connection_info import STATES
from wsserver.errors import CLOSE_CODES, NOT_FOUND, ServerError
from wsserver.observe.event_history import EVENT_KINDS
from wsserver.status.panels import State
from wsserver.web.client_files import CLIENT_FILES
from wsserver.web.handlers.status_page import (
    CONTENT_SECURITY_POLICY,
    DOCUMENT,
    DOCUMENT_HEADERS,
    EDITION,
    EDITION_HEADERS,
    FILE_HEADERS,
    STATUS_FILES,
    serve_status_file,
    serve_status_page,
)
from wsserver.web.lean_script import lean_script

SOURCE = Path(wsserver.__file__).parent / "web" / "status_page"
UPLOT = SOURCE / "vendor" / "uplot"

# As published at npm: what `npm pack uplot@1.6.32` brings.
UPLOT_SHA256 = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}

MOST_COMPRESSED = 100_000
"""Bytes of everything that the page can ever load, the JavaScript client included."""


def text(name: str) -> str:
    return STATUS_FILES[name].body.decode()


# Decoders of the binary protocol, which this page does not ask for.
BINARY = {f"client/{name}.js" for name in ("envelope", "envelope-error", "lz4", "messagepack")}
CLIENT = {f"client/{name}" for name in CLIENT_FILES if name.endswith(".js")}


def test_every_script_and_style_sheet_is_served_and_nothing_else():
    on_disk = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*") if path.is_file()}
    assert set(STATUS_FILES) - CLIENT == on_disk - {f"vendor/uplot/{name}" for name in ("LICENSE", "VERSION")}
    assert not CLIENT - set(STATUS_FILES)


def test_the_client_is_the_one_that_all_are_given():
    for name in CLIENT:
        whole = CLIENT_FILES[name.removeprefix("client/")].body.decode()
        assert text(name) == lean_script(whole)


def test_what_is_asked_for_is_there_and_what_is_there_is_asked_for():
    wanted = set(re.findall(r'(?:src|href)="status/([^"]+)"', text(DOCUMENT)))
    for name in STATUS_FILES:
        if name.endswith(".js") and not name.startswith("vendor/"):
            targets = re.findall(r'(?:from |import\()"(\./[^"]+)"', text(name))
            wanted |= {urljoin(name, target) for target in targets}
    assert wanted == set(STATUS_FILES) - {DOCUMENT}


def test_nothing_writes_markup_or_runs_text():
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
        r"|createContextualFragment|setHTMLUnsafe|parseFromString|\.srcdoc|setAttribute\(\"style\"|style=\""
    )
    for name in STATUS_FILES:
        if not name.startswith("vendor/"):
            assert not forbidden.search(text(name)), name
    assert not re.search(r"<script>|<style|\son\w+=", text(DOCUMENT))


def test_the_policy_is_strict():
    directives = dict(part.strip().split(" ", 1) for part in CONTENT_SECURITY_POLICY.split(";"))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }


@pytest.mark.parametrize(
    ("headers", "cache"),
    [
        (DOCUMENT_HEADERS, "no-store"),
        (FILE_HEADERS, "no-cache"),
        (EDITION_HEADERS, "public, max-age=31536000, immutable"),
    ],
)
def test_every_answer_is_careful(headers: dict[str, str], cache: str):
    assert headers == {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": cache,
    }


def test_uplot_is_the_one_that_was_published():
    assert (UPLOT / "VERSION").read_text() == "1.6.32\n"
    found = {name: hashlib.sha256((UPLOT / name).read_bytes()).hexdigest() for name in UPLOT_SHA256}
    assert found == UPLOT_SHA256
    assert "MIT License" in (UPLOT / "LICENSE").read_text()


def test_all_that_a_browser_can_load_is_small():
    loaded = [file.packed for name, file in STATUS_FILES.items() if name not in BINARY]
    total = sum(len(packed) for packed in loaded if packed is not None)
    assert total < MOST_COMPRESSED, total


def test_the_packed_form_is_the_same_file():
    for file in STATUS_FILES.values():
        assert file.packed is not None
        assert gzip.decompress(file.packed) == file.body


def test_scripts_are_short_and_checked():
    for path in SOURCE.glob("*.js"):
        lines = path.read_text().splitlines()
        assert lines[0] == "// @ts-check", path.name
        assert len(lines) <= 400, path.name


async def served(name: str) -> tuple[dict[str, str], bytes]:
    request = make_mocked_request("GET", f"/ws/status/{name}", match_info={"name": name})
    answer = await (serve_status_file(request) if name else serve_status_page(request))
    return dict(answer.headers), answer.body


async def test_the_document_leads_to_the_files_of_its_edition_which_browsers_keep():
    headers, body = await served("")
    assert headers["Cache-Control"] == "no-store"
    links = re.findall(r'(?:src|href)="([^"]+)"', body.decode())
    own = [link for link in links if not link.startswith(("data:", "#"))]
    assert len(own) > 3
    for link in own:
        assert link.startswith(f"status/{EDITION}/")
        headers, body = await served(link.removeprefix("status/"))
        assert "immutable" in headers["Cache-Control"]
        assert body == STATUS_FILES[link.removeprefix(f"status/{EDITION}/")].body


async def test_a_file_without_its_edition_is_asked_for_again():
    headers, body = await served("status.js")
    assert (headers["Cache-Control"], body) == ("no-cache", STATUS_FILES["status.js"].body)


@pytest.mark.parametrize("name", ["0123456789abcdef/status.js", f"{EDITION}/index.html", f"{EDITION}/x.js"])
async def test_another_edition_is_not_here(name: str):
    with pytest.raises(ServerError) as refused:
        await served(name)
    assert refused.value.kind is NOT_FOUND


def named(file: str, table: str) -> set[str]:
    """The names in a table of a script."""
    body = re.search(rf"const {table} = .*?\{{\n(.*?)\n\}}", (SOURCE / file).read_text(), re.DOTALL)
    assert body is not None
    return set(re.findall(r"^  (\w+):", body[1], re.MULTILINE))


def test_the_page_has_a_word_for_everything_that_the_server_may_say():
    assert named("connection-words.js", "STATES") == set(STATES)
    assert named("connection-words.js", "EVENTS") == set(EVENT_KINDS)
    assert named("connection-words.js", "CLOSES") >= {str(int(code)) for code in CLOSE_CODES if code >= 4000}
    assert named("masthead.js", "STATES") == set(get_args(State))
