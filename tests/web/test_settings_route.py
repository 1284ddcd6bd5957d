import re

from wsserver._version import __version__
from wsserver.web.handlers.settings import versions


def test_versions_name_the_server_and_what_it_stands_on():
    found = versions()
    assert found["wsserver"] == __version__
    assert found["Python"].startswith("CPython 3.")
    assert found["system"].startswith("Linux")
    for name in ("aiohttp", "uvloop", "msgspec", "google-re2"):
        assert re.match(r"\d+\.\d+", found[name]), name
