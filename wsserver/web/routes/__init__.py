"""The table of all routes, chapter by chapter: what an application serves and what its documents say."""

from typing import Final

from wsserver.web.route import Route
from wsserver.web.routes.alerts import ALERTS
from wsserver.web.routes.auditing import AUDITING
from wsserver.web.routes.connecting import CONNECTING, ECHO
from wsserver.web.routes.connections import CONNECTIONS
from wsserver.web.routes.debugging import DEBUGGING
from wsserver.web.routes.demo import demo_routes
from wsserver.web.routes.documents import DOCUMENTS
from wsserver.web.routes.drain import DRAIN
from wsserver.web.routes.explaining import EXPLAINING
from wsserver.web.routes.figures import FIGURES
from wsserver.web.routes.files import FILES
from wsserver.web.routes.probes import PROBES
from wsserver.web.routes.publishing import PUBLISHING
from wsserver.web.routes.rights import RIGHTS
from wsserver.web.routes.settings import SETTINGS_IN_FORCE
from wsserver.web.routes.signing_in import SIGNING_IN
from wsserver.web.routes.status import STATUS
from wsserver.web.routes.status_page import STATUS_PAGE
from wsserver.web.routes.subscriptions import SUBSCRIPTIONS
from wsserver.web.routes.tracing import TRACING

ROUTES: Final = (
    *CONNECTING,
    *PUBLISHING,
    *RIGHTS,
    *DRAIN,
    *FIGURES,
    *EXPLAINING,
    *TRACING,
    *CONNECTIONS,
    *SUBSCRIPTIONS,
    *DEBUGGING,
    *ALERTS,
    *STATUS,
    *AUDITING,
    *SIGNING_IN,
    *SETTINGS_IN_FORCE,
    *FILES,
    *STATUS_PAGE,
    *PROBES,
    *DOCUMENTS,
)
"""What every server serves."""


def routes_of(*, dev: bool = False, demo: bool = False) -> tuple[Route, ...]:
    """What a server serves, with what ``--dev`` and ``--demo`` add."""
    return (*ROUTES, *(ECHO if dev else ()), *(demo_routes() if demo else ()))
