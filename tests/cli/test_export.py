"""``wsserver export``: rules that Prometheus takes, a dashboard, and nothing written over unasked."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from families_table import families, name_of
from scrape import PROMTOOL

from wsserver.api_documents.asyncapi import asyncapi
from wsserver.web.openapi import openapi
from wsserver.web.routes import routes_of

FILES = {"prometheus-rules": "wsserver.rules.yml", "grafana": "wsserver.dashboard.json"}
OTHERS = {
    "systemd": ["wsserver.service"],
    "docker": ["Dockerfile", ".dockerignore"],
    "nginx": ["wsserver.nginx.conf"],
    "haproxy": ["wsserver.haproxy.cfg"],
}
DOCUMENTS = {"openapi": "wsserver.openapi.json", "asyncapi": "wsserver.asyncapi.json"}


def exported(invoke, what: str, directory: Path) -> str:
    result = invoke("export", what, str(directory))
    assert result.exit_code == 0, result.output
    file = directory / {**FILES, **DOCUMENTS}[what]
    assert result.stdout == f"{file}\n"
    return file.read_text()


@pytest.mark.parametrize(("what", "document"), [("openapi", openapi(routes_of())), ("asyncapi", asyncapi())])
def test_the_documents_are_those_that_are_served(invoke, tmp_path: Path, what: str, document: object) -> None:
    text = exported(invoke, what, tmp_path)
    assert json.loads(text) == json.loads(json.dumps(document))
    assert text.count("\n") > 1000, "for people too"


@pytest.mark.parametrize("what", FILES)
def test_what_is_there_is_only_overwritten_when_told_so(invoke, tmp_path: Path, what: str) -> None:
    text = exported(invoke, what, tmp_path / "new" / "place")
    file = tmp_path / "new" / "place" / FILES[what]
    file.write_text("mine")
    refused = invoke("export", what, str(file.parent))
    assert (refused.exit_code, file.read_text()) == (1, "mine")
    assert "--force" in refused.output
    assert invoke("export", what, str(file.parent), "--force").exit_code == 0
    assert file.read_text() == text


@pytest.mark.parametrize("what", OTHERS)
def test_each_example_is_written_under_the_name_that_it_is_used_by(invoke, tmp_path: Path, what: str) -> None:
    result = invoke("export", what, str(tmp_path))
    assert result.stdout.splitlines() == [str(tmp_path / name) for name in OTHERS[what]]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(OTHERS[what])
    assert all(f"wsserver export {what}" in (tmp_path / name).read_text() for name in OTHERS[what][:1])


def test_of_two_files_none_is_written_when_one_is_there(invoke, tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("mine")
    assert invoke("export", "docker", str(tmp_path)).exit_code == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [".dockerignore"]
    assert (tmp_path / ".dockerignore").read_text() == "mine"
    assert invoke("export", "docker", str(tmp_path), "--force").exit_code == 0
    assert (tmp_path / ".dockerignore").read_text() != "mine"


def test_a_directory_that_cannot_be_is_a_failure_in_words(invoke, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = invoke("export", "grafana", str(tmp_path / "file" / "below"))
    assert result.exit_code == 1
    assert "cannot write" in result.output
    assert invoke("export", "nonsense", str(tmp_path)).exit_code == 2


@pytest.mark.parametrize("what", FILES)
def test_every_metric_that_is_named_exists_with_its_labels(invoke, tmp_path: Path, what: str) -> None:
    known = {name_of(family): family for family in families()}
    text = exported(invoke, what, tmp_path).replace('\\"', '"')
    named = set(re.findall(r"\b(?:wsserver|process)_\w+", text))
    assert len(named) > 15
    for name in named:
        bare = re.sub(r"_(bucket|sum|count)$", "", name)
        assert bare in known, name
        assert bare == name or known[bare].type == "histogram", name
    for name, label, wanted in re.findall(r'\b(wsserver_\w+)\{(?:[^}]*,)?(\w+)="(\w+)"\}', text):
        values = {sample.labels.get(label) for sample in known[name].samples}
        assert wanted in values, (name, label, wanted)


def test_prometheus_takes_the_rules(
    invoke, tmp_path: Path, require_tool: Callable[[bool, str], None]
) -> None:
    require_tool(PROMTOOL is not None, "promtool (apt install prometheus)")
    exported(invoke, "prometheus-rules", tmp_path)
    file = tmp_path / FILES["prometheus-rules"]
    done = subprocess.run([PROMTOOL, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_understands_every_query_of_the_dashboard(
    invoke, tmp_path: Path, require_tool: Callable[[bool, str], None]
) -> None:
    require_tool(PROMTOOL is not None, "promtool (apt install prometheus)")
    dashboard = json.loads(exported(invoke, "grafana", tmp_path))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"q{place}", "expr": query.replace("$__rate_interval", "5m")}
        for place, query in enumerate(queries)
    ]
    file = tmp_path / "queries.yml"
    # JSON is YAML.
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([PROMTOOL, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_panels_of_the_dashboard_do_not_overlap(invoke, tmp_path: Path) -> None:
    panels = json.loads(exported(invoke, "grafana", tmp_path))["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len({panel["id"] for panel in panels}) == len(panels)


def test_the_thresholds_of_the_rules_are_the_server_s_defaults(invoke, tmp_path: Path) -> None:
    text = exported(invoke, "prometheus-rules", tmp_path)
    for expression in (
        "wsserver_connections_limit >= 0.8\n",
        "wsserver_connections_limit >= 0.95\n",
        ">= 0.05 * rate(wsserver_operations_total",
        ">= 0.1 * rate(wsserver_operations_total",
        "wsserver_connection_latency_seconds >= 0.2\n",
        "wsserver_connection_latency_seconds >= 0.5\n",
        "wsserver_memory_used_bytes >= 0.75 *",
        "wsserver_memory_used_bytes >= 0.9 *",
    ):
        assert expression in text
