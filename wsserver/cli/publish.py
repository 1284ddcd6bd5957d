"""``wsserver publish``: one message over REST."""

import re
import sys

import click
from yarl import URL

from wsserver.cli.json_line import json_line
from wsserver.cli.remote import http_url, remote_options
from wsserver.cli.rest_call import json_object, post
from wsserver.ids import InvalidId, canonical_id

_MAX_BODY = 1024 * 1024 * 1024
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def _route(_context: click.Context, _argument: click.Parameter, value: str) -> tuple[str, ...]:
    kind, separator, name = value.partition(":")
    if kind == "all" and not separator:
        return ("all",)
    if kind not in ("patient", "type") or not separator:
        raise click.BadParameter("must be patient:ID, type:NAME or all")
    try:
        return kind, canonical_id(name, kind)
    except InvalidId as fault:
        raise click.BadParameter(str(fault)) from None


@click.command()
@remote_options
@click.argument("target", callback=_route)
@click.argument("message", required=False)
@click.option("--key", help="Idempotency-Key: sent again with the same key it is published once.")
def publish(url: URL, token: str, target: tuple[str, ...], message: str | None, key: str | None) -> None:
    """Publish MESSAGE, a JSON object, to TARGET and print the delivery report.

    TARGET is patient:ID, type:NAME or all. Without MESSAGE it is read from standard input.
    """
    if key is not None and _KEY.fullmatch(key) is None:
        raise click.BadParameter("must be 1 to 255 visible ASCII characters", param_hint="--key")
    if message is None or message == "-":
        body = sys.stdin.buffer.read(_MAX_BODY)
    else:
        body = message.encode(errors="surrogatepass")
    report = post(
        http_url(url, "ws", "broadcast", *target),
        token,
        json_object(body, "MESSAGE"),
        unsure="the message may have been published",
        key=key,
    )
    click.echo(json_line(report))
