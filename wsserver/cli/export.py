"""``wsserver export``: what others need to watch this program, run it, stand in front of it or talk to it."""

from importlib.resources import files
from pathlib import Path
from typing import Final

import click
import msgspec

from wsserver.cli.failures import Failure

_WRITTEN: Final = "api_documents"
"""Where there is no file: the documents are written from the routes and the types that decode."""

# By what is asked for: the package and file that it is in, and the name that it gets.
_EXPORTS: Final = {
    "prometheus-rules": (("prometheus", "rules.yml", "wsserver.rules.yml"),),
    "grafana": (("prometheus", "dashboard.json", "wsserver.dashboard.json"),),
    "systemd": (("deployment", "wsserver.service", "wsserver.service"),),
    "docker": (
        ("deployment", "Dockerfile", "Dockerfile"),
        ("deployment", "dockerignore", ".dockerignore"),
    ),
    "nginx": (("deployment", "nginx.conf", "wsserver.nginx.conf"),),
    "haproxy": (("deployment", "haproxy.cfg", "wsserver.haproxy.cfg"),),
    "openapi": ((_WRITTEN, "openapi", "wsserver.openapi.json"),),
    "asyncapi": ((_WRITTEN, "asyncapi", "wsserver.asyncapi.json"),),
}


@click.command()
@click.argument("what", type=click.Choice(list(_EXPORTS)))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def export(what: str, directory: Path, force: bool) -> None:
    """Write files for others into a directory: to watch the server, run it, put a proxy in front, talk to it.

    Alert rules for Prometheus, a dashboard for Grafana, a unit for systemd, a Dockerfile, what nginx or
    HAProxy need, the HTTP interface in OpenAPI 3.1, the WebSocket in AsyncAPI 3.0. The directory is made
    if it is not there. Prints the name of each file.
    """
    targets = [(package, source, directory / name) for package, source, name in _EXPORTS[what]]
    if not force:
        # Before anything is written, so that of two files never only one is.
        for _, _, target in targets:
            if target.exists():
                raise _is_there(target)
    for package, source, target in targets:
        text = _document(source) if package == _WRITTEN else _example(package, source)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            # "x": whatever happens meanwhile, what is there is not written over.
            with target.open("w" if force else "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise _is_there(target) from None
        except OSError as error:
            raise Failure(f"cannot write {target}: {error.strerror}") from None
        click.echo(target)


def _example(package: str, source: str) -> str:
    return files(f"wsserver.{package}").joinpath(source).read_text("utf-8")


def _document(name: str) -> str:
    # Only now: for these the whole server is loaded.
    from wsserver.api_documents.asyncapi import asyncapi
    from wsserver.web.openapi import openapi
    from wsserver.web.routes import routes_of

    document = openapi(routes_of()) if name == "openapi" else asyncapi()
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _is_there(target: Path) -> Failure:
    return Failure(f"{target} is there already; --force overwrites it")
