"""The ``wsserver`` command.

Exit status: 0 clean stop, 1 failure, 2 usage or settings, 3 cannot start.
"""

import importlib

import click

from wsserver._version import __version__

_COMMANDS = {
    "run": ("run", "run"),
    "token": ("tokens", "token"),
    "check-token": ("tokens", "check_token"),
    "hash-password": ("hash_password", "hash_password"),
    "check-config": ("configuration", "check_config"),
    "show-config": ("configuration", "show_config"),
    "publish": ("publish", "publish"),
    "subscribe": ("subscribe", "subscribe"),
    "trace": ("trace", "trace"),
    "explain": ("explain", "explain"),
    "alerts": ("alerts", "alerts"),
    "connections": ("connections", "connections"),
    "disconnect": ("connections", "disconnect"),
    "top": ("top", "top"),
    "audit": ("audit", "audit"),
    "inspect": ("inspect", "inspect"),
    "profile": ("profile", "profile"),
    "doctor": ("doctor", "doctor"),
    "export": ("export", "export"),
    "version": ("version", "version"),
}


class _Commands(click.Group):
    """Imports a command when it is asked for: half of them have no use for an HTTP client."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"wsserver.cli.{module}"), name)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="wsserver", message="%(prog)s %(version)s")
def main() -> None:
    """Real-time WebSocket server for watching patients."""
