"""The demonstration: its page, its patients, its tokens."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from aiohttp import web

from wsserver.access.tokens import mint_token
from wsserver.demo.page import HEADERS, PageFile
from wsserver.demo.ward import PATIENTS, DemoWard
from wsserver.ids import new_id
from wsserver.service import Service
from wsserver.settings import RoleSettings, Settings
from wsserver.web.asset import Asset
from wsserver.web.responses import Handler, plain

TOKEN_SECONDS: Final = 3600
ROLE: Final = "visitor"
VISITOR: Final = RoleSettings(subscribe=("patient",))
"""Visitors follow the single patients that their token names, and take no seat of the staff."""

_VISITOR_ID = re.compile(r"demo_[0-9a-f]{24}", re.ASCII)


def with_visitors(settings: Settings) -> Settings:
    """The settings with the role of the demonstration's visitors in them."""
    access = msgspec.structs.replace(settings.access, roles={**settings.access.roles, ROLE: VISITOR})
    return msgspec.structs.replace(settings, access=access)


class Demo:
    """Serves ``/demo`` and streams its ward.

    Whoever opens the page gets a token for the simulated patients and no others. Like every
    client its bearer also receives what is sent to all.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def config(self, request: web.Request) -> web.StreamResponse:
        """``GET /demo/config.json``: where to connect, with a fresh token.

        A visitor whose token ends names himself (``?user_id=``), for a session belongs to one user. Whoever
        knows another's id gains nothing: all visitors may see the same, and a session has a secret besides.
        """
        service = self._service
        ids = [patient.id for patient in PATIENTS]
        # One user each: visitors must not share the limit of connections per user.
        user_id = request.query.get("user_id", "")
        if _VISITOR_ID.fullmatch(user_id) is None:
            user_id = new_id("demo")
        token = mint_token(
            service.settings.auth,
            service.clock,
            user_id=user_id,
            role=ROLE,
            patients=ids,
            lifetime=TOKEN_SECONDS,
        )
        return plain(
            {
                "url": "/ws/connect",
                "token": token,
                "user_id": user_id,
                "role": ROLE,
                "patients": [{"id": patient.id, "label": patient.label} for patient in PATIENTS],
            }
        )

    async def stream(self, app: web.Application) -> AsyncIterator[None]:
        """An aiohttp cleanup context: the ward streams as long as the server runs."""
        ward = asyncio.ensure_future(DemoWard(self._service.manager, self._service.clock).run())
        yield
        ward.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ward


def serve_page_file(file: PageFile) -> Handler:
    """The handler of one file of the page."""
    asset = Asset.of(file.content_type, file.body)

    async def handle(request: web.Request) -> web.StreamResponse:
        return asset.answer(request, HEADERS)

    return handle
