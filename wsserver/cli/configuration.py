"""``wsserver check-config`` and ``wsserver show-config``."""

from pathlib import Path

import click

from wsserver.cli.failures import SettingsFault
from wsserver.cli.loaded import config_option, load
from wsserver.settings import Described, describe, describe_as_environment, describe_as_toml
from wsserver.settings.store_url import store_path
from wsserver.store.store_place import find_place_fault


@click.command("check-config")
@config_option
@click.option("--dev", is_flag=True, help="Check as for run --dev.")
@click.option("--strict", is_flag=True, help="Take warnings for faults.")
@click.pass_context
def check_config(context: click.Context, config: Path | None, dev: bool, strict: bool) -> None:
    """Check the settings, list every fault at once. Then whether the store could be where they put it."""
    loaded = load(config, dev=dev)
    _check_store(loaded.settings.store.url)
    for warning in loaded.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if strict and loaded.warnings:
        context.exit(2)
    click.echo("The settings are good.")


def _check_store(url: str) -> None:
    path = store_path(url)
    fault = None if path is None else find_place_fault(path)
    if fault is not None:
        raise SettingsFault([f"store.url: {fault}"])


@click.command("show-config")
@config_option
@click.option("--dev", is_flag=True, help="Show as for run --dev.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "toml", "env"]),
    default="table",
    show_default=True,
    help="A table with origins, or what a settings file or a shell takes back.",
)
def show_config(config: Path | None, dev: bool, form: str) -> None:
    """Show every setting and where its value comes from. Secrets are masked."""
    loaded = load(config, dev=dev)
    if form == "toml":
        click.echo(describe_as_toml(loaded), nl=False)
    elif form == "env":
        click.echo(describe_as_environment(loaded), nl=False)
    else:
        click.echo(_table(describe(loaded)), nl=False)


def _table(rows: list[Described]) -> str:
    # The value stands last: it is the one that may be long.
    name_width = max(len(row.key) for row in rows)
    origin_width = max(len(row.origin) for row in rows)
    return "".join(f"{row.key:<{name_width}}  {row.origin:<{origin_width}}  {row.value}\n" for row in rows)
