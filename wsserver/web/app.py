"""The aiohttp application: routes, and the life of the service with them."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from wsserver.access.provider import AccessProvider
from wsserver.connection_manager import ConnectionManager
from wsserver.operators.one_time_key import OneTimeKey
from wsserver.service import Service
from wsserver.settings import Settings
from wsserver.status.live_status import LiveStatus
from wsserver.web.alert_webhook import AlertWebhook
from wsserver.web.handlers import Handlers
from wsserver.web.handlers.demo import with_visitors
from wsserver.web.handlers.documents import Documents
from wsserver.web.http_log import protect_http_log
from wsserver.web.key_fetch import KeyFetch
from wsserver.web.openapi import openapi
from wsserver.web.responses import Handler, errors_as_json
from wsserver.web.routes import routes_of

SERVICE: web.AppKey[Service] = web.AppKey("wsserver", Service)
"""Where an application keeps its service."""

LIVE: web.AppKey[LiveStatus] = web.AppKey("wsserver.live", LiveStatus)
"""Where it keeps what operators watch live."""


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
    if dev:
        service.sign_in.key = OneTimeKey(service.clock)
    webhook = AlertWebhook(lambda: service.settings.alerts)
    service.alerts.listeners.append(webhook.put)
    app[LIVE] = live = LiveStatus(service)
    routes = routes_of(dev=dev, demo=demo)
    handlers = Handlers.of(service, webhook, live, Documents(lambda: openapi(routes)))

    def counted(handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            answer = await handler(request)
            service.operations.note(answer.status)
            return answer

        return handle

    for route in routes:
        serve = errors_as_json(route.handler(handlers))
        if not route.is_probe:
            serve = counted(serve)
        for method in (route.method, "HEAD") if route.head else (route.method,):
            app.router.add_route(method, route.path, serve)

    async def life(app: web.Application) -> AsyncIterator[None]:
        await service.start()
        loop = asyncio.get_running_loop()
        webhook.start(loop)
        live.start(loop)
        yield
        await live.stop()
        await service.stop()
        await webhook.close()
        await fetch.close()

    app.cleanup_ctx.append(life)
    if demo:
        app.cleanup_ctx.append(handlers.demo.stream)
    return service
