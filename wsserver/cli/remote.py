"""What commands about a running server share: where it is and who is asking."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from yarl import URL

from wsserver.settings.network import is_loopback

_Command = TypeVar("_Command", bound=Callable[..., Any])


def remote_options(command: _Command) -> _Command:
    """The options ``--url`` and ``--token``."""
    url = click.option(
        "--url",
        callback=_required_url,
        envvar="WSSERVER_URL",
        show_envvar=True,
        default="http://127.0.0.1:8000",
        show_default=True,
        help="Where the server is.",
    )
    token = click.option(
        "--token",
        envvar="WSSERVER_TOKEN",
        show_envvar=True,
        required=True,
        help="Token; the variable does not show in the list of processes.",
    )
    return url(token(command))


def server_url(context: click.Context, option: click.Parameter, value: str | None) -> URL | None:
    """Read the address of a server; for an option that need not be given."""
    return None if value is None else _required_url(context, option, value)


def _required_url(_context: click.Context, _option: click.Parameter, value: str) -> URL:
    try:
        url = URL(value)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https", "ws", "wss") or not url.host:
        raise click.BadParameter("must be an address such as http://127.0.0.1:8000")
    if url.scheme in ("http", "ws") and not is_loopback(url.host):
        click.echo("Warning: the token and the messages cross the network in clear.", err=True)
    return url


def http_url(url: URL, *path: str) -> URL:
    """The address of a REST route below the server's address."""
    scheme = {"ws": "http", "wss": "https"}.get(url.scheme, url.scheme)
    return url.with_scheme(scheme).with_query(None).joinpath(*path)


def websocket_url(url: URL) -> URL:
    """The address to connect a WebSocket to."""
    scheme = {"http": "ws", "https": "wss"}.get(url.scheme, url.scheme)
    url = url.with_scheme(scheme)
    return url if url.path.endswith("/ws/connect") else url.joinpath("ws", "connect")
