"""``wsserver audit``: whether an audit log is whole, and what is in it."""

from pathlib import Path
from typing import Any

import click
import msgspec

from wsserver.audit.chain import GENESIS
from wsserver.audit.reading import BrokenLine, records
from wsserver.audit.record import AuditRecord
from wsserver.audit.verification import AnchorMissing, is_hash
from wsserver.audit.verification import verify as verify_files
from wsserver.audit.wanted import Wanted, parse_time
from wsserver.audit.watches import Watch, Watches
from wsserver.cli.failures import Failure
from wsserver.cli.json_line import json_line
from wsserver.ids import InvalidId, canonical_id
from wsserver.log import escape_controls

_FILES = click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
)


@click.group()
def audit() -> None:
    """Verify an audit log, or look into it.

    It needs no running server. Give all files of a log, in any order.
    """


def _hash(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_hash(value):
        raise click.BadParameter("must be 64 hexadecimal digits in lower case")
    return value


def _time(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else parse_time(value)
    except ValueError:
        raise click.BadParameter("must be a time such as 2026-11-25T21:40:00Z") from None


def _id(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else canonical_id(value)
    except InvalidId as error:
        raise click.BadParameter(str(error)) from None


@audit.command()
@_FILES
@click.option("--anchor", callback=_hash, help="A hash that was noted elsewhere: it must be in the chain.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on one line.")
@click.pass_context
def verify(context: click.Context, files: tuple[Path, ...], anchor: str | None, as_json: bool) -> None:
    """Say whether a log was changed.

    Ends with status 1 when it was, and names the first line that does not fit. What was cut off at the
    end, and a log that was written anew from some line on, show only with --anchor.
    """
    try:
        found = verify_files(files, anchor)
    except BrokenLine as fault:
        if not as_json:
            raise Failure(escape_controls(str(fault))) from None
        facts = {"whole": False, "file": str(fault.path), "line": fault.number, "why": fault.why}
        click.echo(json_line(facts))
        context.exit(1)
    except AnchorMissing:
        why = "no line has the hash of --anchor: the log was changed before it, or ends before it"
        if not as_json:
            raise Failure(why) from None
        click.echo(json_line({"whole": False, "file": None, "line": None, "why": why}))
        context.exit(1)
    except OSError as fault:
        raise Failure(f"cannot read {fault.filename}: {fault.strerror}") from None
    if as_json:
        facts = {
            "whole": True,
            "log": found.log,
            "files": found.files,
            "records": found.records,
            "first": found.first,
            "last": found.last,
            "hash": found.digest,
            "from_the_beginning": found.follows == GENESIS,
            "anchored_at": found.anchored_at,
        }
        click.echo(json_line(facts))
        return
    click.echo(
        escape_controls(f"{found.log}: {found.records} records, {found.first} to {found.last}, fit together")
    )
    if found.follows != GENESIS:
        click.echo(
            f"what was before record {found.first} is not in these files: it should end with {found.follows}"
        )
    if found.anchored_at is not None:
        click.echo(f"up to record {found.anchored_at} nothing was changed since the anchor was noted")
    click.echo(f"hash {found.digest}")


@audit.command()
@_FILES
@click.option(
    "--patient", callback=_id, help="Who watched this patient; with --action the records about them."
)
@click.option("--user", callback=_id, help="Only this user or operator.")
@click.option("--from", "since", metavar="TIME", callback=_time, help="From this time on, which counts.")
@click.option("--to", "until", metavar="TIME", callback=_time, help="Up to this time, which counts.")
@click.option("--action", help="Only records of this action, such as subscribe or reveal.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on one line.")
@click.pass_context
def query(
    context: click.Context,
    files: tuple[Path, ...],
    patient: str | None,
    user: str | None,
    since: str | None,
    until: str | None,
    action: str | None,
    as_json: bool,
) -> None:
    """Say who watched a patient and when, or list records.

    Times are UTC unless they have an offset. Ends with status 1 if a line could not be believed.
    """
    broken: list[BrokenLine] = []
    try:
        found = records(files, broken.append)
        if patient is not None and action is None:
            _show_watches(Watches(patient), found, user, since, until, as_json)
        else:
            _show_records(found, Wanted(patient, user, action, since, until), as_json)
    except BrokenLine as fault:
        raise Failure(escape_controls(str(fault))) from None
    except OSError as fault:
        raise Failure(f"cannot read {fault.filename}: {fault.strerror}") from None
    for one in broken[:10]:
        click.echo(escape_controls(f"left out: {one}"), err=True)
    if len(broken) > 10:
        click.echo(f"and {len(broken) - 10} lines more", err=True)
    if broken:
        context.exit(1)


def _show_watches(
    watches: Watches, found: Any, user: str | None, since: str | None, until: str | None, as_json: bool
) -> None:
    watches.read(found)
    wanted = Wanted(user_id=user, since=since, until=until)
    seen = [one for one in watches.between(since, until) if user in (None, one.user_id)]
    refused = [one for one in watches.refused if wanted.takes(one)]
    if as_json:
        click.echo(
            json_line(
                {"watches": [one.as_dict() for one in seen], "refused": [one.as_dict() for one in refused]}
            )
        )
        return
    lines = [_watch_text(one) for one in seen]
    lines += [
        f"{one.at} refused: {one.actor} ({one.role}): {one.action} lacks {one.right}" for one in refused
    ]
    click.echo("\n".join(escape_controls(line) for line in lines) or "nobody")


def _watch_text(one: Watch) -> str:
    until = "and still does" if one.until is None else f"to {one.until} ({one.ended_by})"
    how = f"could see by {one.topic}" if one.could_see else "watched"
    if not one.is_certain:
        how = f"perhaps {how}"
    more = "" if one.reason is None else f": {one.reason}"
    if one.replayed:
        more += f", {one.replayed} messages replayed"
    who = f"{one.user_id} ({one.role}) {how}"
    return f"{who} from {one.since} {until}, {one.connection_id}, by {one.right}{more}"


def _show_records(found: Any, wanted: Wanted, as_json: bool) -> None:
    chosen = (one for one in found if wanted.takes(one))
    if as_json:
        click.echo(json_line({"records": [one.as_dict() for one in chosen]}))
        return
    is_empty = True
    for one in chosen:
        is_empty = False
        click.echo(escape_controls(_record_text(one)))
    if is_empty:
        click.echo("no records")


def _record_text(one: AuditRecord) -> str:
    place = one.patient_id if one.patient_id is not None else one.topic
    facts = [one.at, one.action, one.actor, one.role, place, one.connection_id, one.right]
    text = " ".join(fact for fact in facts if fact is not None)
    if one.outcome == "refused":
        text += f" refused{'' if one.code is None else f' with {one.code}'}"
    if one.details is not None:
        text += f" {msgspec.json.encode(one.details).decode()}"
    return text
