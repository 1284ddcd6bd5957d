"""The table of metrics in the document of operations, as the code has them.

``python tests/families_table.py`` prints it.
"""

from prometheus_client.metrics_core import Metric

from wsserver.connection_manager import ConnectionManager
from wsserver.prometheus.collector import ServiceCollector
from wsserver.service import Service
from wsserver.settings import AuthSettings, Settings

SUFFIXES = {"counter": "_total", "info": "_info"}


def families() -> list[Metric]:
    settings = Settings(auth=AuthSettings(secret="a-secret-for-the-table-that-is-long-enough"))
    return list(ServiceCollector(Service(settings, manager=ConnectionManager(settings))).collect())


def name_of(family: Metric) -> str:
    """As Prometheus knows it; of a histogram without ``_bucket``, ``_sum`` and ``_count``."""
    return family.name + SUFFIXES.get(family.type, "")


def row_of(family: Metric) -> str:
    labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
    named = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name_of(family)}` | {family.type} | {named} | {family.documentation.replace('|', '/')} |"


if __name__ == "__main__":
    print("\n".join(row_of(family) for family in families()))
