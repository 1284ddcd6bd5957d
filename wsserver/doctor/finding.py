"""What an examination found: one line each, with what to do."""

from typing import Literal

import msgspec

Level = Literal["ok", "warning", "fault", "skipped"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check and how it went."""

    check: str
    """Its name, the same in every release."""
    level: Level
    """``skipped`` is what could not be looked at here, which says nothing."""
    text: str
    remedy: str | None = None
    """What to do; None where nothing needs doing."""


def ok(check: str, text: str) -> Finding:
    """As it should be."""
    return Finding(check=check, level="ok", text=text)


def warning(check: str, text: str, remedy: str) -> Finding:
    """It works, and will hurt."""
    return Finding(check=check, level="warning", text=text, remedy=remedy)


def fault(check: str, text: str, remedy: str) -> Finding:
    """The server would not start, or not do what it is there for."""
    return Finding(check=check, level="fault", text=text, remedy=remedy)


def skipped(check: str, text: str) -> Finding:
    """It cannot be looked at from here."""
    return Finding(check=check, level="skipped", text=text)
