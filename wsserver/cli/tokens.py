"""``wsserver token`` and ``wsserver check-token``."""

import asyncio
import json
import os
import sys
from pathlib import Path

import click

from wsserver.access.claims import Claims
from wsserver.access.keys import KeyTable
from wsserver.access.refusal import AuthenticationFailed
from wsserver.access.rest_scopes import REST_SCOPES
from wsserver.access.tokens import MAX_TOKEN, TokenVerifier, mint_token
from wsserver.cli.failures import Failure
from wsserver.cli.loaded import config_option, load
from wsserver.clock import SystemClock, utc_text
from wsserver.settings import AuthSettings
from wsserver.settings.catalogue import did_you_mean, nearest
from wsserver.settings.units import parse_duration


def _whole_seconds(_context: click.Context, _option: click.Parameter, value: str) -> int:
    try:
        seconds = int(parse_duration(value))
    except ValueError as fault:
        raise click.BadParameter(f"must be {fault}") from None
    if seconds < 1:
        raise click.BadParameter("must be one second at least")
    return seconds


@click.command()
@config_option
@click.option("-u", "--user", required=True, help="User id (sub).")
@click.option("-r", "--role", required=True, help="Role, one of access.roles.")
@click.option(
    "--patient", "patients", multiple=True, help="Patient the user may see; repeat it, or * for all."
)
@click.option("--scope", "scopes", multiple=True, help="REST scope such as broadcast:patient; repeat it.")
@click.option("--ttl", callback=_whole_seconds, default="1h", show_default=True, help="Until it expires.")
@click.option("-q", "--quiet", is_flag=True, help="Print the token and nothing else.")
def token(
    config: Path | None,
    user: str,
    role: str,
    patients: tuple[str, ...],
    scopes: tuple[str, ...],
    ttl: int,
    quiet: bool,
) -> None:
    """Make a token, signed with auth.secret."""
    settings = load(config).settings
    if "HS256" not in settings.auth.algorithms:
        raise Failure("auth.algorithms has no HS256, so only the issuer of your tokens can make one.")
    if role not in settings.access.roles:
        guess = did_you_mean(nearest(role, settings.access.roles))
        raise click.BadParameter(f"is no role of access.roles{guess}", param_hint="--role")
    if "*" in patients and len(patients) > 1:
        raise click.BadParameter("* is every patient, so it must stand alone", param_hint="--patient")
    words = [word for scope in scopes for word in scope.split()]
    clock = SystemClock()
    try:
        text = mint_token(
            settings.auth,
            clock,
            user_id=user,
            role=role,
            lifetime=ttl,
            patients="*" if patients == ("*",) else patients or None,
            scopes=words,
        )
    except ValueError as fault:
        raise click.UsageError(f"{fault}.") from None
    # Not refused: a token may be meant for other services as well.
    for word in dict.fromkeys(words):
        if word not in REST_SCOPES:
            guess = did_you_mean(nearest(word, REST_SCOPES))
            click.echo(f"note: this server asks nobody for the scope {word}{guess}", err=True)
    if not quiet:
        click.echo(f"{role} {user}, expires {utc_text(clock.time() + ttl)}", err=True)
    click.echo(text)


@click.command("check-token")
@config_option
@click.argument("token", required=False)
def check_token(config: Path | None, token: str | None) -> None:
    """Check a token and print what it says.

    The token is the argument, WSSERVER_TOKEN or a line on standard input; the last two do
    not show in the list of processes.
    """
    text = token or os.environ.get("WSSERVER_TOKEN") or sys.stdin.readline(MAX_TOKEN + 2).strip()
    settings = load(config).settings
    try:
        claims = asyncio.run(_verify(settings.auth, text))
    except AuthenticationFailed as refusal:
        raise Failure(f"the token is refused: {refusal.reason.value}") from None
    click.echo(json.dumps(dict(claims.raw), indent=2))
    if claims.role not in settings.access.roles:
        raise Failure(f"the token is valid, and its role {claims.role} is none of access.roles")


async def _verify(auth: AuthSettings, text: str) -> Claims:
    # Imported here: minting a token needs no HTTP client.
    from wsserver.web.key_fetch import KeyFetch

    clock, fetch = SystemClock(), KeyFetch()
    keys = KeyTable(auth, clock, fetch)
    try:
        return await TokenVerifier(auth, keys, clock).verify(text)
    finally:
        await keys.close()
        await fetch.close()
