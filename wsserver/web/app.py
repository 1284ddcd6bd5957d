"""The aiohttp application: routes, and the life of the service with them."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from wsserver.access.provider import AccessProvider
from wsserver.connection_manager import ConnectionManager
from wsserver.service import Service
from wsserver.settings import Settings
from wsserver.web.alert_routes import AlertRoutes
from wsserver.web.alert_webhook import AlertWebhook
from wsserver.web.client_routes import serve_client
from wsserver.web.demo_routes import Demo, page_routes, with_visitors
from wsserver.web.draining import Draining
from wsserver.web.endpoint import Endpoint
from wsserver.web.http_log import protect_http_log
from wsserver.web.inspection import Inspection
from wsserver.web.key_fetch import KeyFetch
from wsserver.web.prometheus import PrometheusRoute
from wsserver.web.responses import Handler, errors_as_json
from wsserver.web.rest import Rest

SERVICE: web.AppKey[Service] = web.AppKey("wsserver", Service)
"""Where an application keeps its service."""


def setup(
    app: web.Application,
    settings: Settings | None = None,
    *,
    manager: ConnectionManager | None = None,
    provider: AccessProvider | None = None,
    dev: bool = False,
    demo: bool = False,
) -> Service:
    """Add the WebSocket server to an aiohttp application and return its service.

    The server starts and stops with the application. ``manager`` defaults to
    ``wsserver.connection_manager.connection_manager``; ``provider`` decides who may see which
    patient instead of the tokens. ``dev`` adds ``/ws/echo``, ``demo`` the demonstration.

    Raises KeyFault or OSError for keys that cannot be used, ValueError for origins or
    networks that are none.
    """
    settings = settings or Settings()
    if demo:
        settings = with_visitors(settings)
    protect_http_log()
    fetch = KeyFetch()
    service = Service(settings, manager=manager, provider=provider, fetch=fetch)
    app[SERVICE] = service
    endpoint, rest, inspection = Endpoint(service), Rest(service), Inspection(service)
    draining = Draining(service)
    webhook = AlertWebhook(lambda: service.settings.alerts)
    service.alerts.listeners.append(webhook.put)
    alert_routes = AlertRoutes(service, webhook)

    def add(method: str, path: str, handler: Handler) -> None:
        app.router.add_route(method, path, counted(errors_as_json(handler)))

    def counted(handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            answer = await handler(request)
            service.operations.note(answer.status)
            return answer

        return handle

    def add_probe(path: str, handler: Handler) -> None:
        # Asked every few seconds by machines: neither work nor, when they say no, failed work.
        # And HEAD with it, which some of them prefer.
        app.router.add_get(path, errors_as_json(handler))

    def add_file(path: str, handler: Handler) -> None:
        # HEAD as well, like every server of files.
        app.router.add_get(path, counted(errors_as_json(handler)))

    # Every method: the handshake itself answers a wrong one, before anything else is looked at.
    add("*", "/ws/connect", endpoint.connect)
    add("POST", "/ws/broadcast/patient/{patient_id}", rest.broadcast_to_patient)
    add("POST", "/ws/broadcast/type/{subscription_type}", rest.broadcast_to_type)
    add("POST", "/ws/broadcast/all", rest.broadcast_to_all)
    add("POST", "/ws/revoke", rest.revoke)
    add("POST", "/ws/drain", draining.start)
    add("GET", "/ws/drain", draining.progress)
    add("DELETE", "/ws/drain", draining.cancel)
    add("GET", "/ws/metrics", rest.metrics)
    add("GET", "/metrics", PrometheusRoute(service).metrics)
    add("GET", "/ws/health", rest.health_figures)
    add("POST", "/ws/trace", inspection.trace)
    add("GET", "/ws/explain/{message_id}", inspection.explain)
    add("GET", "/ws/subscriptions", inspection.subscriptions)
    add("GET", "/ws/events", inspection.events)
    add("GET", "/ws/alerts", alert_routes.alerts)
    add("POST", "/ws/emergency", alert_routes.emergency)
    # Whatever stands behind: what there is not gets its coded answer in every application.
    add_file("/ws/client/{name:.*}", serve_client)
    add_probe("/health", rest.health)
    add_probe("/ready", rest.ready)
    if dev:
        add("*", "/ws/echo", endpoint.echo)

    async def life(app: web.Application) -> AsyncIterator[None]:
        await service.start()
        webhook.start(asyncio.get_running_loop())
        yield
        await service.stop()
        await webhook.close()
        await fetch.close()

    app.cleanup_ctx.append(life)
    if demo:
        page = Demo(service)
        add("GET", "/demo/config.json", page.config)
        for path, handler in page_routes().items():
            add("GET", path, handler)
        app.cleanup_ctx.append(page.stream)
    return service
