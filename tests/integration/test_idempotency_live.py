"""A publisher that asks again after a restart: what was stored is not sent twice."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from live_server import ALL_SCOPES, LiveServer, settings_of, token_of

MESSAGE = {"type": "alert", "severity": "critical", "n": 1}


def server_on(path: Path) -> LiveServer:
    return LiveServer(settings_of(store={"url": f"sqlite:///{path}"}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def ask(server: LiveServer, key: str = "k", message: Any = MESSAGE, door: str = "patient/1") -> Any:
    token = token_of("gateway", "service", scope=ALL_SCOPES)
    return await server.http(
        "POST", f"/ws/broadcast/{door}", message, token=token, headers={"Idempotency-Key": key}
    )


async def told(server: LiveServer, **how: Any) -> dict[str, Any]:
    answer = await ask(server, **how)
    assert answer.status == 200, answer
    data: dict[str, Any] = answer.json["data"]
    return data


async def test_the_first_answer_outlives_the_server(path: Path) -> None:
    server = server_on(path)
    await server.start()
    first = await told(server)
    assert (first["durability"], first["duplicate"]) == ("fsync", False)
    await server.stop()
    server = server_on(path)
    await server.start()
    client = await server.enter("d1", "doctor", "patient:1", patients=["1"])
    assert await told(server) == {**first, "duplicate": True}
    assert (await ask(server, message={**MESSAGE, "n": 2})).status == 409
    assert await client.published() == []
    assert (await told(server, key="another"))["seq"] == first["seq"] + 1
    assert len(await client.published()) == 1
    await server.stop()
    assert server.faults.seen == []


async def test_a_message_that_was_stored_before_it_was_answered_for_is_found_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash: the mark is in the file with the message, and there is no answer."""
    server = server_on(path)
    await server.start()
    monkeypatch.setattr(server.service.store_keeper, "put_key", lambda key: None)
    first = await told(server)
    await server.stop()
    server = server_on(path)
    await server.start()
    again = await told(server)
    unknown = dict.fromkeys(("considered", "filtered", "denied", "matched", "delivered", "refused"))
    assert again == {**first, **unknown, "duplicate": True}
    await server.stop()


async def test_many_at_once_are_stored_once(path: Path) -> None:
    server = server_on(path)
    await server.start()
    client = await server.enter("d1", "doctor", "patient:1", patients=["1"])
    answers = await asyncio.gather(*(told(server) for _ in range(20)))
    assert sorted(answer["duplicate"] for answer in answers) == [False] + [True] * 19
    assert len({answer["message_id"] for answer in answers}) == 1
    assert len(await client.published()) == 1
    await server.stop()


async def test_one_who_leaves_before_the_answer_finds_it_later(path: Path) -> None:
    server = server_on(path)
    await server.start()
    asking = [asyncio.ensure_future(ask(server, key=str(number))) for number in range(10)]
    await asyncio.sleep(0)
    for one in asking:
        one.cancel()
    await asyncio.wait(asking)
    ids = set()
    for number in range(10):
        ids.add((await told(server, key=str(number)))["message_id"])
        assert (await told(server, key=str(number)))["message_id"] in ids
    assert len(ids) == 10
    assert server.manager.broadcasts.operations == 10
    await server.stop()
