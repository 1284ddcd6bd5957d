"""The way of a handshake past aiohttp's router.

Nearly all that a server of our own is asked for is one route. To find it, to note what was found and to
build the chain of middlewares took a twentieth of the instructions for a handshake.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import hdrs, web

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Middleware = Callable[[web.Request, _Handler], Awaitable[web.StreamResponse]]


class ShortWay:
    """Hands requests with GET for one path straight to its handler, all others to the application.

    The handler is the one that the router would have found. ``middleware`` is called as the application
    would have called it; what else it does to a request must not matter to this route.
    """

    def __init__(self, app: web.Application, path: str, middleware: _Middleware, others: _Handler) -> None:
        """Raises LookupError where the application does not serve the path, or not with one handler only."""
        self._path = path
        self._with_query = f"{path}?"
        self._middleware = middleware
        self._others = others
        self._handler = _only_handler(app, path)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request; what a handler or the application raises is raised."""
        asked = cast(web.Request, request)
        target = asked.raw_path
        if (
            (target == self._path or target.startswith(self._with_query))
            and asked.method == hdrs.METH_GET
            # Who wants to be told to go on is told so by the application.
            and hdrs.EXPECT not in asked.headers
        ):
            return await self._middleware(asked, self._handler)
        return await self._others(asked)


def _only_handler(app: web.Application, path: str) -> _Handler:
    found = [route for route in app.router.routes() if route.resource and route.resource.canonical == path]
    if len(found) != 1 or found[0].method not in (hdrs.METH_GET, hdrs.METH_ANY):
        raise LookupError(f"{path} is not served by one handler")
    return found[0].handler
