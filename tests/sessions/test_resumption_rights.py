"""What a client that comes back may still see, and what of its subscriptions is restored."""


import pytest
from comings import come_back, enter, lose, numbers
from workbench import Workbench

from wsserver.protocol.control import Gap

pytestmark = pytest.mark.usefixtures("time_enough")


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
