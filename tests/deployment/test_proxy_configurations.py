"""The configurations of nginx and HAProxy: each program's own check, and figures that fit the server's."""

import re
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from deployment.proxies import TOOLS, write_configuration

from wsserver.health_monitor import JITTER
from wsserver.settings import Settings
from wsserver.web.route import Door
from wsserver.web.routes import routes_of

TEXTS = {
    name: files("wsserver.deployment").joinpath(file).read_text("utf-8")
    for name, file in (("nginx", "nginx.conf"), ("haproxy", "haproxy.cfg"))
}


@pytest.mark.parametrize("proxy", TOOLS)
def test_the_program_takes_it_without_a_warning(
    proxy: str, tmp_path: Path, require_tool: Callable[[bool, str], None]
) -> None:
    program, name = TOOLS[proxy]
    require_tool(program is not None, name)
    arguments = write_configuration(proxy, tmp_path)
    check = [*arguments, "-t"] if proxy == "nginx" else [arguments[0], "-c", *arguments[2:]]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"(?i)warn|alert", done.stdout + done.stderr), done.stderr


@pytest.mark.parametrize(
    ("proxy", "timeout"),
    [("nginx", r"proxy_read_timeout (\d+)s"), ("nginx", r"proxy_send_timeout (\d+)s"),
     ("haproxy", r"timeout tunnel (\d+)s")],
)  # fmt: skip
def test_a_quiet_connection_is_kept_for_longer_than_two_heartbeats(proxy: str, timeout: str) -> None:
    longest = Settings().connection.heartbeat_interval * (1 + JITTER)
    (seconds,) = re.findall(timeout, TEXTS[proxy])
    assert int(seconds) > 2 * longest
    assert f"{longest:g} s" in TEXTS[proxy]


def test_the_server_may_have_as_many_clients_as_its_settings_say() -> None:
    most = Settings().connection.max_connections
    assert f"limit_conn wsserver_connections {most};" in TEXTS["nginx"]
    assert f"sc_conn_cur(0) gt {most} " in TEXTS["haproxy"]
    for limit in re.findall(r"\bmaxconn (\d+)", TEXTS["haproxy"]):
        assert int(limit) >= most + Settings().connection.max_unauthenticated


def test_no_log_has_the_query_in_which_a_token_may_stand() -> None:
    (nginx,) = re.findall(r"log_format wsserver '([^']*)'", TEXTS["nginx"])
    assert not re.findall(r"\$(?:request|request_uri|args|query_string|http_\w+)\b", nginx)
    (haproxy,) = re.findall(r'log-format "([^"]*)"', TEXTS["haproxy"])
    assert not re.findall(r"%(?:r|HU|HQ|hr|hrl|hs|hsl)\b", haproxy)
    assert "option httplog" not in TEXTS["haproxy"]


def test_every_route_has_its_place() -> None:
    """What is for everybody may be reached from everywhere, what needs a scope only from inside."""
    public = [route.path for route in routes_of() if route.door is Door.NONE and not route.is_probe]
    for path in public:
        if path.startswith(("/ws/connect", "/ws/client/")):
            continue
        # Documents of the interface: they may be read, but those outside have no use for them.
        assert path.startswith("/ws/"), path
    for route in routes_of():
        assert route.path.startswith("/ws/") or route.path in ("/metrics", "/health", "/ready"), route.path
