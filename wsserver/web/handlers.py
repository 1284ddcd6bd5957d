"""The objects whose methods serve the routes of one application."""

from dataclasses import dataclass

from wsserver.service import Service
from wsserver.status.live_status import LiveStatus
from wsserver.web.alert_routes import AlertRoutes
from wsserver.web.alert_webhook import AlertWebhook
from wsserver.web.audit_routes import AuditRoutes
from wsserver.web.connection_routes import ConnectionRoutes
from wsserver.web.debugging_routes import DebuggingRoutes
from wsserver.web.demo_routes import Demo
from wsserver.web.documents import Documents
from wsserver.web.draining import Draining
from wsserver.web.endpoint import Endpoint
from wsserver.web.inspection import Inspection
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.prometheus import PrometheusRoute
from wsserver.web.rest import Rest
from wsserver.web.settings_route import SettingsRoute
from wsserver.web.sign_in_routes import SignInRoutes
from wsserver.web.status_endpoint import StatusEndpoint
from wsserver.web.status_series import SeriesRoute
from wsserver.web.trace_routes import TraceRoutes


@dataclass(frozen=True, slots=True)
class Handlers:
    """One of each; a route finds its own among them."""

    endpoint: Endpoint
    rest: Rest
    inspection: Inspection
    draining: Draining
    alerts: AlertRoutes
    audit: AuditRoutes
    debugging: DebuggingRoutes
    prometheus: PrometheusRoute
    sign_in: SignInRoutes
    series: SeriesRoute
    admin: StatusEndpoint
    traces: TraceRoutes
    connections: ConnectionRoutes
    demo: Demo
    settings: SettingsRoute
    documents: Documents

    @classmethod
    def of(
        cls, service: Service, webhook: AlertWebhook, live: LiveStatus, documents: Documents
    ) -> "Handlers":
        """Those of a service, of its status page's feed, and those that give its documents."""
        door = OperatorDoor(service)
        return cls(
            endpoint=Endpoint(service),
            rest=Rest(service, door),
            inspection=Inspection(service, door),
            draining=Draining(service, door),
            alerts=AlertRoutes(service, door, webhook),
            audit=AuditRoutes(service, door),
            debugging=DebuggingRoutes(service, door),
            prometheus=PrometheusRoute(service, door),
            sign_in=SignInRoutes(service, door),
            series=SeriesRoute(door, live.series),
            admin=StatusEndpoint(service, door, live.viewers),
            traces=TraceRoutes(service, door),
            connections=ConnectionRoutes(service, door),
            demo=Demo(service),
            settings=SettingsRoute(service, door),
            documents=documents,
        )
