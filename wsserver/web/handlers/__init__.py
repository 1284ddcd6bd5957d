"""What serves the routes of one application; ``wsserver.web.routes`` writes down which serves which."""

from dataclasses import dataclass

from wsserver.service import Service
from wsserver.status.live_status import LiveStatus
from wsserver.web.alert_webhook import AlertWebhook
from wsserver.web.handlers.alerts import AlertHandlers
from wsserver.web.handlers.auditing import AuditHandlers
from wsserver.web.handlers.connections import ConnectionHandlers
from wsserver.web.handlers.debugging import DebuggingHandlers
from wsserver.web.handlers.demo import Demo
from wsserver.web.handlers.documents import Documents
from wsserver.web.handlers.drain import Draining
from wsserver.web.handlers.endpoint import Endpoint
from wsserver.web.handlers.explaining import ExplainingHandlers
from wsserver.web.handlers.figures import FigureHandlers
from wsserver.web.handlers.probes import ProbeHandlers
from wsserver.web.handlers.publishing import PublishingHandlers
from wsserver.web.handlers.rights import RightsHandlers
from wsserver.web.handlers.settings import SettingsHandler
from wsserver.web.handlers.signing_in import SignInHandlers
from wsserver.web.handlers.status_endpoint import StatusEndpoint
from wsserver.web.handlers.status_series import SeriesHandler
from wsserver.web.handlers.subscriptions import SubscriptionHandlers
from wsserver.web.handlers.tracing import TraceHandlers
from wsserver.web.operator_door import OperatorDoor


@dataclass(frozen=True, slots=True)
class Handlers:
    """One of each; a route finds its own among them."""

    endpoint: Endpoint
    publishing: PublishingHandlers
    rights: RightsHandlers
    figures: FigureHandlers
    probes: ProbeHandlers
    explaining: ExplainingHandlers
    subscriptions: SubscriptionHandlers
    draining: Draining
    alerts: AlertHandlers
    audit: AuditHandlers
    debugging: DebuggingHandlers
    sign_in: SignInHandlers
    series: SeriesHandler
    admin: StatusEndpoint
    traces: TraceHandlers
    connections: ConnectionHandlers
    demo: Demo
    settings: SettingsHandler
    documents: Documents

    @classmethod
    def of(
        cls, service: Service, webhook: AlertWebhook, live: LiveStatus, documents: Documents
    ) -> "Handlers":
        """Those of a service, of its status page's feed, and those that give its documents."""
        door = OperatorDoor(service)
        return cls(
            endpoint=Endpoint(service),
            publishing=PublishingHandlers(service),
            rights=RightsHandlers(service, door),
            figures=FigureHandlers(service, door),
            probes=ProbeHandlers(service),
            explaining=ExplainingHandlers(service, door),
            subscriptions=SubscriptionHandlers(service, door),
            draining=Draining(service, door),
            alerts=AlertHandlers(service, door, webhook),
            audit=AuditHandlers(service, door),
            debugging=DebuggingHandlers(service, door),
            sign_in=SignInHandlers(service, door),
            series=SeriesHandler(door, live.series),
            admin=StatusEndpoint(service, door, live.viewers),
            traces=TraceHandlers(service, door),
            connections=ConnectionHandlers(service, door),
            demo=Demo(service),
            settings=SettingsHandler(service, door),
            documents=documents,
        )
