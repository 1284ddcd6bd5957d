"""Running the server by itself: sockets, signals, start and end."""

import asyncio
import logging
import os
import signal
import ssl
import sys
from collections.abc import Iterable
from typing import Final

import click
import uvloop
from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from wsserver.access.rest_scopes import REST_SCOPES
from wsserver.access.tokens import mint_token
from wsserver.access.verification_key import KeyFault
from wsserver.audit.audit_file import CannotOpenAudit
from wsserver.incidents import report_incident
from wsserver.log import set_format, set_level
from wsserver.loop.garbage import leave_the_living_alone
from wsserver.service import Service
from wsserver.settings import Loaded, ServerSettings, SettingsError
from wsserver.settings.descriptors import TooFewDescriptorsError, fit_descriptors
from wsserver.settings.startup import restart_needed
from wsserver.store.store import CannotOpenStore
from wsserver.web.app import setup
from wsserver.web.doorman import Doorman
from wsserver.web.handlers.demo import with_visitors
from wsserver.web.listener import Listener
from wsserver.web.responses import answer_in_json
from wsserver.web.routes.connecting import CONNECT_PATH
from wsserver.web.service_manager import ALIVE, READY, STOPPING, ServiceManager
from wsserver.web.short_way import ShortWay

logger = logging.getLogger("wsserver.server")

REQUEST_TIMEOUT: Final = 10.0
"""Seconds a client may take for the headers of its request; also how long an idle HTTP connection stays."""

HTTP_GRACE: Final = 2.0
"""Seconds at the end for HTTP requests under way. With the drain's 25 it stays under 30."""

DEV_TOKEN_SECONDS: Final = 86_400

CLOSED: Final = 0
FAILED: Final = 1
CANNOT_START: Final = 3


class CannotStartError(Exception):
    """The server did not come up; the text says why."""


class WebSocketServer:
    """One server in this process: started, then stopped, and askable in between."""

    def __init__(self) -> None:
        self._service: Service | None = None
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self.url: str | None = None
        """Where it listens, e.g. ``http://127.0.0.1:8000``; None when it does not."""

    def is_running(self) -> bool:
        """Whether it has started and not been stopped; it may be draining."""
        return self._service is not None and self._service.running

    @property
    def service(self) -> Service | None:
        """The running service, or None."""
        return self._service

    async def start(self, loaded: Loaded, *, dev: bool = False, demo: bool = False) -> None:
        """Listen as the settings say. Raises CannotStartError and leaves nothing behind then."""
        if HttpRequestParser is HttpRequestParserPy:
            raise CannotStartError(
                "aiohttp runs without its compiled HTTP parser, which is the lenient one: "
                "unset AIOHTTP_NO_EXTENSIONS or install aiohttp's wheel"
            )
        settings = loaded.settings
        doorman = Doorman()
        app = web.Application(middlewares=[doorman.attend, answer_in_json])
        try:
            service = setup(app, settings, dev=dev, demo=demo)
            context = _tls_context(settings.server)
        except (KeyFault, OSError, ValueError) as fault:
            raise CannotStartError(str(fault)) from None
        runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=REQUEST_TIMEOUT,
            handle_signals=False,
            # Accepted sockets have it from those that listen; for each by itself it takes 4 µs.
            tcp_keepalive=False,
            shutdown_timeout=HTTP_GRACE,
            lingering_time=1.0,
            # A body that does not unpack would be an exception in aiohttp, also where nobody reads it.
            auto_decompress=False,
        )
        try:
            await runner.setup()
            room = service.overload.signals.descriptors
            doorman.open(runner.server, room)
            if runner.server is not None:
                runner.server.request_handler = ShortWay(
                    app, CONNECT_PATH, doorman.attend, runner.server.request_handler
                )
            service.housekeeping.every(1.0, doorman.sweep)
            listener = Listener(doorman, room, context)
            port = await listener.open(settings.server.host, settings.server.port)
        except (CannotOpenAudit, CannotOpenStore) as fault:
            await runner.cleanup()
            raise CannotStartError(str(fault)) from None
        except OSError as fault:
            await runner.cleanup()
            address = f"{settings.server.host}:{settings.server.port}"
            raise CannotStartError(f"cannot listen on {address}: {os.strerror(fault.errno or 0)}") from None
        except BaseException:
            await runner.cleanup()
            raise
        self._service, self._runner, self._listener = service, runner, listener
        host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
        self.url = f"{'https' if context else 'http'}://{host}:{port}"

    async def drain(self) -> None:
        """Send every client away in its own time."""
        if self._service is not None:
            await self._service.drain()

    async def stop(self) -> None:
        """End everything now."""
        service, self._service = self._service, None
        runner, self._runner = self._runner, None
        listener, self._listener = self._listener, None
        self.url = None
        if service is not None:
            await service.stop()
        if listener is not None:
            await listener.close()
        if runner is not None:
            await runner.cleanup()


websocket_server: Final = WebSocketServer()


def serve(loaded: Loaded, *, dev: bool = False, demo: bool = False) -> int:
    """Run until told to stop; returns the exit status (0 clean, 1 failure, 3 cannot start).

    TERM and INT drain, the second one ends at once; HUP reads the settings again and takes over
    what needs no restart, or keeps the old ones if they have faults.
    """
    try:
        return uvloop.run(_serve(loaded, dev=dev, demo=demo))
    except KeyboardInterrupt:
        return CLOSED


async def _serve(loaded: Loaded, *, dev: bool, demo: bool) -> int:
    server, manager = websocket_server, ServiceManager()
    stopping, stop_now, hung_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (stop_now if stopping.is_set() else stopping).set()

    # Before anybody is told that it listens: until then HUP would end the process.
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    try:
        await server.start(loaded, dev=dev, demo=demo)
    except CannotStartError as fault:
        logger.critical("cannot start: %s", fault)
        return CANNOT_START
    for line in _greeting(loaded, server, dev=dev, demo=demo):
        click.echo(line)
    sys.stdout.flush()
    logger.info("listening on %s", server.url)
    if manager.beat is not None and server.service is not None:
        # By the housekeeping: a loop that stands still is what the watchdog is to notice.
        server.service.housekeeping.every(manager.beat, lambda: manager.tell(ALIVE))
    manager.tell(READY)
    leave_the_living_alone(None if server.service is None else server.service.housekeeping)
    reloading = asyncio.ensure_future(_reload_on(hung_up, server, manager, loaded, dev=dev, demo=demo))
    await stopping.wait()
    manager.tell(STOPPING)
    reloading.cancel()
    draining = asyncio.ensure_future(_drain(server))
    impatience = asyncio.ensure_future(stop_now.wait())
    await asyncio.wait({draining, impatience}, return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, impatience):
        task.cancel()
    await asyncio.wait({draining, impatience})
    failed = not draining.cancelled() and not draining.result()
    await server.stop()
    logger.info("stopped")
    return FAILED if failed else CLOSED


async def _drain(server: WebSocketServer) -> bool:
    """Drain, and say whether that went well."""
    try:
        await server.drain()
    except Exception:
        report_incident("draining")
        return False
    return True


async def _reload_on(
    hung_up: asyncio.Event,
    server: WebSocketServer,
    manager: ServiceManager,
    loaded: Loaded,
    *,
    dev: bool,
    demo: bool,
) -> None:
    """Read the settings again whenever the event is set; one after the other."""
    while True:
        await hung_up.wait()
        hung_up.clear()
        manager.tell_reloading()
        await _reload(server, loaded, dev=dev, demo=demo)
        manager.tell(READY)


async def _reload(server: WebSocketServer, loaded: Loaded, *, dev: bool, demo: bool) -> None:
    service = server.service
    if service is None:
        return
    try:
        fresh = fit_descriptors(loaded.reload(os.environ), dev=dev)
        await service.reconfigure(with_visitors(fresh.settings) if demo else fresh.settings)
    except (SettingsError, OSError, TooFewDescriptorsError, KeyFault) as fault:
        faults = fault.faults if isinstance(fault, SettingsError) else [str(fault)]
        logger.warning("settings are not reloaded, the old ones stay: %s", "; ".join(faults))
        return
    except Exception:
        # The next HUP must still be heard.
        report_incident("reloading the settings")
        return
    set_level(fresh.settings.logging.level)
    set_format(fresh.settings.logging.format)
    logger.info("settings are reloaded")
    for key in restart_needed(loaded.settings, fresh.settings):
        logger.warning("%s has changed and needs a restart: the old value stays in use", key)


def _tls_context(server: ServerSettings) -> ssl.SSLContext | None:
    if server.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(server.tls_certificate, server.tls_key)
    return context


def _greeting(loaded: Loaded, server: WebSocketServer, *, dev: bool, demo: bool) -> Iterable[str]:
    """What a person at the terminal needs in order to see something move."""
    yield f"listening on {server.url}"
    if demo:
        yield f"open this    {server.url}/demo"
    auth, service = loaded.settings.auth, server.service
    if dev and service is not None and service.sign_in.key is not None:
        # Behind "#": browsers send it to nobody, so it stands in no log.
        yield f"status page  {server.url}/ws/status#key={service.sign_in.key.text}"
    if not dev or auth.secret is None or service is None:
        return
    token = mint_token(
        auth,
        service.clock,
        user_id="dev",
        role="doctor",
        patients="*",
        scopes=REST_SCOPES,
        lifetime=min(DEV_TOKEN_SECONDS, int(auth.max_token_lifetime or DEV_TOKEN_SECONDS)),
    )
    socket_url = str(server.url).replace("http", "ws", 1)
    yield f"TOKEN={token}"
    yield "in the console of a browser, on any page of this server:"
    yield f"  ws = new WebSocket('{socket_url}/ws/connect', ['wsserver.v1.json', 'wsserver.bearer.TOKEN'])"
    yield "  ws.onmessage = event => console.log(event.data)"
    yield """  ws.onopen = () => ws.send('{"type":"subscribe","topic":"patient:123"}')"""
    yield "and in a shell:"
    yield """  curl -H "Authorization: Bearer $TOKEN" -d '{"type":"vitals","heart_rate":61}' \\"""
    yield f"    {server.url}/ws/broadcast/patient/123"
