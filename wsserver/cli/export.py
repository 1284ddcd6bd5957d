"""``wsserver export``: what other programs need to watch this one."""

from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from wsserver.cli.failures import Failure

_EXPORTS: Final = {
    "prometheus-rules": ("rules.yml", "wsserver.rules.yml"),
    "grafana": ("dashboard.json", "wsserver.dashboard.json"),
}


@click.command()
@click.argument("what", type=click.Choice(list(_EXPORTS)))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def export(what: str, directory: Path, force: bool) -> None:
    """Write example alert rules for Prometheus or a dashboard for Grafana into a directory.

    The directory is made if it is not there. Prints the name of the file.
    """
    source, name = _EXPORTS[what]
    text, target = files("wsserver.prometheus").joinpath(source).read_text("utf-8"), directory / name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # "x": whatever happens meanwhile, what is there is not written over.
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Failure(f"{target} is there already; --force overwrites it") from None
    except OSError as error:
        raise Failure(f"cannot write {target}: {error.strerror}") from None
    click.echo(target)
