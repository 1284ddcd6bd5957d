"""What of a session is kept, and under which digests. How clients come back is in test_resumption."""

from hashlib import sha256

from workbench import Workbench

from wsserver.protocol.control import Gap
from wsserver.reconnect_service import ID_BYTES
from wsserver.sessions.session import Session


async def test_ids_are_long_differ_and_are_kept_nowhere() -> None:
    bench = await Workbench().start()
    ids = set()
    for number in range(20):
        client = await bench.client(f"u{number}")
        told = client.messages[0]
        ids.add(told["session_id"])
        metadata = bench.owner(client)
        assert metadata.session == sha256(told["session_id"].encode()).digest()
        assert all(told["session_id"] not in str(getattr(metadata, name)) for name in metadata.__slots__)
    assert len(ids) == 20
    assert ID_BYTES * 8 == 256
    assert {len(one) for one in ids} == {43}


async def test_connections_of_an_embedder_have_no_session() -> None:
    bench = await Workbench().start()
    one, _ = bench.connect()
    metadata = bench.metadata(one)
    bench.manager.sessions.note_told(metadata, Gap(log="l", reason="slow"), (0, 0))
    bench.manager.send_message(one, {})
    assert (metadata.session, metadata.owed, metadata.direct) == (None, None, None)
    bench.manager.disconnect(one, code=4020)
    assert len(bench.manager.sessions) == 0


async def test_a_session_is_found_under_its_id_by_its_user_alone() -> None:
    bench = await Workbench().start()
    client = await bench.client("u1")
    session_id = client.messages[0]["session_id"]
    sessions = bench.manager.sessions
    assert sessions.find(session_id, "u1") is bench.owner(client)
    assert sessions.find(session_id, "u2") is None
    client.leave()
    bench.loop.run()
    found = sessions.find(session_id, "u1")
    assert isinstance(found, Session)
    assert sessions.find(session_id, "u2") is None
    for wrong in ("", session_id[:-1], session_id + "A", "\ud800", session_id.swapcase()):
        assert sessions.find(wrong, "u1") is None
    bench.clock.advance(120)
    # Nobody has swept yet.
    assert sessions.find(session_id, "u1") is None
    assert len(sessions) == 1


async def test_what_a_slow_client_lost_and_was_not_told_is_owed_to_it() -> None:
    bench = await Workbench(backpressure={"max_queue_messages": 4}).start()
    client = await bench.client("u1", patients=["1"])
    session_id = client.messages[0]["session_id"]
    await bench.ask(client, type="subscribe", topic="patient:1")
    handle = bench.owner(client).handle
    bench.manager.hub.block(handle)
    for _ in range(4):
        bench.manager.broadcast_to_patient(1, {"type": "vitals"})
    assert bench.manager.hub.is_slow(handle)
    client.leave()
    bench.loop.run()
    found = bench.manager.sessions.find(session_id, "u1")
    assert isinstance(found, Session)
    durable = bench.manager.broadcasts.logs.durable.name
    assert [(one.gap.log, one.gap.reason) for one in found.owed] == [(durable, "conflated")]
    assert not found.owed[0].was_heard((99, 99))


async def test_what_it_was_told_is_owed_until_it_proves_to_have_heard_it() -> None:
    bench = await Workbench(backpressure={"max_queue_messages": 4}).start()
    client = await bench.client("u1", patients=["1"])
    session_id = client.messages[0]["session_id"]
    await bench.ask(client, type="subscribe", topic="patient:1")
    metadata = bench.owner(client)
    bench.manager.hub.block(metadata.handle)
    for _ in range(4):
        bench.manager.broadcast_to_patient(1, {"type": "vitals"})
    bench.manager.hub.unblock(metadata.handle)
    await bench.settle()
    assert [one["type"] for one in client.take()][-1] == "gap"
    client.leave()
    bench.loop.run()
    found = bench.manager.sessions.find(session_id, "u1")
    assert isinstance(found, Session)
    (owed,) = found.owed
    assert not owed.was_heard((4, 0))
    assert owed.was_heard((5, 0))


async def test_the_figures_add_up() -> None:
    bench = await Workbench().start()
    client = await bench.client("u1")
    assert bench.manager.sessions.get_metrics() == {
        "waiting": 0, "bytes": 0, "resumed": 0, "taken_over": 0, "unknown": 0, "expired": 0, "dropped": 0,
    }  # fmt: skip
    client.leave()
    bench.loop.run()
    figures = bench.manager.sessions.get_metrics()
    assert (figures["waiting"], figures["bytes"]) == (1, 1000)
    bench.pass_time(121)
    figures = bench.manager.sessions.get_metrics()
    assert (figures["waiting"], figures["bytes"], figures["expired"]) == (0, 0, 1)


async def test_of_a_user_and_a_token_at_once_everything_is_forgotten_once() -> None:
    bench = await Workbench().start()
    tokens = {}
    for user in ("u1", "u2", "u3"):
        client = await bench.client(user)
        tokens[user] = bench.owner(client).principal.token_id
        client.leave()
    bench.loop.run()
    sessions = bench.manager.sessions
    assert sessions.forget(user_id="u1", token_id=tokens["u1"]) == 1
    assert sessions.forget(user_id="u2", token_id=tokens["u3"]) == 2
    assert len(sessions) == sessions.bytes == 0


async def test_what_was_sent_to_it_alone_and_refused_is_not_a_loss_twice() -> None:
    bench = await Workbench().start()
    client = await bench.client("u1")
    metadata = bench.owner(client)
    bench.manager.hub.set_out(metadata.handle, (0, 0), True)
    report = bench.manager.send_message(metadata.connection_id, {})
    assert (report.delivered, report.refused) == (0, {"catching_up": 1})
    assert metadata.direct is None
