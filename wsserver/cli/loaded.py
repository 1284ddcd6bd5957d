"""Settings for a command: which file, and what to say when they cannot be used."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from wsserver.access.keys import KeyTable
from wsserver.access.verification_key import KeyFault
from wsserver.cli.failures import SettingsFault
from wsserver.clock import SystemClock
from wsserver.settings import AuthSettings, Loaded, SettingsError, load_settings

_Command = TypeVar("_Command", bound=Callable[..., Any])


def config_option(command: _Command) -> _Command:
    """The option that names the settings file."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="WSSERVER_CONFIG",
        show_envvar=True,
        help="Settings file (TOML).",
    )(command)


def load(config: Path | None, overrides: Mapping[str, object] | None = None, *, dev: bool = False) -> Loaded:
    """The settings, their keys included in the check. Raises SettingsFault."""
    try:
        loaded = load_settings(config, os.environ, overrides, dev=dev)
    except SettingsError as error:
        raise SettingsFault(error.faults) from None
    _check_keys(loaded.settings.auth)
    return loaded


def _check_keys(auth: AuthSettings) -> None:
    try:
        KeyTable(auth, SystemClock(), _no_fetch)
    except KeyFault as fault:
        raise SettingsFault([str(fault)]) from None


async def _no_fetch(url: str) -> bytes:
    raise OSError(f"{url} is not fetched while settings are checked")
