"""The part on Prometheus in the document of operations says what the code does."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from families_table import families, name_of, row_of
from scrape import PROMTOOL

OPERATIONS = Path(__file__).parents[2] / "wsserver" / "docs" / "operations.md"
PART = OPERATIONS.read_text().partition("### Prometheus\n")[2].partition("\n### ")[0]

SPECIFIED = {
    "connections": {"total", "by_role", "by_patient", "new_per_minute", "disconnected_per_minute"},
    "subscriptions": {"total", "by_type", "wildcard_count", "filter_complexity"},
    "performance": {"message_rate", "broadcast_latency", "queue_size", "error_rate", "memory_usage"},
    "health": {"healthy_connections", "unhealthy_connections", "avg_latency", "heartbeat_success_rate"},
}
"""The specification's MONITORING_METRICS."""

QUERIES = dict(re.findall(r"^\| `(\w+\.\w+)` \| `([^`]+)`", PART, re.MULTILINE))


def metrics_in(query: str) -> set[str]:
    """The names in a query, those of a histogram without their endings."""
    names = set(re.findall(r"\b(?:wsserver|process)_\w+", query))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    listed = re.findall(r"^\| `(?:wsserver|process)_\w+` \|.*$", PART, re.MULTILINE)
    assert listed == [row_of(family) for family in families()]


def test_every_figure_of_the_specification_has_a_query_of_metrics_that_there_are() -> None:
    assert QUERIES.keys() == {f"{group}.{name}" for group, names in SPECIFIED.items() for name in names}
    known = {name_of(family) for family in families()}
    for figure, query in QUERIES.items():
        assert metrics_in(query), figure
        assert metrics_in(query) <= known, figure


def test_prometheus_understands_the_queries(
    tmp_path: Path, require_tool: Callable[[bool, str], None]
) -> None:
    require_tool(PROMTOOL is not None, "promtool (apt install prometheus)")
    rules = [
        f"      - record: f{place}\n        expr: >-\n          {query}"
        for place, query in enumerate(QUERIES.values())
    ]
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n  - name: documented\n    rules:\n" + "\n".join(rules) + "\n")
    done = subprocess.run([PROMTOOL, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_understands_the_scrape_configuration(
    tmp_path: Path, require_tool: Callable[[bool, str], None]
) -> None:
    require_tool(PROMTOOL is not None, "promtool (apt install prometheus)")
    example = PART.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "token").write_text("t")
    file = tmp_path / "prometheus.yml"
    file.write_text(example.replace("/etc/prometheus/wsserver.token", str(tmp_path / "token")))
    done = subprocess.run([PROMTOOL, "check", "config", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_fewer_series_than_the_document_says() -> None:
    assert "fewer than 2,000 series" in PART
    assert sum(len(family.samples) for family in families()) < 500
