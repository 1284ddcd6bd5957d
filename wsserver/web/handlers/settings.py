"""``GET /ws/settings``: what is in force, and the versions of everything that matters."""

import platform
from importlib import metadata
from typing import Any, Final

from aiohttp import web

from wsserver._version import __version__
from wsserver.service import Service
from wsserver.settings.description import describe_in_force
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import check_query
from wsserver.web.responses import success

_PACKAGES: Final = ("aiohttp", "uvloop", "msgspec", "lz4", "google-re2", "PyJWT", "prometheus-client", "apsw")
"""What the server stands on; a fault in one of them may be a fault of the server."""

DEMO: Final = "/demo/config.json"
"""Where the demonstration gives tokens out, if it is there."""


class SettingsHandler:
    """Handler of the route."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door
        self._versions = versions()

    async def in_force(self, request: web.Request) -> web.StreamResponse:
        """``GET``: every setting with its default, secrets masked, and the versions."""
        await self._door.require(request, "admin:read")
        check_query(request)
        rows: list[dict[str, Any]] = [
            {"key": row.key, "value": row.value, "default": row.default, "is_default": row.is_default}
            for row in describe_in_force(self._service.settings)
        ]
        demo = any(resource.canonical == DEMO for resource in request.app.router.resources())
        return success({"settings": rows, "versions": self._versions, "demo": demo})


def versions() -> dict[str, str]:
    """The server, Python, the system, and the packages, by name."""
    found = {
        "wsserver": __version__,
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(terse=True),
    }
    return {**found, **{name: metadata.version(name) for name in _PACKAGES}}
