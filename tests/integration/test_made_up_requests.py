"""Requests that schemathesis makes up from the document: no server errors, and answers as it says.

Routes that act on the whole server (drain, emergency, revoke, ending somebody's connection) are called in
the same way, at a server of their own: after a drain it refuses, as the document says it may.
"""

import asyncio
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from live_server import ALL_SCOPES, token_of
from operator_accounts import HASHES
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks
from server_process import ServerProcess

from wsserver.web.openapi import openapi
from wsserver.web.route import Route
from wsserver.web.routes import routes_of

CALLS: Final = 1_000
LONG_CALLS: Final = 20_000
EFFECTS_SHARE: Final = 10
"""One of so many calls acts on the whole server."""

CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
]

CONFIG: Final = {
    "generation": {"with-security-parameters": False},
    # Refused is refused: 426 for what asks a WebSocket, 408 and 413 of bodies among them.
    "checks": {
        "negative_data_rejection": {"expected-statuses": ["4xx", "503"]},
        "not_a_server_error": {"expected-statuses": ["1xx", "2xx", "3xx", "4xx", "503"]},
    },
}

LASTING: Final = "/ws/profile"
"""Takes as many seconds as it is asked to, so it is left to its own tests."""

QUIET: Final = tuple(route for route in routes_of() if not route.has_effects)
LOUD: Final = tuple(route for route in routes_of() if route.has_effects and route.path != LASTING)


class MadeUp:
    """Calls every route of a document with what its schemas allow, and with what they do not."""

    def __init__(self, routes: tuple[Route, ...], port: int, token: str, *, random: bool) -> None:
        config = SchemathesisConfig.from_dict(CONFIG)
        self._schema = schemathesis.openapi.from_dict(openapi(routes), config=config)
        self._url = f"http://127.0.0.1:{port}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session = requests.Session()
        self._session.trust_env = False
        self._random = random
        self.statuses: dict[int, int] = {}

    @property
    def calls(self) -> int:
        return sum(self.statuses.values())

    def run(self, calls: int) -> None:
        """At least so many calls, alike for all that take anything; fails for what the document lacks."""
        operations = [found.ok() for found in self._schema.get_all_operations() if isinstance(found, Ok)]
        takers = [one for one in operations if takes_anything(one)]
        for operation in operations:
            if operation not in takers:
                self._call(operation, GenerationMode.POSITIVE, 1)
        ways = [(one, GenerationMode.POSITIVE) for one in takers]
        ways += [(one, GenerationMode.NEGATIVE) for one in takers if may_be_wrong(one)]
        # Some have fewer values to be called with than there are calls: the others have their share, too.
        while ways and self.calls < calls:
            share = -(-(calls - self.calls) // len(ways))
            ways = [way for way in ways if self._call(*way, share) >= share]
        assert self.calls >= calls

    def _call(self, operation: APIOperation, mode: GenerationMode, share: int) -> int:
        """How often it was called: ``share`` times at the most."""
        before = self.calls

        @settings(
            max_examples=share,
            deadline=None,
            database=None,
            derandomize=not self._random,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def call(case: Case) -> None:
            response = case.call(base_url=self._url, session=self._session, headers=self._headers, timeout=20)
            self.statuses[response.status_code] = self.statuses.get(response.status_code, 0) + 1
            case.validate_response(response, checks=CHECKS)

        call()
        return self.calls - before


def takes_anything(operation: APIOperation) -> bool:
    return any((operation.body, operation.path_parameters, operation.query, operation.headers))


def may_be_wrong(operation: APIOperation) -> bool:
    """Whether there is anything but texts of which every one is right, such as the name of a file."""
    given = (*operation.path_parameters, *operation.headers)
    texts = [parameter.definition["schema"] == {"type": "string"} for parameter in given]
    return bool(operation.body or operation.query) or not all(texts)


SETTINGS: Final = f"""
[rate_limit]
requests_per_second = 1000000
[operators.accounts.olga]
role = "operator"
password_hash = "{HASHES["olga"]}"
"""


async def made_up(run: Any, routes: tuple[Route, ...], calls: int, *, random: bool) -> MadeUp:
    """Call a server in a process of its own, so that neither takes the other's time."""
    server: ServerProcess = await run(SETTINGS)
    await server.listening()
    nurse = await server.enter("nurse7", "nurse")
    token = token_of("gateway", "service", scope=f"{ALL_SCOPES} audit:read")
    one = MadeUp(routes, server.port, token, random=random)
    try:
        await asyncio.to_thread(one.run, calls)
    finally:
        await nurse.abort()
    assert not [line for line in server.log.splitlines() if "incident" in line]
    assert one.calls >= calls
    return one


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("calls", [CALLS, pytest.param(LONG_CALLS, marks=pytest.mark.long)])
async def test_no_request_is_a_server_error(run: Any, calls: int) -> None:
    done = await made_up(run, QUIET, calls, random=calls > CALLS)
    assert not [status for status in done.statuses if status >= 500], done.statuses
    assert done.statuses.keys() >= {200, 400, 404}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("calls", [CALLS, pytest.param(LONG_CALLS, marks=pytest.mark.long)])
async def test_requests_that_act_on_the_server_are_no_server_errors_either(run: Any, calls: int) -> None:
    done = await made_up(run, LOUD, calls // EFFECTS_SHARE, random=calls > CALLS)
    assert not [status for status in done.statuses if status >= 500 and status != 503], done.statuses
