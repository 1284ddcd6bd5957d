"""``wsserver run``."""

import logging
from pathlib import Path

import click

from wsserver.cli.failures import CannotStart
from wsserver.cli.loaded import config_option, load
from wsserver.log import logging_to
from wsserver.settings.descriptors import TooFewDescriptorsError, fit_descriptors
from wsserver.settings.network import is_loopback

logger = logging.getLogger(__name__)


@click.command()
@config_option
@click.option("--host", help="Address to listen on.  [server.host]")
@click.option("-p", "--port", help="Port to listen on, 0 for any free one.  [server.port]")
@click.option(
    "--dev", is_flag=True, help="For development: this machine only, a random secret unless one is set."
)
@click.option("--demo", is_flag=True, help="Add simulated patients from a real recording, shown at /demo.")
@click.option(
    "--max-message-size", metavar="SIZE", help="Largest inbound message.  [inbound.max_message_size]"
)
@click.option("--log-level", metavar="LEVEL", help="Least level that is logged.  [logging.level]")
@click.option("--log-format", metavar="FORMAT", help="auto, text or json.  [logging.format]")
@click.pass_context
def run(
    context: click.Context,
    config: Path | None,
    host: str | None,
    port: str | None,
    dev: bool,
    demo: bool,
    max_message_size: str | None,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Run the server until it is told to stop.

    INT and TERM send clients away in their own time and end; the second one ends at once.
    """
    given = {
        "server.host": host,
        "server.port": port,
        "inbound.max_message_size": max_message_size,
        "logging.level": log_level,
        "logging.format": log_format,
    }
    loaded = load(config, {key: value for key, value in given.items() if value is not None}, dev=dev)
    if dev and not is_loopback(loaded.settings.server.host):
        raise click.UsageError(
            f"--dev is for this machine only, and {loaded.settings.server.host} is reached from others: "
            "use 127.0.0.1, ::1 or localhost."
        )
    with logging_to(loaded.settings.logging):
        known = len(loaded.warnings)
        try:
            loaded = fit_descriptors(loaded, dev=dev)
        except TooFewDescriptorsError as error:
            raise CannotStart(str(error)) from None
        # Of the defaults a newcomer is not warned: what counts there is what this machine changed.
        for warning in loaded.warnings[known if dev else 0 :]:
            logger.warning(warning)
        try:
            # Imported here: no other command needs the compiled core and the event loop.
            from wsserver.web.server import serve
        except ImportError as error:
            raise CannotStart(f"a part of the server cannot be loaded: {error}") from None
        status = serve(loaded, dev=dev, demo=demo)
    context.exit(status)
