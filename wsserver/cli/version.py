"""``wsserver version``."""

import platform
from importlib import metadata

import click

from wsserver._version import __version__


@click.command()
def version() -> None:
    """Show the versions of the server and of what it stands on."""
    click.echo(f"wsserver {__version__}")
    click.echo(f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}")
    for name in ("aiohttp", "uvloop", "msgspec", "PyJWT", "cryptography"):
        click.echo(f"{name} {metadata.version(name)}")
