"""All figures of one server, read when they are asked for."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from wsserver.prometheus.condition import (
    audit_families,
    heartbeat_families,
    load_families,
    memory_families,
    process_families,
    subscription_families,
)
from wsserver.prometheus.traffic import connection_families, delivery_families, message_families
from wsserver.service import Service


class ServiceCollector(Collector):
    """A collector of prometheus-client over what the parts of a service count anyway.

    It holds no figures of its own. To be asked on the loop's thread: then all samples of one scrape
    are of one moment, and the sums among them hold. It may be given to a registry of yours.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Every family once."""
        service = self._service
        yield from connection_families(service)
        yield from message_families(service)
        yield from delivery_families(service)
        yield from subscription_families(service)
        yield from memory_families(service)
        yield from audit_families(service)
        yield from load_families(service)
        yield from heartbeat_families(service)
        yield from process_families(service)

    def describe(self) -> list[Metric]:
        """Nothing: a registry need not ask for everything to find out the names."""
        return []
