"""What routes ask of a query: parameters by name, each once and within its bounds."""

import re
from collections.abc import Collection
from typing import Final

from aiohttp import web

from wsserver.errors import INVALID_MESSAGE, ServerError
from wsserver.ids import InvalidId, canonical_id

MAX_LIMIT: Final = 1000
DEFAULT_LIMIT: Final = 100


def check_query(request: web.Request, *names: str) -> None:
    """Raise ServerError 1003 for query parameters other than these, and for one that is given twice.

    Whoever misspells one would take the answer to another question for the answer to theirs.
    """
    for name in request.query:
        if name not in names:
            known = f"known are {', '.join(names)}" if names else "there are none"
            raise ServerError(INVALID_MESSAGE, f"An unknown query parameter; {known}.")
        if len(request.query.getall(name)) > 1:
            raise ServerError(INVALID_MESSAGE, f"{name} must be given once.")


def page_limit(request: web.Request) -> int:
    """The query parameter ``limit``; raises ServerError 1003 for what is no number from 1 to 1000."""
    return asked_number(request, "limit", least=1, most=MAX_LIMIT, default=DEFAULT_LIMIT)


def asked_number(request: web.Request, name: str, *, least: int = 0, most: int, default: int = 0) -> int:
    """A whole number, ``default`` where it is not given; raises ServerError 1003 for any other."""
    given = request.query.get(name)
    if given is None:
        return default
    # The length first: thousands of digits are more than int() takes.
    if not re.fullmatch("[0-9]{1,16}", given) or not least <= int(given) <= most:
        raise ServerError(INVALID_MESSAGE, f"{name} must be a whole number from {least} to {most}.")
    return int(given)


def asked_id(request: web.Request, name: str) -> str | None:
    """An id, None where it is not given; raises ServerError 1003 for what is none."""
    given = request.query.get(name)
    try:
        return None if given is None else canonical_id(given, name)
    except InvalidId as error:
        raise ServerError(INVALID_MESSAGE, str(error)) from None


def asked_choice(request: web.Request, name: str, choices: Collection[str]) -> str | None:
    """One of some words, None where it is not given; raises ServerError 1003 for any other."""
    given = request.query.get(name)
    if given is not None and given not in choices:
        raise ServerError(INVALID_MESSAGE, f"{name} must be one of {', '.join(choices)}.")
    return given


def asked_flag(request: web.Request, name: str) -> bool:
    """``true`` or ``false``, the latter where it is not given; raises ServerError 1003 for anything else."""
    return asked_choice(request, name, ("true", "false")) == "true"
