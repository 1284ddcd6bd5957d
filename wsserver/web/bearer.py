"""Who is asking over HTTP, and whether they may."""

from aiohttp import web

from wsserver.access.principal import Principal
from wsserver.errors import AUTHENTICATION_FAILED, PERMISSION_DENIED, ServerError
from wsserver.service import Service


class Bearer:
    """Checks the ``Authorization: Bearer`` header of REST requests. Cookies count for nothing here."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def require(self, request: web.Request, *scopes: str) -> Principal:
        """Who the token stands for, if it carries every one of ``scopes``.

        Raises ServerError 1001 (401) without a valid token, 1010 (429) when its subject asks too
        often, 1011 (403) without a scope.
        """
        values = request.headers.getall("Authorization", [])
        scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not token:
            raise ServerError(AUTHENTICATION_FAILED)
        principal = await self._service.authenticator.authenticate(token.strip())
        self._service.rates.take_request(principal.user_id)
        for scope in scopes:
            if scope not in principal.rest_scopes:
                raise ServerError(PERMISSION_DENIED, details={"scope": scope})
        return principal
