"""The house: imports point down, every module loads by itself, and every file has its test."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "wsserver"

# From the ground up: a module may import from its own floor and from those before it.
FLOORS = [
    # Runs where no server is: what it imports is told exactly in client/test_client_imports.py.
    {"_version", "client"},
    # The packages across the floors, whose own files hold a sentence each.
    {"connections", "load", "loop", "publishing", "sessions", "subscriptions"},
    {
        "ids",
        "errors",
        "clock",
        "loop.awaitable",
        "loop.garbage",
        "connections.token_expiry",
        "connections.tcp_signs",
        "loop.loop_port",
        "loop.housekeeping",
        "incidents",
        "load.repeat_limit",
        "connections.return_schedule",
        "load.bucket_table",
        "compression",
    },
    {"settings", "protocol", "log"},
    {"access", "audit", "store", "observe", "filter_engine", "connections.connection_limits", "operators"},
    {
        "subscriptions.subscription",
        "subscriptions.subscription_limits",
        "connections.connection_metadata",
        "connections.told_gaps",
        "connections.foreign_link",
        "publishing.inbox",
        "publishing.idempotency",
        "connections.newcomer",
        "connections.echo_sink",
    },
    {
        "subscriptions.subscription_expiry",
        "backpressure",
        "health_monitor",
        "loop.patience",
        "loop.turn_budget",
        "loop.turnstile",
        "rate_limiter",
        "sessions.interest",
        "sessions.owed_gaps",
    },
    {"broadcast_engine", "sessions.catch_up", "sessions.session"},
    {"reconnect_service"},
    {"subscription_manager"},
    {"subscriptions.subscription_hints", "connections.connection_info"},
    {"connection_manager"},
    {
        "store_keeper",
        "sessions.session_archive",
        "subscriptions.match_explainer",
        "load.load_signals",
        "connections.break_glass",
        "connections.drain",
        "connections.connection_pages",
    },
    {"overload", "publishing.bystanders", "publishing.delivery_verdict"},
    {"publishing.delivery_explainer", "publishing.message_flow"},
    {"connections.connection_state", "subscriptions.subscription_health", "profiling"},
    {"debugging"},
    {"message_router", "lifecycle"},
    {"sessions.resumption"},
    {"connections.admission", "connections.rights_watch"},
    {"connections.client_sink"},
    {"service"},
    {"specification_metrics", "api_documents", "prometheus", "deployment", "demo", "status"},
    {"web"},
    {"token_check", "compat", "doctor"},
    {"cli"},
    {"__init__", "__main__"},
]
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}

# Looked up when first used, never while loading: a default instance found from below, and the
# server of this process.
UPWARD = {("subscription_manager", "connection_manager"), ("health_monitor", "connection_manager")}

MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


# Folders whose rooms are on different floors, as each follows something that goes through the house.
ACROSS = FLOORS[1]


def room(path: Path) -> str:
    return floor_name([*path.relative_to(PACKAGE).with_suffix("").parts])


def floor_name(parts: list[str]) -> str:
    across = parts[0] in ACROSS and parts[1:2] not in ([], ["__init__"])
    return ".".join(parts[: 2 if across else 1])


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    here = room(path)
    assert here in FLOOR_OF, f"{here} has no floor in the house"
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "wsserver" or len(parts) < 2 or here == "__init__":
            continue
        there = floor_name(parts[1:])
        assert FLOOR_OF[there] <= FLOOR_OF[here] or (here, there) in UPWARD, (
            f"{here} imports {name}, from above"
        )


def test_the_core_imports_nothing_of_the_server():
    for path in (ROOT / "wsserver_core").glob("*.p*"):
        if path.suffix in {".pyx", ".pxd", ".pyi", ".py"}:
            lines = path.read_text().splitlines()
            assert not [
                line
                for line in lines
                if line.startswith(("import wsserver.", "from wsserver.", "from wsserver "))
            ]


# The client's one file that opens sockets: aiohttp's WebSocket is there already, reads only as fast as
# it is read from, and is replaced by another as easily as by the one of the tests.
TRANSPORT = PACKAGE / "client" / "aiohttp_transport.py"


def test_only_the_web_package_the_command_line_and_the_clients_transport_know_aiohttp():
    for path in MODULES:
        if room(path) not in {"web", "cli"} and path != TRANSPORT:
            assert not any(name.split(".")[0] == "aiohttp" for name in imports(path)), path


def test_every_compiled_module_has_its_stub_and_its_layout_if_shared():
    for source in (ROOT / "wsserver_core").glob("*.pyx"):
        assert source.with_suffix(".pyi").exists(), source


def names() -> list[str]:
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if path.name != "__main__.py"
    )


@pytest.mark.timeout(600)  # each module loads all that it needs anew: the work of a hundred starts
def test_every_module_loads_by_itself_without_warnings():
    script = (
        "import sys, importlib\n"
        "for name in sys.argv[1:]:\n"
        "    for loaded in [one for one in sys.modules if one.split('.')[0] == 'wsserver']:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *names()],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# Only real sockets show what these do; their tests are named for the behaviour.
BY_BEHAVIOUR = {
    "web/handlers/alerts.py": "integration/test_alerts_live.py",
    "web/handlers/auditing.py": "integration/test_audit_live.py",
    "web/app.py": "integration/test_embedding.py",
    "web/bearer.py": "integration/test_rest.py",
    "web/handlers/drain.py": "integration/test_drain_live.py",
    "web/handlers/demo.py": "browser/test_demo_page.py",
    "web/handlers/endpoint.py": "integration/test_connect.py",
    "web/routes/auditing.py": "web/test_routes.py",
    "web/routes/connecting.py": "web/test_routes.py",
    "web/routes/demo.py": "web/test_routes.py",
    "web/routes/documents.py": "integration/test_api_documents_live.py",
    "web/routes/drain.py": "web/test_routes.py",
    "web/routes/explaining.py": "web/test_routes.py",
    "web/routes/figures.py": "web/test_routes.py",
    "web/routes/files.py": "web/test_routes.py",
    "web/routes/forms.py": "web/test_routes.py",
    "web/routes/probes.py": "web/test_routes.py",
    "web/routes/publishing.py": "web/test_routes.py",
    "web/routes/signing_in.py": "web/test_routes.py",
    "web/routes/connections.py": "web/test_routes.py",
    "web/handlers/explaining.py": "integration/test_explain_live.py",
    "web/handlers/probes.py": "integration/test_rest.py",
    "web/handlers/connections.py": "integration/test_connections_live.py",
    "web/routes/rights.py": "web/test_routes.py",
    "web/routes/tracing.py": "web/test_routes.py",
    "web/handlers/signing_in.py": "integration/test_sign_in.py",
    "web/handlers/tracing.py": "integration/test_traces_live.py",
    "web/request_body.py": "integration/test_rest.py",
    "web/key_fetch.py": "integration/test_keys_live.py",
    "web/listener.py": "integration/test_descriptors_live.py",
    "web/responses.py": "integration/test_rest.py",
    "web/routes/status.py": "web/test_routes.py",
    "web/handlers/status_endpoint.py": "integration/test_status_live.py",
    "web/handlers/status_series.py": "integration/test_status_live.py",
    "web/server.py": "integration/test_shutdown.py",
    "api_documents/message_examples.py": "integration/test_api_documents_live.py",
    "api_documents/panel_examples.py": "api_documents/test_asyncapi.py",
    "api_documents/publishing.py": "integration/test_api_documents_live.py",
    "api_documents/spoken.py": "api_documents/test_asyncapi.py",
    "cli/failures.py": "cli/test_main.py",
    "client/aiohttp_transport.py": "integration/test_python_client_live.py",
    "client/events.py": "client/test_client.py",
    "client/identity.py": "client/test_codec.py",
    "client/json_text.py": "client/test_codec.py",
    "client/pace.py": "client/test_outbox.py",
    "client/state.py": "client/test_client.py",
    "client/supervisor.py": "client/test_client.py",
    "client/transport.py": "client/test_client.py",
    "cli/loaded.py": "cli/test_configuration.py",
    "incidents.py": "test_message_router.py",
    "settings/fields.py": "settings/test_sections.py",
    "settings/flow.py": "settings/test_sections.py",
    "settings/operation.py": "settings/test_sections.py",
    "publishing/delivery_verdict.py": "publishing/test_delivery_explainer.py",
    "store/memory_store.py": "store/test_store_contract.py",
    "store/store_batch.py": "store/test_store_contract.py",
}


def test_no_two_test_files_have_one_name():
    # Outside packages pytest imports them by their names alone, and stops at the second.
    paths = [
        path for path in (ROOT / "tests").rglob("test_*.py") if not (path.parent / "__init__.py").exists()
    ]
    twice = [path for path in paths if sum(path.name == other.name for other in paths) > 1]
    assert not twice


def test_every_module_has_a_test_of_its_name_or_one_named_here():
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    without = []
    for path in MODULES:
        here = path.relative_to(PACKAGE).as_posix()
        if path.stem in {"__init__", "__main__", "_version"}:
            continue
        if here in BY_BEHAVIOUR:
            assert (ROOT / "tests" / BY_BEHAVIOUR[here]).exists(), BY_BEHAVIOUR[here]
        elif not any(path.stem in name or name in path.stem for name in tested):
            without.append(here)
    assert not without, f"no test file mirrors {without}"
