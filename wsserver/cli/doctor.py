"""``wsserver doctor``: whether this machine and these settings can do what is asked of them."""

import os
from pathlib import Path
from typing import Final

import click
from yarl import URL

from wsserver.cli.json_line import json_line
from wsserver.cli.loaded import config_option
from wsserver.cli.remote import server_url
from wsserver.doctor.finding import Finding
from wsserver.log import escape_controls

_MARKS: Final = {"ok": "ok     ", "warning": "WARNING", "fault": "FAULT  ", "skipped": "skipped"}


@click.command()
@config_option
@click.option("--dev", is_flag=True, help="Examine as for run --dev.")
@click.option("--url", callback=server_url, help="Look at the server that runs there as well.")
@click.option("--token", envvar="WSSERVER_TOKEN", show_envvar=True, help="For its alerts and self-tests.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON on one line.")
@click.pass_context
def doctor(
    context: click.Context, config: Path | None, dev: bool, url: URL | None, token: str | None, as_json: bool
) -> None:
    """Examine limits, ports, clock, settings, memory, store, TLS and the build; say what to do.

    Changes nothing. Ends with status 1 if there is a fault. Run it as the user of the server, in the
    environment of the server.
    """
    # Imported here: they load the compiled core, whose absence is one of the things to be told.
    from wsserver.doctor.examination import examine

    findings = list(examine(config, os.environ, dev=dev))
    if url is not None:
        from wsserver.cli.running_server import examine_server

        findings += examine_server(url, token)
    if as_json:
        click.echo(json_line(findings))
    else:
        for finding in findings:
            click.echo(_line(finding))
        click.echo(_summary(findings))
    if any(finding.level == "fault" for finding in findings):
        context.exit(1)


def _line(finding: Finding) -> str:
    remedy = "" if finding.remedy is None else f"\n         -> {escape_controls(finding.remedy)}"
    return f"{_MARKS[finding.level]}  {finding.check}: {escape_controls(finding.text)}{remedy}"


def _summary(findings: list[Finding]) -> str:
    counts = {level: sum(finding.level == level for finding in findings) for level in _MARKS}
    return ", ".join(
        f"{count} {level}{'s' if level in ('warning', 'fault') and count != 1 else ''}"
        for level, count in counts.items()
    )
