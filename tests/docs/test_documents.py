"""All documents: links lead somewhere, settings and constants that they name exist."""

import re
import tomllib
from importlib.resources import files

import pytest
from documents import DOCS, EVERY_DOCUMENT, anchors, bare, blocks, links, table

from wsserver.connections.return_schedule import LINGER
from wsserver.health_monitor import JITTER
from wsserver.load.repeat_limit import ERRORS, WARNINGS, WINDOW
from wsserver.settings import load_settings
from wsserver.settings.catalogue import SECTIONS, SETTINGS
from wsserver.settings.descriptors import RESERVE
from wsserver.settings.startup import STARTUP_ONLY
from wsserver.web import server

OPERATIONS = DOCS / "operations.md"


@pytest.mark.parametrize("path", EVERY_DOCUMENT, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading(path):
    for link in links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("path", EVERY_DOCUMENT, ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path):
    for section, name in re.findall(r"`(\w+)\.(\w+)`", path.read_text()):
        if section in SECTIONS and f"{section}.{name}" not in SETTINGS:
            # connection_manager and the like share no name with a section; metrics are plural.
            pytest.fail(f"{section}.{name} is no setting")


@pytest.mark.parametrize("path", EVERY_DOCUMENT, ids=lambda path: path.name)
def test_every_settings_example_is_toml_of_settings_that_exist(path):
    for block in blocks(path, "toml"):
        for section, members in tomllib.loads(block.text).items():
            assert {f"{section}.{name}" for name in members} <= set(SETTINGS)


@pytest.mark.parametrize("path", EVERY_DOCUMENT, ids=lambda path: path.name)
def test_every_variable_that_is_named_is_one_that_the_server_reads(path):
    names = {setting.variable for setting in SETTINGS.values()} | {"WSSERVER_SECTION__NAME"}
    for variable in re.findall(r"\bWSSERVER_[A-Z_]+__[A-Z_]+", path.read_text()):
        assert variable in names or variable.removesuffix("_FILE") in names, variable


def test_the_documents_are_part_of_the_package():
    shipped = {entry.name for entry in files("wsserver").joinpath("docs").iterdir()}
    named = "protocol", "http", "embedding", "settings", "operations", "design", "benchmarks"
    assert {f"{name}.md" for name in named} <= shipped


def test_the_exit_statuses_are_those_of_the_server():
    documented = [bare(row[0]) for row in table(OPERATIONS, "status", "meaning")]
    assert documented == [str(status) for status in (server.CLOSED, server.FAILED, 2, server.CANNOT_START)]


def test_the_figures_of_the_deploying_page_are_the_code_s():
    text = " ".join((DOCS / "deploying.md").read_text().split())
    defaults = load_settings(None, {}, dev=True).settings
    assert f"longer than `shutdown.timeout` ({defaults.shutdown.timeout:g} s)" in text
    longest = defaults.connection.heartbeat_interval * (1 + JITTER)
    assert f"longer than {longest:g} seconds" in text
    unit = files("wsserver.deployment").joinpath("wsserver.service").read_text()
    for name in ("TimeoutStopSec", "WatchdogSec"):
        (value,) = re.findall(rf"^{name}=(\d+)$", unit, re.MULTILINE)
        assert f"`{name}` ({value} s)" in text


def test_the_checks_of_the_doctor_are_those_of_the_code():
    documented = {name for row in table(OPERATIONS, "check", "looks at") for name in bare(row[0]).split(", ")}
    sources = [*(DOCS.parent / "doctor").glob("*.py"), DOCS.parent / "cli" / "running_server.py"]
    text = "".join(path.read_text() for path in sources)
    written = re.findall(r'\b(?:ok|warning|fault|skipped|make)\(\s*"(\w+)"', text)
    written += re.findall(r'^ +name = "(\w+)"', text, re.MULTILINE)
    assert documented == set(written)


def test_the_figures_of_the_operations_page_are_the_code_s():
    text = " ".join(OPERATIONS.read_text().split())
    defaults = load_settings(None, {}, dev=True).settings
    roles = len(defaults.access.roles) * defaults.connection.max_connections_per_role
    assert f"and {RESERVE} are kept for everything else" in text
    needed = defaults.connection.max_connections + defaults.connection.max_unauthenticated + RESERVE
    assert f"connections needs {needed:,}" in text
    assert f"full at {roles} connections" in text
    shutdown = defaults.shutdown
    assert f"1 / `shutdown.return_rate` ({shutdown.return_rate:g} a second)" in text
    assert f"After `shutdown.notice` ({shutdown.notice:g} s)" in text
    assert f"`shutdown.restart_time` ({shutdown.restart_time:g} s)" in text
    assert f"up to {LINGER:g} seconds" in text
    away = LINGER + shutdown.restart_time + defaults.connection.max_connections / shutdown.return_rate
    assert f"the last one is away for {away:g} seconds" in text

    kept = f"{', '.join(f'`{key}`' for key in STARTUP_ONLY[:-1])} and `{STARTUP_ONLY[-1]}`"
    assert f"every setting but {kept}" in text
    assert f"{WARNINGS} warnings are written within {WINDOW:g} seconds ({ERRORS} at level error" in text
