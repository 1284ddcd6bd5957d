"""``wsserver hash-password``: what stands in the settings instead of an operator's password."""

import sys

import click

from wsserver.operators.password_hash import MAX_PASSWORD, MIN_PASSWORD, PasswordHash


@click.command("hash-password")
def hash_password() -> None:
    """Read a password and print its hash for operators.accounts.

    It is asked for twice at a terminal, and else is the first line of standard input. It is no
    argument: those are seen by every user of the machine and stay in the shell's history.
    """
    if _is_terminal():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline(MAX_PASSWORD + 2).rstrip("\r\n")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise click.UsageError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    click.echo(PasswordHash.of(password).text)


def _is_terminal() -> bool:
    return sys.stdin.isatty()
