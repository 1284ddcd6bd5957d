"""The objects whose methods serve the routes of one application."""

from dataclasses import dataclass

from wsserver.service import Service
from wsserver.web.alert_routes import AlertRoutes
from wsserver.web.alert_webhook import AlertWebhook
from wsserver.web.debugging_routes import DebuggingRoutes
from wsserver.web.demo_routes import Demo
from wsserver.web.draining import Draining
from wsserver.web.endpoint import Endpoint
from wsserver.web.inspection import Inspection
from wsserver.web.prometheus import PrometheusRoute
from wsserver.web.rest import Rest


@dataclass(frozen=True, slots=True)
class Handlers:
    """One of each; a route finds its own among them."""

    endpoint: Endpoint
    rest: Rest
    inspection: Inspection
    draining: Draining
    alerts: AlertRoutes
    debugging: DebuggingRoutes
    prometheus: PrometheusRoute
    demo: Demo

    @classmethod
    def of(cls, service: Service, webhook: AlertWebhook) -> "Handlers":
        """Those of a service."""
        return cls(
            endpoint=Endpoint(service),
            rest=Rest(service),
            inspection=Inspection(service),
            draining=Draining(service),
            alerts=AlertRoutes(service, webhook),
            debugging=DebuggingRoutes(service),
            prometheus=PrometheusRoute(service),
            demo=Demo(service),
        )
