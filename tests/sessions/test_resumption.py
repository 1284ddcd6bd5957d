"""A client that comes back, from ``connect`` with its session to its first live message."""

from typing import Any

import pytest
from far_end import FarEnd
from workbench import Workbench, assert_nothing_left

from wsserver.connection_manager import DRAIN, OVERLOAD
from wsserver.loop import turn_budget as turn_budget_module
from wsserver.overload import Cause
from wsserver.protocol.control import Gap
from wsserver.sessions import catch_up as catch_up_module
from wsserver.settings import AccessSettings, RoleSettings, SessionSettings


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine: a command is done in the turn in which it comes."""
    monkeypatch.setattr(turn_budget_module, "SECONDS", 1e9)


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench().start()


async def enter(bench: Workbench, user: str = "u1", **more: Any) -> tuple[FarEnd, dict[str, Any]]:
    """A client and its ``connected``."""
    far_end = bench.newcomer()
    patients = more.pop("patients", "*")
    role = more.pop("role", "doctor")
    far_end.send(type="connect", token=bench.token(user, role, patients=patients), **more)
    await bench.settle()
    answer = far_end.take()[0]
    return far_end, answer


async def come_back(
    bench: Workbench, told: dict[str, Any], cursor: dict[str, int] | None = None, **more: Any
) -> tuple[FarEnd, list[dict[str, Any]]]:
    """A new connection with the session of an earlier one, and all that came on it."""
    far_end = bench.newcomer()
    patients = more.pop("patients", "*")
    user, role = more.pop("user", "u1"), more.pop("role", "doctor")
    session = {"id": told["session_id"], "cursor": told["cursor"] if cursor is None else cursor}
    token = bench.token(user, role, patients=patients)
    far_end.send(type="connect", token=token, session=session, **more)
    await bench.settle()
    return far_end, far_end.take()


async def lose(bench: Workbench, far_end: FarEnd) -> None:
    far_end.leave()
    await bench.settle()


def numbers(messages: list[dict[str, Any]]) -> list[int]:
    return [message["n"] for message in messages if "_meta" in message]


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


class TestRights:
    async def test_what_may_not_be_seen_any_more_is_not_restored_and_not_replayed(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["patient:1", "patient:2", "type:ecg", "patient:*"])
        await lose(bench, client)
        for n, patient in enumerate((1, 2, 1)):
            bench.manager.broadcast_to_patient(patient, {"n": n})
            bench.manager.broadcast_to_type("ecg", {"n": 10 + n, "patient_id": patient})
        _, (connected, *replayed) = await come_back(bench, told, patients=["2"])
        assert numbers(replayed) == [1, 11]
        assert [(one["code"], one["topic"]) for one in connected["errors"]] == [(1011, "patient:1")]
        log = bench.manager.broadcasts.logs.durable.name
        forbidden = {"type": "gap", "log": log, "topic": "patient:1", "reason": "forbidden"}
        assert connected["session"] == {"resumed": True, "replayed": 2, "gaps": [forbidden]}
        topics = {(one["subscription_type"], one["target_id"]) for one in connected["subscriptions"]}
        assert topics == {("patient", "2"), ("ecg", "*"), ("patient", "*")}

    async def test_that_a_right_has_ended_is_told_again_to_whoever_may_not_have_heard(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["patient:1"])
        await lose(bench, client)
        bench.manager.broadcast_to_patient(1, {"n": 1})
        log = bench.manager.broadcasts.logs.durable.name
        forbidden = {"type": "gap", "log": log, "topic": "patient:1", "reason": "forbidden"}
        for _ in range(3):
            client, (connected,) = await come_back(bench, told, patients=["2"])
            assert connected["session"]["gaps"] == [forbidden]
            await lose(bench, client)
        # This one has heard it.
        _, (connected,) = await come_back(bench, connected, patients=["2"])
        assert connected["session"]["gaps"] == []

    async def test_a_loss_of_whom_it_may_not_see_any_more_is_not_told(self, bench: Workbench) -> None:
        client, told = await enter(bench, subscriptions=["patient:*"])
        bench.manager.broadcast_to_patient(3, {"n": 0})
        log = bench.manager.broadcasts.logs.durable.name
        metadata = bench.owner(client)
        for patient in ("1", "2"):
            gap = Gap(log=log, topic=f"patient:{patient}", from_=1, to=1, count=1, reason="slow")
            bench.manager.sessions.note_told(metadata, gap, (1, 0))
        await lose(bench, client)
        _, (connected,) = await come_back(bench, told, {log: 1}, patients=["2"])
        assert [gap["topic"] for gap in connected["session"]["gaps"]] == ["patient:2"]

    async def test_where_nothing_was_missed_nothing_is_said_to_be(self, bench: Workbench) -> None:
        client, told = await enter(bench, subscriptions=["patient:1"])
        await lose(bench, client)
        _, (connected,) = await come_back(bench, told, patients=["2"])
        assert connected["session"] == {"resumed": True, "replayed": 0, "gaps": []}
        assert len(connected["errors"]) == 1

    async def test_rights_that_end_during_the_replay_end_it_for_that_patient(self, bench: Workbench) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        await lose(bench, client)
        for n in range(800):
            bench.manager.broadcast_to_type("ecg", {"n": n, "patient_id": 1 + n % 2})
        far_end = bench.newcomer()
        session = {"id": told["session_id"], "cursor": told["cursor"]}
        far_end.send(type="connect", token=bench.token(patients=["1", "2"]), session=session)
        while not far_end.messages:
            await bench.settle_once()
        await bench.service.revoke(user_id="u1", patients=["1"])
        before = len(far_end.messages)
        await bench.settle()
        late = [one for one in far_end.messages[before:] if "_meta" in one]
        assert late
        assert {one["patient_id"] for one in late} == {2}
        assert numbers(far_end.messages)[-1] == 799

    async def test_the_role_may_have_changed(self, bench: Workbench) -> None:
        client, told = await enter(bench, subscriptions=["patient:*"], patients="*")
        await lose(bench, client)
        bench.manager.broadcast_to_patient(1, {"n": 1})
        _, (connected, *replayed) = await come_back(bench, told, role="technician", patients=["1"])
        assert replayed == []
        assert [one["code"] for one in connected["errors"]] == [1011]


class TestSubscriptions:
    async def test_topics_that_are_named_are_added_and_count_from_now_on(self, bench: Workbench) -> None:
        client, told = await enter(bench)
        await bench.ask(client, type="subscribe", topic="type:ecg", filters={"n": 1})
        await lose(bench, client)
        for n in (1, 2):
            bench.manager.broadcast_to_type("ecg", {"n": n})
            bench.manager.broadcast_to_type("ward", {"n": 10 + n})
        named = ["type:ecg", "type:ward", "nonsense:"]
        again, (connected, *replayed) = await come_back(bench, told, subscriptions=named)
        assert numbers(replayed) == [1]
        views = {one["subscription_type"]: one["filters"] for one in connected["subscriptions"]}
        assert views == {"ecg": {"n": 1}, "ward": {}}
        assert [one["topic"] for one in connected["errors"]] == ["nonsense:"]
        bench.manager.broadcast_to_type("ward", {"n": 13})
        await bench.settle()
        assert numbers(again.take()) == [13]

    async def test_one_that_does_not_fit_any_more_is_told_with_what_it_missed(self, bench: Workbench) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg", "type:ward"])
        await lose(bench, client)
        bench.manager.broadcast_to_type("ward", {"n": 1})
        bench.manager.subscription_manager._limits.max_per_connection = 1
        _, (connected,) = await come_back(bench, told)
        assert [one["code"] for one in connected["errors"]] == [1012]
        log = bench.manager.broadcasts.logs.volatile.name
        assert connected["session"]["gaps"] == [
            {"type": "gap", "log": log, "topic": "ward:*", "from": 1, "to": 1, "reason": "limit"}
        ]

    async def test_what_is_subscribed_and_ended_during_the_replay_counts_at_once(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg", "type:ward"])
        await lose(bench, client)
        for n in range(400):
            bench.manager.broadcast_to_type("ecg", {"n": n})
            bench.manager.broadcast_to_type("ward", {"n": n})
            bench.manager.broadcast_to_type("hall", {"n": n})
        far_end = bench.newcomer()
        session = {"id": told["session_id"], "cursor": told["cursor"]}
        far_end.send(type="connect", token=bench.token(patients="*"), session=session)
        while not far_end.messages:
            await bench.settle_once()
        metadata = bench.owner(far_end)
        assert metadata.catch_up is not None
        far_end.send(type="unsubscribe", topic="type:ecg")
        far_end.send(type="subscribe", topic="type:hall")
        before = len(far_end.messages)
        bench.manager.broadcast_to_type("hall", {"n": 1000})
        await bench.settle()
        late = [one for one in far_end.messages[before:] if "_meta" in one]
        waited = bench.manager.hub.frames_replayed
        assert waited > 400
        topics = [one["_meta"]["topic"] for one in late]
        assert topics.count("hall:*") == 1
        assert topics.count("ward:*") == 400 - sum(
            one.get("_meta", {}).get("topic") == "ward:*" for one in far_end.messages[:before]
        )


class TestTakeover:
    async def test_the_old_connection_is_closed_and_its_queue_goes_by_the_new_one(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        client.stuck = True
        for n in range(5):
            bench.manager.broadcast_to_type("ecg", {"n": n})
        bench.loop.run()
        old = bench.owner(client)
        again, (connected, *replayed) = await come_back(bench, told)
        assert connected["session"]["resumed"]
        assert numbers(replayed) == [0, 1, 2, 3, 4]
        assert client.connection is not None
        assert client.connection.close_code == 4522
        assert old.connection_id not in bench.manager.connections
        assert len(bench.manager.connections) == 1
        assert bench.manager.sessions.get_metrics()["taken_over"] == 1
        assert bench.owner(again).connection_id in bench.manager.connections

    async def test_limits_do_not_count_the_connection_that_goes(self) -> None:
        bench = await Workbench(
            connection={"max_connections": 1, "max_connections_per_user": 1, "max_connections_per_role": 1}
        ).start()
        _, told = await enter(bench)
        _, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"]
        assert bench.manager.limits.total == 1

    async def test_whoever_is_refused_anyway_keeps_the_old_connection(self) -> None:
        bench = await Workbench(connection={"max_connections_per_role": {"nurse": 0}}).start()
        client, told = await enter(bench)
        refused, (error,) = await come_back(bench, told, role="nurse")
        assert (error["code"], refused.close_code) == (1002, 4102)
        assert client.close_code is None
        assert len(bench.manager.connections) == bench.manager.limits.total == 1
        bench.manager.set_accept_connections(False)
        refused, (error,) = await come_back(bench, told)
        assert (error["code"], refused.close_code) == (1013, 4020)
        assert client.close_code is None

    async def test_a_second_return_during_the_replay_begins_where_that_one_had_come(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        await lose(bench, client)
        for n in range(900):
            bench.manager.broadcast_to_type("ecg", {"n": n})
        second = bench.newcomer()
        second.stuck = True
        session = {"id": told["session_id"], "cursor": told["cursor"]}
        second.send(type="connect", token=bench.token(patients="*"), session=session)
        await bench.settle()
        assert bench.owner(second).catch_up is not None
        _, (connected, *replayed) = await come_back(bench, told)
        assert connected["session"]["replayed"] == 900
        assert numbers(replayed) == list(range(900))
        assert len(bench.manager.catch_ups) == 0


class TestIds:
    @pytest.mark.parametrize("how", ["guessed", "another's", "expired", "ended", "reused"])
    async def test_nothing_says_why_a_session_is_not_resumed(self, bench: Workbench, how: str) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        if how == "ended":
            client.send(type="disconnect")
        await bench.settle()
        await lose(bench, client)
        user = "u2" if how == "another's" else "u1"
        if how == "guessed":
            told = told | {"session_id": "A" * 43}
        if how == "expired":
            bench.pass_time(121)
        if how == "reused":
            again, (connected,) = await come_back(bench, told)
            again.send(type="ping")
            await bench.settle()
        bench.manager.broadcast_to_type("ecg", {"n": 1})
        _, messages = await come_back(bench, told, user=user)
        log = bench.manager.broadcasts.logs.volatile.name
        (connected,) = messages
        assert connected["session"] == {
            "resumed": False,
            "replayed": 0,
            "gaps": [{"type": "gap", "log": log, "from": 1, "to": 1, "reason": "limit"}],
        }
        assert connected["subscriptions"] == connected["errors"] == []
        assert connected["session_id"]
        assert bench.manager.sessions.get_metrics()["unknown"] == 1

    async def test_an_attempt_by_somebody_else_changes_nothing(self, bench: Workbench) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        await come_back(bench, told, user="u2")
        assert client.close_code is None
        await lose(bench, client)
        await come_back(bench, told, user="u2")
        _, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"]

    async def test_the_old_id_is_good_until_the_client_shows_that_it_got_the_new_one(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        ids = [told["session_id"]]
        for _ in range(3):
            await lose(bench, client)
            client, (connected,) = await come_back(bench, told)
            assert connected["session"]["resumed"]
            ids.append(connected["session_id"])
        # Of those that it never showed only the last is known.
        await lose(bench, client)
        client, (connected,) = await come_back(bench, told | {"session_id": ids[2]})
        assert not connected["session"]["resumed"]
        client, (connected,) = await come_back(bench, told | {"session_id": ids[3]})
        assert connected["session"]["resumed"]
        client.send(type="ping")
        await bench.settle()
        await lose(bench, client)
        for shown in ids:
            _, (refused,) = await come_back(bench, told | {"session_id": shown})
            assert not refused["session"]["resumed"]
        _, (connected,) = await come_back(bench, told | {"session_id": connected["session_id"]})
        assert connected["session"]["resumed"]

    async def test_a_pong_shows_it_too_and_what_came_with_connect_does_not(self, bench: Workbench) -> None:
        client, told = await enter(bench)
        await lose(bench, client)
        far_end = bench.newcomer()
        far_end.send(
            type="connect",
            token=bench.token(patients="*"),
            session={"id": told["session_id"], "cursor": told["cursor"]},
        )
        far_end.send(type="ping")
        await bench.settle()
        assert [one["type"] for one in far_end.take()] == ["connected", "pong"]
        await lose(bench, far_end)
        client, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"]
        client.send_raw(10, b"")
        await lose(bench, client)
        _, (connected,) = await come_back(bench, told)
        assert not connected["session"]["resumed"]

    async def test_a_pong_before_connected_shows_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catch_up_module, "EXAMINED", 1)
        bench = await Workbench().start()
        client, told = await enter(bench, subscriptions=["type:ecg"])
        await lose(bench, client)
        for n in range(30):
            bench.manager.broadcast_to_type("ecg", {"n": n})
        far_end = bench.newcomer()
        session = {"id": told["session_id"], "cursor": told["cursor"]}
        far_end.send(type="connect", token=bench.token(patients="*"), session=session)
        while not bench.manager.connections:
            await bench.settle_once()
        assert far_end.messages == []
        far_end.send_raw(10, b"")
        await bench.settle()
        await lose(bench, far_end)
        _, (connected, *_) = await come_back(bench, told)
        assert connected["session"]["resumed"]

    async def test_there_are_none_where_they_are_not_kept(self) -> None:
        bench = await Workbench(session={"ttl": 0.0}).start()
        client, told = await enter(bench)
        assert "session_id" not in told
        assert "session_ttl" not in told
        await lose(bench, client)
        assert len(bench.manager.sessions) == 0
        _, (connected,) = await come_back(bench, {"session_id": "x", "cursor": {}})
        assert not connected["session"]["resumed"]
        assert "session_id" not in connected


class TestEnds:
    @pytest.mark.parametrize(
        ("code", "resumed"),
        [(1000, False), (1001, True), (1011, True), (4001, True), (4005, True), (4020, True), (4110, True),
         (4501, False), (4511, False), (4523, False), (4503, False)],
    )  # fmt: skip
    async def test_final_closes_end_the_session(self, bench: Workbench, code: int, resumed: bool) -> None:
        client, told = await enter(bench)
        bench.manager.disconnect(told["connection_id"], code=code)
        await bench.settle()
        await lose(bench, client)
        _, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"] is resumed

    @pytest.mark.parametrize(("code", "resumed"), [(1000, False), (1001, True), (4000, True)])
    async def test_so_does_the_clients_own_goodbye(self, bench: Workbench, code: int, resumed: bool) -> None:
        client, told = await enter(bench)
        client.send_raw(8, code.to_bytes(2, "big"))
        await bench.settle()
        await lose(bench, client)
        _, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"] is resumed

    async def test_what_was_published_while_it_was_closing_is_replayed(self, bench: Workbench) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        client.send_raw(8, (1001).to_bytes(2, "big"))
        assert len(bench.manager.connections) == 1
        report = bench.manager.broadcast_to_type("ecg", {"n": 1})
        assert report.refused == {"closing": 1}
        await lose(bench, client)
        bench.manager.broadcast_to_type("ecg", {"n": 2})
        _, (_, *replayed) = await come_back(bench, told)
        assert numbers(replayed) == [1, 2]

    async def test_a_revoked_user_has_nothing_to_come_back_to(self, bench: Workbench) -> None:
        client, told = await enter(bench)
        other, told_other = await enter(bench, user="u2")
        await lose(bench, client)
        await lose(bench, other)
        await bench.service.revoke(user_id="u1")
        bench.clock.advance(5)
        _, (connected,) = await come_back(bench, told)
        assert not connected["session"]["resumed"]
        _, (connected,) = await come_back(bench, told_other, user="u2")
        assert connected["session"]["resumed"]

    async def test_a_revoked_token_neither(self, bench: Workbench) -> None:
        far_end = bench.newcomer()
        far_end.send(type="connect", token=bench.token(patients="*", token_id="t1"))
        await bench.settle()
        told = far_end.take()[0]
        await lose(bench, far_end)
        await bench.service.revoke(token_id="t1")
        _, (connected,) = await come_back(bench, told)
        assert not connected["session"]["resumed"]

    async def test_nothing_is_left_of_a_connection_that_ends_in_the_middle_of_its_replay(
        self, bench: Workbench
    ) -> None:
        client, told = await enter(bench, subscriptions=["type:ecg"])
        await lose(bench, client)
        for n in range(900):
            bench.manager.broadcast_to_type("ecg", {"n": n})
        far_end = bench.newcomer()
        far_end.stuck = True
        session = {"id": told["session_id"], "cursor": told["cursor"]}
        far_end.send(type="connect", token=bench.token(patients="*"), session=session)
        await bench.settle()
        await lose(bench, far_end)
        assert_nothing_left(bench.manager)
        assert len(bench.manager.catch_ups) == 0
        assert len(bench.manager.sessions) == 1
        bench.pass_time(130)
        sessions = bench.manager.sessions
        assert (len(sessions), sessions.bytes, sessions._former, sessions._live) == (0, 0, {}, {})
        assert sessions.get_metrics()["expired"] == 1


class TestRoom:
    async def test_of_too_many_sessions_those_that_ended_first_go(self) -> None:
        bench = await Workbench(session={"max_sessions": 2}).start()
        told = []
        for number in range(3):
            client, answer = await enter(bench, user=f"u{number}")
            told.append(answer)
            await lose(bench, client)
        resumed = []
        for number in (2, 1, 0):
            _, (connected,) = await come_back(bench, told[number], user=f"u{number}")
            resumed.append(connected["session"]["resumed"])
        assert resumed == [True, True, False]
        assert bench.manager.sessions.get_metrics()["dropped"] == 1

    async def test_a_user_that_comes_and_goes_pushes_out_its_own_sessions_and_nobody_elses(self) -> None:
        few = {"max_connections_per_user": 3}
        bench = await Workbench(session={"max_sessions": 6}, connection=few).start()
        client, told = await enter(bench, user="quiet")
        await lose(bench, client)
        own = []
        for _ in range(20):
            client, answer = await enter(bench, user="restless")
            own.append(answer)
            await lose(bench, client)
        sessions = bench.manager.sessions
        assert len(sessions) == 4
        assert sessions.get_metrics()["dropped"] == 17
        for answer, resumed in ((told, True), (own[-1], True), (own[-3], True), (own[-4], False)):
            user = "quiet" if answer is told else "restless"
            client, (connected,) = await come_back(bench, answer, user=user)
            assert connected["session"]["resumed"] is resumed
            client.leave()

    async def test_of_too_many_bytes_too_and_new_bounds_hold_at_once(self) -> None:
        bench = await Workbench(session={"max_total_bytes": 5_000}).start()
        for number in range(10):
            client, _ = await enter(bench, user=f"u{number}", subscriptions=["type:ecg"])
            await lose(bench, client)
            assert bench.manager.sessions.bytes <= 5_000
        assert len(bench.manager.sessions) == 3
        bench.manager.sessions.configure(SessionSettings(max_sessions=1))
        assert len(bench.manager.sessions) == 1


class TestOverload:
    async def test_clients_come_back_within_a_reserve_and_nobody_else_comes_in(self) -> None:
        bench = await Workbench(overload={"resume_reserve": 1}).start()
        clients = [await enter(bench, user=f"u{number}") for number in range(2)]
        for client, _ in clients:
            await lose(bench, client)
        bench.service.overload.enter(Cause.MEMORY)
        assert bench.manager.refusals == {OVERLOAD}
        assert bench.manager.may_return
        stranger = bench.newcomer()
        stranger.send(type="connect", token=bench.token())
        guesser, (error,) = await come_back(bench, {"session_id": "x", "cursor": {}})
        assert (error["code"], guesser.close_code) == (1013, 4020)
        assert error["retry_after_ms"]
        await bench.settle()
        assert (stranger.take()[0]["code"], stranger.close_code) == (1013, 4020)
        _, (connected,) = await come_back(bench, clients[0][1], user="u0")
        assert connected["session"]["resumed"]
        assert not bench.manager.may_return
        _, (error,) = await come_back(bench, clients[1][1], user="u1")
        assert error["code"] == 1013
        bench.service.overload.leave_by_hand()
        _, (connected,) = await come_back(bench, clients[1][1], user="u1")
        assert connected["session"]["resumed"]

    async def test_a_server_that_drains_takes_nobody_back(self, bench: Workbench) -> None:
        client, told = await enter(bench)
        await lose(bench, client)
        bench.manager.reserve = 10
        bench.manager.set_accept_connections(False, cause=OVERLOAD)
        bench.manager.set_accept_connections(False, cause=DRAIN)
        _, (error,) = await come_back(bench, told)
        assert error["code"] == 1013
        bench.manager.set_accept_connections(True, cause=DRAIN)
        _, (connected,) = await come_back(bench, told)
        assert connected["session"]["resumed"]


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
