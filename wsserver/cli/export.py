"""``wsserver export``: what other programs need to watch this one, to run it, or to stand in front of it."""

from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from wsserver.cli.failures import Failure

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
}


@click.command()
@click.argument("what", type=click.Choice(list(_EXPORTS)))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def export(what: str, directory: Path, force: bool) -> None:
    """Write examples into a directory: to watch the server, to run it, to put a proxy in front.

    Alert rules for Prometheus, a dashboard for Grafana, a unit for systemd, a Dockerfile, and what nginx or
    HAProxy need. The directory is made if it is not there. Prints the name of each file.
    """
    targets = [(package, source, directory / name) for package, source, name in _EXPORTS[what]]
    if not force:
        # Before anything is written, so that of two files never only one is.
        for _, _, target in targets:
            if target.exists():
                raise _is_there(target)
    for package, source, target in targets:
        text = files(f"wsserver.{package}").joinpath(source).read_text("utf-8")
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


def _is_there(target: Path) -> Failure:
    return Failure(f"{target} is there already; --force overwrites it")
