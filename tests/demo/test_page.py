import re
from urllib.parse import urljoin

import pytest

from wsserver.demo.page import CONTENT_SECURITY_POLICY, HEADERS, PageFile, load_page
from wsserver.web.client_files import CLIENT_FILES


@pytest.fixture(scope="module")
def page() -> dict[str, PageFile]:
    return load_page()


def markup(page: dict[str, PageFile]) -> str:
    return page["/demo"].body.decode("utf-8")


def test_every_file_has_its_path_and_type(page: dict[str, PageFile]) -> None:
    scripts = ("alert-list", "bed", "connection-bar", "connection-log", "demo", "markup", "trace")
    assert {path: file.content_type for path, file in page.items()} == {
        "/demo": "text/html; charset=utf-8",
        "/demo/demo.css": "text/css; charset=utf-8",
        **{f"/demo/{name}.js": "text/javascript; charset=utf-8" for name in scripts},
    }


def test_everything_the_page_asks_for_is_served(page: dict[str, PageFile]) -> None:
    wanted = {f"/{target}" for target in re.findall(r'(?:src|href)="(demo/[^"]+)"', markup(page))}
    for path, file in page.items():
        if path.endswith(".js"):
            imports = re.findall(r'from "([^"]+)"', file.body.decode("utf-8"))
            wanted |= {urljoin(path, name) for name in imports}
    client = {path for path in wanted if path.startswith("/ws/client/")}
    assert client == {"/ws/client/index.js"}
    assert wanted - client == set(page) - {"/demo"}


def test_the_client_that_the_page_imports_is_served() -> None:
    assert "index.js" in CLIENT_FILES


def test_the_page_is_the_same_each_time(page: dict[str, PageFile]) -> None:
    assert load_page() == page


def test_the_policy_is_strict() -> None:
    directives = dict(part.strip().split(" ", 1) for part in CONTENT_SECURITY_POLICY.split(";"))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert HEADERS["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert HEADERS["X-Content-Type-Options"] == "nosniff"


def test_the_markup_has_no_inline_script_or_style(page: dict[str, PageFile]) -> None:
    text = markup(page)
    assert "<style" not in text
    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"\son[a-z]+\s*=", text)
    assert re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL) == [""]


def test_the_scripts_write_text_only(page: dict[str, PageFile]) -> None:
    for path, file in page.items():
        if path.endswith(".js"):
            source = file.body.decode("utf-8")
            for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
                assert forbidden not in source, (path, forbidden)


def test_nothing_is_loaded_from_elsewhere(page: dict[str, PageFile]) -> None:
    for path, file in page.items():
        source = file.body.decode("utf-8")
        assert not re.search(r"(?:src=|url\(|@import|from )\s*[\"']?https?:", source), path


def test_the_page_shows_the_recordings_attribution(page: dict[str, PageFile]) -> None:
    text = " ".join(markup(page).split())
    assert "MIT-BIH Arrhythmia Database v1.0.0" in text
    assert "ODC Attribution License v1.0" in text
