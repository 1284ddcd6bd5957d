"""The settings that are read once, when the server starts."""

from typing import Final

from wsserver.settings.sections import Settings

STARTUP_ONLY: Final = (
    "server.host",
    "server.port",
    "server.tls_certificate",
    "server.tls_key",
    "store.url",
    "audit.path",
)
"""By name: what belongs to the listening socket, to the store and to the audit."""


def restart_needed(running: Settings, wanted: Settings) -> list[str]:
    """Those of `STARTUP_ONLY` in which settings read later differ from those the server started with."""
    return [key for key in STARTUP_ONLY if _value(running, key) != _value(wanted, key)]


def _value(settings: Settings, key: str) -> object:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)
