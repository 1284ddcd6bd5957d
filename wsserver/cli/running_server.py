"""What ``wsserver doctor`` asks of a server that runs: is it well, and do the clocks agree?"""

import asyncio
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp
import msgspec
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.remote import http_url
from wsserver.cli.rest_call import get
from wsserver.doctor.finding import Finding, fault, ok, skipped, warning
from wsserver.log import escape_controls
from wsserver.settings import AuthSettings

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_MAX_ANSWER: Final = 4096
GRAIN: Final = 1.0
"""Seconds: ``Date`` tells whole ones."""


def examine_server(url: URL, token: str | None, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Health, readiness and clock for everybody; alerts and self-tests with a token of an operator."""
    try:
        before = now()
        status, document, date = asyncio.run(_ask(http_url(url, "health")))
        between = (before + now()) / 2
        _, readiness, _ = asyncio.run(_ask(http_url(url, "ready")))
    except (aiohttp.ClientError, OSError, TimeoutError) as problem:
        text = escape_controls(str(problem)) or type(problem).__name__
        yield fault("server", f"{url.origin()} does not answer: {text}", "start it, or mend the way to it")
        return
    state = document.get("status")
    if state not in ("ok", "failing"):
        yield fault("server", f"who answers at {url.origin()} is no wsserver (HTTP {status})", "mend --url")
        return
    if state == "ok":
        yield ok("server", f"{url.origin()} is in time")
    else:
        yield fault(
            "server", f"{url.origin()} says {_told(document)}", "wsserver profile shows what holds its loop"
        )
    yield _readiness(readiness)
    yield _clock(date, between)
    yield from _operators_view(url, token)


async def _ask(url: URL) -> tuple[int, dict[str, Any], str | None]:
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        body = await response.content.read(_MAX_ANSWER)
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = None
        found = document if isinstance(document, dict) else {}
        return response.status, found, response.headers.get("Date")


def _told(document: dict[str, Any]) -> str:
    return escape_controls(f"{document.get('status')} ({document.get('reason', 'no reason')})")


def _readiness(document: dict[str, Any]) -> Finding:
    if document.get("status") == "ready":
        return ok("readiness", "new clients are welcome")
    return warning(
        "readiness", f"new clients are not welcome: {_told(document)}", "wsserver alerts says what is wrong"
    )


def _clock(date: str | None, between: float) -> Finding:
    try:
        # Cut to a whole second, so half of one later on the average.
        told = parsedate_to_datetime(date or "").timestamp() + GRAIN / 2
    except ValueError:
        return skipped("clock_difference", "the server does not say what time it is")
    apart = told - between
    if abs(apart) <= GRAIN:
        return ok("clock_difference", "its clock agrees with the one of this machine")
    text = f"its clock is {abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} the one of this machine"
    remedy = "run NTP on both"
    if abs(apart) > AuthSettings().leeway:
        return fault("clock_difference", f"{text}: tokens made here may not hold there", remedy)
    return warning("clock_difference", text, remedy)


def _operators_view(url: URL, token: str | None) -> Iterator[Finding]:
    if token is None:
        yield skipped("alerts", "without --token alerts and self-tests are not looked at")
        return
    try:
        active = get(http_url(url, "ws", "alerts"), token)["active"]
        orphaned = get(http_url(url, "ws", "inspect"), token)["subscription_health"]["orphaned"]
        told = [(one["level"] == "critical", f"{one['alert']} since {one['since']}") for one in active]
    except Failure as problem:
        yield warning("alerts", problem.message, "give a token with the scope admin:read")
        return
    except (KeyError, TypeError):
        yield fault("alerts", "the answers are not those of this version", "mend --url")
        return
    for is_critical, text in told:
        make = fault if is_critical else warning
        yield make("alerts", escape_controls(text), "wsserver alerts shows its value and thresholds")
    if not told:
        yield ok("alerts", "none is raised")
    if orphaned:
        yield fault(
            "self_test",
            f"{orphaned} subscriptions have outlived their connection",
            "wsserver inspect --repair, and report it",
        )
    else:
        yield ok("self_test", "no subscription has outlived its connection")
