import os
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

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
