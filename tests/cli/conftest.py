import os
from collections.abc import Callable

import pytest
from aiohttp import web
from click.testing import CliRunner, Result
from rest_double import RestDouble

from wsserver.cli import main

SECRET = "canary-7f3a-canary-7f3a-canary-7f3a"

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs ``wsserver ARGUMENTS`` with a secret in an environment that is otherwise empty of ours."""
    for name in list(os.environ):
        if name.startswith("WSSERVER_"):
            monkeypatch.delenv(name)

    def run(*arguments: str, stdin: str | bytes | None = None, **environ: str | None) -> Result:
        runner = CliRunner(env={"WSSERVER_AUTH__SECRET": SECRET} | environ)
        return runner.invoke(main, list(arguments), input=stdin)

    return run


@pytest.fixture
async def rest(aiohttp_server) -> RestDouble:
    """A REST server that says what a test puts into it."""
    double = RestDouble()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", double.handle)
    server = await aiohttp_server(app)
    double.url = str(server.make_url("/"))
    return double
