"""A client that comes back, from ``connect`` with its session to its first live message."""


import pytest
from comings import come_back, enter, lose, numbers
from workbench import Workbench

from wsserver.sessions import catch_up as catch_up_module
from wsserver.settings import AccessSettings, RoleSettings

pytestmark = pytest.mark.usefixtures("time_enough")


async def test_it_goes_on_where_it_was_with_its_subscriptions_and_filters(bench: Workbench) -> None:
    client, told = await enter(bench, subscriptions=["patient:1"])
    await bench.ask(client, type="subscribe", topic="type:ecg", filters={"n": {"$gte": 5}})
    bench.manager.broadcast_to_patient(1, {"n": 1})
    await bench.settle()
    (message,) = client.take()
    cursor = told["cursor"] | {message["_meta"]["log"]: message["_meta"]["seq"]}
    await lose(bench, client)
    bench.manager.broadcast_to_patient(1, {"n": 2})
    for n in (3, 5):
        bench.manager.broadcast_to_type("ecg", {"n": n})
    bench.manager.broadcast_to_patient(2, {"n": 9})
    bench.manager.broadcast_to_all({"n": 6})
    again, (connected, *replayed) = await come_back(bench, told, cursor)
    assert connected["session"] == {"resumed": True, "replayed": 3, "gaps": []}
    assert connected["cursor"] == cursor
    assert connected["errors"] == []
    assert connected["session_id"] not in (None, told["session_id"])
    members = ("subscription_type", "target_id", "filters")
    views = [tuple(one[member] for member in members) for one in connected["subscriptions"]]
    assert views == [("patient", "1", {}), ("ecg", "*", {"n": {"$gte": 5}})]
    assert numbers(replayed) == [2, 5, 6]
    # The very bytes that others got.
    assert {message["_meta"]["log"] for message in replayed} == set(cursor)
    bench.manager.broadcast_to_type("ecg", {"n": 7})
    await bench.settle()
    assert numbers(again.take()) == [7]
    figures = bench.manager.sessions.get_metrics()
    assert (figures["resumed"], figures["taken_over"], figures["unknown"]) == (1, 0, 0)
    assert bench.manager.broadcasts.accounts.replayed == 3


async def test_nothing_live_overtakes_what_is_replayed(bench: Workbench) -> None:
    client, told = await enter(bench, subscriptions=["type:ecg"])
    await lose(bench, client)
    for n in range(600):
        bench.manager.broadcast_to_type("ecg", {"n": n})
    far_end = bench.newcomer()
    session = {"id": told["session_id"], "cursor": told["cursor"]}
    far_end.send(type="connect", token=bench.token(patients="*"), session=session)
    refused = 0
    for n in range(600, 1000):
        await bench.settle_once()
        report = bench.manager.broadcast_to_type("ecg", {"n": n})
        refused += report.refused.get("catching_up", 0)
        assert report.matched == report.delivered + sum(report.refused.values())
    await bench.settle()
    connected, *messages = far_end.take()
    assert connected["session"]["replayed"] >= 600
    assert numbers(messages) == list(range(1000))
    assert refused > 0
    assert bench.manager.broadcasts.accounts.replayed == 600 + refused
    assert bench.manager.broadcasts.accounts.check(recount=True) == []


async def test_a_pong_during_the_replay_says_how_far_it_has_come(bench: Workbench) -> None:
    client, told = await enter(bench, subscriptions=["type:ecg"])
    await lose(bench, client)
    for n in range(700):
        bench.manager.broadcast_to_type("ecg", {"n": n})
    far_end = bench.newcomer()
    session = {"id": told["session_id"], "cursor": told["cursor"]}
    far_end.stuck = True
    far_end.send(type="connect", token=bench.token(patients="*"), session=session)
    await bench.settle()
    metadata = bench.owner(far_end)
    assert metadata.catch_up is not None
    log = bench.manager.broadcasts.logs.volatile.name
    position = bench.service.router.cursor(metadata)[log]
    assert 0 < position < 700
    assert bench.manager.hub.standing(metadata.handle) == ((0, 0), (0, position), (0, 0))
    assert bench.manager.broadcasts.logs.volatile.head == 700


async def test_a_client_that_does_not_read_is_not_made_slow_by_its_replay(bench: Workbench) -> None:
    client, told = await enter(bench, subscriptions=["type:ecg"])
    await lose(bench, client)
    for n in range(900):
        bench.manager.broadcast_to_type("ecg", {"n": n})
    far_end = bench.newcomer()
    far_end.stuck = True
    session = {"id": told["session_id"], "cursor": told["cursor"]}
    far_end.send(type="connect", token=bench.token(patients="*"), session=session)
    await bench.settle()
    hub, handle = bench.manager.hub, bench.owner(far_end).handle
    figures = hub.connection_figures(handle)
    assert figures is not None
    assert 200 <= figures[2] <= 250
    assert not hub.is_slow(handle)
    hub.block(handle)
    bench.pass_time(6)
    # By time it is, as anybody who does not read; and it goes on once it reads.
    assert hub.is_slow(handle)
    far_end.stuck, far_end._buffered = False, 0
    hub.unblock(handle)
    await bench.settle()
    assert not hub.is_slow(handle)
    assert numbers(far_end.messages)[-1] == 899
    assert len(bench.manager.catch_ups) == 0


async def test_its_own_messages_without_echo_are_not_replayed_to_it(bench: Workbench) -> None:
    doctor = RoleSettings(subscribe=("*",), publish=("type",), publish_types=("*",))
    bench.manager.policy.reload(AccessSettings(roles={"doctor": doctor}))
    client, told = await enter(bench, subscriptions=["type:ecg"])
    for echo, n in ((False, 1), (True, 2)):
        client.send(type="broadcast", target_type="ecg", message={"n": n}, echo=echo)
    await bench.settle()
    await lose(bench, client)
    again, (connected, *replayed) = await come_back(bench, told)
    assert (connected["session"]["replayed"], numbers(replayed)) == (1, [2])
    await lose(bench, again)
    third, (connected, *replayed) = await come_back(bench, connected, told["cursor"])
    assert numbers(replayed) == [2]
    third.send(type="broadcast", target_type="ecg", message={"n": 3}, echo=False)
    await bench.settle()
    assert numbers(third.take()) == []


async def test_what_was_sent_to_it_alone_is_a_gap_unless_it_has_it(bench: Workbench) -> None:
    client, told = await enter(bench, subscriptions=["type:ecg"])
    report = bench.manager.send_message(told["connection_id"], {"n": 1})
    await lose(bench, client)
    gap = {"type": "gap", "log": report.log, "from": 1, "to": 1, "reason": "limit"}
    again, (connected,) = await come_back(bench, told)
    assert connected["session"]["gaps"] == [gap]
    await lose(bench, again)
    # It did not get that answer; then it did.
    again, (connected,) = await come_back(bench, told)
    assert connected["session"]["gaps"] == [gap]
    await lose(bench, again)
    _, (connected,) = await come_back(bench, connected, told["cursor"] | {report.log: 1})
    assert connected["session"]["gaps"] == []


async def test_a_message_for_one_who_catches_up_is_refused_and_said_so(bench: Workbench) -> None:
    client, told = await enter(bench, subscriptions=["type:ecg"])
    await lose(bench, client)
    for n in range(900):
        bench.manager.broadcast_to_type("ecg", {"n": n})
    far_end = bench.newcomer()
    far_end.stuck = True
    session = {"id": told["session_id"], "cursor": told["cursor"]}
    far_end.send(type="connect", token=bench.token(patients="*"), session=session)
    await bench.settle()
    report = bench.manager.send_message(bench.owner(far_end).connection_id, {"n": 1})
    assert (report.delivered, report.refused) == (0, {"catching_up": 1})


async def test_a_loss_that_was_told_during_a_replay_is_told_again_to_whoever_may_not_have_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catch_up_module, "EXAMINED", 1)
    bench = await Workbench(history={"size": 20}).start()
    client, told = await enter(bench)
    await bench.ask(client, type="subscribe", topic="type:ecg", filters={"n": 7})
    await lose(bench, client)
    for _ in range(20):
        bench.manager.broadcast_to_type("ecg", {"n": 0})
    far_end = bench.newcomer()
    session = {"id": told["session_id"], "cursor": told["cursor"]}
    far_end.send(type="connect", token=bench.token(patients="*"), session=session)
    while not far_end.messages:
        await bench.settle_once()
    for _ in range(23):
        bench.manager.broadcast_to_type("ecg", {"n": 0})
    await bench.settle()
    connected, gap = far_end.take()
    assert connected["session"] == {"resumed": True, "replayed": 0, "gaps": []}
    assert (gap["topic"], gap["to"], gap["reason"]) == ("ecg:*", 23, "trimmed")
    # Nothing has come behind it by which its client could prove that it has it.
    await lose(bench, far_end)
    _, (connected,) = await come_back(bench, {**connected, "cursor": told["cursor"]})
    assert connected["session"]["gaps"] == [gap]


async def test_what_its_filter_skipped_before_the_last_connection_is_not_said_to_be_lost() -> None:
    bench = await Workbench(history={"size": 2}).start()
    client, told = await enter(bench)
    await bench.ask(client, type="subscribe", topic="type:ecg", filters={"n": 7})
    for _ in range(5):
        bench.manager.broadcast_to_type("ecg", {"n": 0})
    for sent in range(3):
        await lose(bench, client)
        # What was sent last time it did not get.
        client, (connected, *_) = await come_back(bench, told)
        assert connected["session"] == {"resumed": True, "replayed": sent, "gaps": []}
        told = connected | {"cursor": told["cursor"]}
        client.send(type="ack", message_id="m_0")
        bench.manager.broadcast_to_type("ecg", {"n": 7})
        await bench.settle()


async def test_what_was_gone_before_a_topic_was_named_is_no_loss(bench: Workbench) -> None:
    bench = await Workbench(history={"size": 3}).start()
    client, told = await enter(bench, subscriptions=["patient:1"])
    await lose(bench, client)
    for n in range(9):
        bench.manager.broadcast_to_patient(2, {"n": n})
    bench.manager.broadcast_to_patient(1, {"n": 9})
    _, (connected, *replayed) = await come_back(bench, told, subscriptions=["patient:2"])
    assert connected["session"] == {"resumed": True, "replayed": 1, "gaps": []}
    assert numbers(replayed) == [9]


async def test_commands_sent_behind_connect_wait_for_connected(bench: Workbench) -> None:
    bench.manager.catch_ups._budget._seconds = 1e-9
    client, told = await enter(bench, subscriptions=["type:ecg"])
    await lose(bench, client)
    for n in range(900):
        bench.manager.broadcast_to_type("ecg", {"n": n})
    far_end = bench.newcomer()
    session = {"id": told["session_id"], "cursor": told["cursor"]}
    far_end.send(type="connect", token=bench.token(patients="*"), session=session)
    await bench.settle_once()
    await bench.settle_once()
    far_end.send(type="ping", t="early")
    await bench.settle()
    await bench.settle()
    types = [one["type"] for one in far_end.messages if "_meta" not in one]
    assert types == ["connected", "pong"]
    assert numbers(far_end.messages) == list(range(900))


async def test_a_fault_in_a_replay_ends_the_connection_and_loses_nothing(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, told = await enter(bench, subscriptions=["type:ecg"])
    await lose(bench, client)
    bench.manager.broadcast_to_type("ecg", {"n": 1})

    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr(bench.manager.catch_ups, "_send", fail)
        again, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"]
        assert again.close_code == 1011
        await lose(bench, again)
    _, (connected, *replayed) = await come_back(bench, connected, told["cursor"])
    assert numbers(replayed) == [1]
