"""``verify_token``: asks the server of this process."""

import pytest
from workbench import Workbench

import wsserver
from wsserver.token_check import verify_token
from wsserver.web.server import websocket_server


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> Workbench:
    bench = await Workbench().start()
    monkeypatch.setattr(websocket_server, "_service", bench.service)
    return bench


async def test_a_token_counts_that_the_server_would_take(bench: Workbench) -> None:
    assert verify_token(bench.token()) is True
    assert wsserver.verify_token is verify_token


async def test_other_tokens_do_not(bench: Workbench) -> None:
    for token in ("", "x", bench.token()[:-4] + "AAAA"):
        assert verify_token(token) is False
    token = bench.token(lifetime=10)
    bench.clock.advance(10 + bench.manager.settings.auth.leeway)
    assert verify_token(token) is False


async def test_a_revoked_token_does_not(bench: Workbench) -> None:
    token = bench.token(token_id="t1")
    bench.service.revocations.revoke_token("t1")
    assert verify_token(token) is False


async def test_without_a_server_no_token_counts(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    token = bench.token()
    monkeypatch.setattr(websocket_server, "_service", None)
    assert verify_token(token) is False
