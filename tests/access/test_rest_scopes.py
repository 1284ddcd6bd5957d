"""The list of scopes is that of the routes: a slip in either shows."""

import re
from pathlib import Path

import wsserver.web
from wsserver.access.rest_scopes import REST_SCOPES


def test_the_scopes_are_those_that_the_http_interface_asks_for() -> None:
    sources = [path.read_text() for path in Path(wsserver.web.__path__[0]).rglob("*.py")]
    spelling = re.compile(r'"((?:admin|audit|broadcast|metrics):[a-z]+)"')
    asked = {scope for text in sources for scope in spelling.findall(text)}
    assert asked == set(REST_SCOPES)
