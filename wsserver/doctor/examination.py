"""All that is examined on the machine where the server is to run."""

import http.client
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from wsserver.access.keys import KeyTable
from wsserver.access.verification_key import KeyFault
from wsserver.clock import SystemClock
from wsserver.doctor.audit import examine_audit
from wsserver.doctor.build import examine_build, examine_clock
from wsserver.doctor.files import examine_store, examine_tls, examine_user
from wsserver.doctor.finding import Finding, fault, ok, warning
from wsserver.doctor.machine import examine_machine, examine_port
from wsserver.doctor.memory_bound import examine_memory
from wsserver.settings import Settings, SettingsError, load_settings

ASK_SECONDS = 2.0


def examine(
    config: Path | None,
    environ: Mapping[str, str],
    *,
    dev: bool = False,
    answers: Callable[[str, int], bool] | None = None,
) -> Iterator[Finding]:
    """Everything that can be told from here. With settings that cannot be used, only what needs none."""
    yield from examine_build()
    yield examine_clock()
    yield examine_user(os.geteuid())
    try:
        loaded = load_settings(config, environ, dev=dev)
        _check_keys(loaded.settings)
    except (SettingsError, KeyFault) as problem:
        for text in getattr(problem, "faults", None) or [str(problem)]:
            yield fault("settings", text, "mend the settings; what depends on them is not looked at")
        return
    for text in loaded.warnings:
        yield warning("settings", text, "change it, unless it is meant")
    if not loaded.warnings:
        yield ok("settings", "no contradictions, nothing that surprises")
    settings = loaded.settings
    yield from examine_machine(settings)
    yield examine_port(settings, answers or (lambda host, port: answers_health(settings, host, port)))
    yield examine_memory(settings)
    yield from examine_store(settings)
    yield from examine_audit(settings)
    yield from examine_tls(settings)


def _check_keys(settings: Settings) -> None:
    KeyTable(settings.auth, SystemClock(), _no_fetch)


async def _no_fetch(url: str) -> bytes:
    raise OSError(f"{url} is not fetched")


def answers_health(settings: Settings, host: str, port: int) -> bool:
    """Whether whoever listens there answers ``/health`` as this server does."""
    # It is this machine's own, and all that is asked is whether it is one of us.
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    connection: http.client.HTTPConnection
    if settings.server.tls_certificate is None:
        connection = http.client.HTTPConnection(target, port, timeout=ASK_SECONDS)
    else:
        context = ssl._create_unverified_context()  # noqa: S323 -- nothing is told to it
        connection = http.client.HTTPSConnection(target, port, timeout=ASK_SECONDS, context=context)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status in (200, 503) and b'"status"' in answer.read(1024)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
