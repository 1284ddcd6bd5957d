"""All together, with settings as an operator has them."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from workbench import settings_with

from wsserver.doctor.examination import answers_health, examine

SECRET = {"WSSERVER_AUTH__SECRET": "canary-7f3a-canary-7f3a-canary-7f3a"}


def checks(found: list) -> set[str]:
    return {one.check for one in found}


def test_everything_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'[server]\nport = 0\n[store]\nurl = "sqlite:///{tmp_path}/store.db"\n')
    found = list(examine(file, SECRET))
    assert checks(found) == {
        "core", "http_parser", "versions", "clock", "user", "settings", "descriptors", "open_files",
        "accept_queue", "tcp_memory", "local_ports", "send_buffer", "port", "memory", "store",
        "store_integrity", "store_room", "audit", "tls",
    }  # fmt: skip
    # What surprises in the settings is a line each.
    texts = [one.text for one in found if one.check == "settings"]
    assert any("max_connections_per_role" in text for text in texts)
    assert "canary" not in repr(found)


def test_settings_that_cannot_be_used_are_told_fault_by_fault(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[broadcast]\nbatch_size = 0\n[server]\nprot = 1\n")
    found = list(examine(file, SECRET))
    faults = [one.text for one in found if one.check == "settings"]
    assert len(faults) == 2
    assert all(one.level == "fault" for one in found if one.check == "settings")
    assert "descriptors" not in checks(found)
    (missing,) = [one for one in examine(None, {}) if one.check == "settings"]
    assert missing.level == "fault"


def test_settings_without_surprises_are_good() -> None:
    calm = {**SECRET, "WSSERVER_CONNECTION__MAX_CONNECTIONS_PER_ROLE": "none", "WSSERVER_SERVER__PORT": "0"}
    (found,) = [one for one in examine(None, calm) if one.check == "settings"]
    assert found.level == "ok"


@pytest.fixture(params=[(200, b'{"status": "ok"}'), (503, b'{"status": "failing"}')])
def ours(request: pytest.FixtureRequest) -> Iterator[int]:
    yield from serving(*request.param)


@pytest.fixture(params=[(200, b"<html>"), (404, b'{"status": "error"}')])
def stranger(request: pytest.FixtureRequest) -> Iterator[int]:
    yield from serving(*request.param)


def serving(status: int, body: bytes) -> Iterator[int]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 500)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_one_of_us_is_known_by_its_health(ours: int) -> None:
    assert answers_health(settings_with(), "127.0.0.1", ours)
    assert answers_health(settings_with(), "0.0.0.0", ours)


def test_a_stranger_is_not_one_of_us(stranger: int) -> None:
    assert not answers_health(settings_with(), "127.0.0.1", stranger)
    tls = settings_with(server={"tls_certificate": "c", "tls_key": "k"})
    assert not answers_health(tls, "127.0.0.1", stranger)
    assert not answers_health(settings_with(), "127.0.0.1", 1)


def test_a_core_that_is_missing_is_told_and_not_tripped_over() -> None:
    script = (
        "import sys\n"
        "sys.modules['wsserver_core'] = None\n"
        "from wsserver.doctor.examination import examine\n"
        "print(*[f'{one.check} {one.level}' for one in examine(None, {'WSSERVER_AUTH__SECRET': 'x' * 40})])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("core fault "), done.stderr
    assert " memory " in done.stdout
