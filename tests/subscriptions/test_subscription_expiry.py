"""The idle clock of subscriptions: what starts it anew, who is warned, and that using one writes nothing."""

from typing import Any

import pytest
from far_end import PONG, FarEnd
from workbench import Bench, Workbench

from wsserver.settings import SubscriptionSettings
from wsserver.subscriptions.subscription_expiry import WARNING, SubscriptionExpiry
from wsserver_core.topics import Record

TIMEOUT = 1000.0
WARN_AT = TIMEOUT * (1 - WARNING)


class HeardFrom:
    """As much of a hub as the idle clock asks for: when each connection was last heard of."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self.asked: list[int] = []

    def last_received(self, handle: int) -> float:
        self.asked.append(handle)
        return self.at.get(handle, 0.0)


class Ward:
    """Connections with subscriptions, an idle clock over them, and a hub that a test speaks for."""

    def __init__(self, *, strict: bool = False) -> None:
        self.bench = Bench()
        self.heard = HeardFrom()
        settings = SubscriptionSettings(timeout=TIMEOUT, strict_timeout=strict)
        manager = self.bench.manager
        self.expiry = SubscriptionExpiry(
            manager.index,
            self.heard,
            manager.connections,
            settings,
            self.bench.clock,
        )

    def subscribe(self, user_id: str, *kinds: str) -> str:
        connection_id, _ = self.bench.connect(user_id)
        for kind in kinds:
            self.bench.manager.subscription_manager.add_subscription(connection_id, kind)
        return connection_id

    def hear(self, connection_id: str) -> None:
        handle = self.bench.metadata(connection_id).handle
        self.heard.at[handle] = self.bench.clock.monotonic()

    def records(self, connection_id: str) -> list[Record]:
        return self.bench.manager.index.records(self.bench.metadata(connection_id).handle)

    def idle(self, seconds: float) -> dict[str, float]:
        return {record.subscription_type: left for record, left in self.expiry.idle(seconds)}


@pytest.fixture
def ward() -> Ward:
    return Ward()


# -- how long


def test_a_subscription_is_idle_from_the_very_second_and_says_what_is_left(ward: Ward) -> None:
    ward.subscribe("u1", "ecg")
    ward.bench.clock.advance(99.75)
    assert ward.idle(100) == {}
    ward.bench.clock.advance(0.25)
    assert ward.idle(100) == {"ecg": 900.0}
    ward.bench.clock.advance(1000)
    assert ward.idle(100) == {"ecg": -100.0}


def test_the_clock_runs_from_its_own_renewal_when_the_connection_was_silent_longer(ward: Ward) -> None:
    one = ward.subscribe("u1", "ecg", "alerts")
    ward.hear(one)
    ward.bench.clock.advance(600)
    ecg, _ = ward.records(one)
    assert ward.expiry.renew(ecg.number)
    ward.bench.clock.advance(400)
    assert ward.idle(TIMEOUT) == {"alerts": 0.0}
    assert ward.idle(400) == {"ecg": 600.0, "alerts": 0.0}


def test_the_clock_runs_from_the_connections_sign_of_life_when_that_came_later(ward: Ward) -> None:
    one = ward.subscribe("u1", "ecg", "alerts")
    other = ward.subscribe("u2", "vitals")
    ward.bench.clock.advance(600)
    ward.hear(one)
    ward.bench.clock.advance(400)
    assert ward.idle(TIMEOUT) == {"vitals": 0.0}
    assert ward.idle(400) == {"ecg": 600.0, "alerts": 600.0, "vitals": 0.0}
    ward.hear(other)
    assert ward.idle(1) == {"ecg": 600.0, "alerts": 600.0}


def test_renewing_what_has_ended_is_told(ward: Ward) -> None:
    one = ward.subscribe("u1", "ecg")
    (record,) = ward.records(one)
    ward.bench.manager.disconnect(one)
    assert not ward.expiry.renew(record.number)


def test_new_settings_count_for_subscriptions_that_are_there(ward: Ward) -> None:
    one = ward.subscribe("u1", "ecg")
    ward.bench.clock.advance(60)
    ward.hear(one)
    ward.expiry.settings = SubscriptionSettings(timeout=100, strict_timeout=True)
    assert ward.expiry.warn_from == 10.0
    assert ward.idle(60) == {"ecg": 40.0}
    ward.expiry.settings = SubscriptionSettings(timeout=100)
    assert ward.idle(60) == {}


# -- strictly


def test_strictly_no_sign_of_life_of_the_connection_counts() -> None:
    ward = Ward(strict=True)
    one = ward.subscribe("u1", "ecg", "alerts")
    ward.bench.clock.advance(600)
    ward.hear(one)
    ecg, _ = ward.records(one)
    ward.expiry.renew(ecg.number)
    ward.bench.clock.advance(400)
    assert ward.idle(TIMEOUT) == {"alerts": 0.0}
    assert ward.idle(400) == {"ecg": 600.0, "alerts": 0.0}
    assert ward.heard.asked == []


# -- warned once


def due(ward: Ward, connection_id: str) -> list[str]:
    """Which subscriptions a look for idle ones would warn now."""
    return [
        record.subscription_type
        for record, _ in list(ward.expiry.idle(WARN_AT))
        if ward.expiry.due_for_warning(record)
    ]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("renewal", ["renewal", "sign of life"])
def test_a_client_is_warned_once_in_an_idle_period_and_again_in_the_next(strict: bool, renewal: str) -> None:
    ward = Ward(strict=strict)
    one = ward.subscribe("u1", "ecg")
    ward.bench.clock.advance(WARN_AT - 0.25)
    assert due(ward, one) == []
    ward.bench.clock.advance(0.25)
    assert due(ward, one) == ["ecg"]
    for _ in range(3):
        ward.bench.clock.advance(20)
        assert due(ward, one) == []
    if renewal == "renewal":
        ward.expiry.renew(ward.records(one)[0].number)
    else:
        ward.hear(one)
    ward.bench.clock.advance(WARN_AT - 0.25)
    assert due(ward, one) == []
    ward.bench.clock.advance(0.25)
    again = [] if strict and renewal == "sign of life" else ["ecg"]
    assert due(ward, one) == again
    assert due(ward, one) == []


def test_to_be_warned_starts_no_clock_anew(ward: Ward) -> None:
    one = ward.subscribe("u1", "ecg")
    ward.bench.clock.advance(50)
    ward.hear(one)
    ward.bench.clock.advance(WARN_AT)
    assert due(ward, one) == ["ecg"]
    assert ward.idle(WARN_AT) == {"ecg": 100.0}
    ward.bench.clock.advance(100)
    assert ward.idle(TIMEOUT) == {"ecg": 0.0}


# -- what it costs


def test_nothing_is_written_while_a_subscription_is_used(ward: Ward) -> None:
    one = ward.subscribe("u1", "ecg")
    before = ward.records(one)
    for _ in range(10):
        ward.bench.clock.advance(800)
        ward.hear(one)
        assert ward.idle(WARN_AT) == {}
    assert ward.records(one) == before


def test_of_connections_that_were_heard_of_no_subscription_is_looked_at(ward: Ward) -> None:
    busy = ward.subscribe("u1", *"abcdefgh")
    ward.subscribe("u2", "ecg")
    ward.bench.clock.advance(TIMEOUT)
    ward.hear(busy)
    ward.heard.asked.clear()
    assert ward.idle(TIMEOUT) == {"ecg": 0.0}
    assert ward.heard.asked.count(ward.bench.metadata(busy).handle) == 1


# -- with a real hub


async def keep(bench: Workbench, far_end: FarEnd, seconds: float, **sign: Any) -> list[dict[str, Any]]:
    """Let time pass with a sign of life every 20 s, and return what came that is no answer to it."""
    for _ in range(round(seconds / 20)):
        bench.pass_time(20)
        if sign:
            far_end.send(**sign)
        else:
            far_end.send_raw(PONG, b"")
        await bench.settle()
    return [message for message in far_end.take() if str(message["type"]).startswith("subscription_")]


@pytest.mark.parametrize("sign", [{"type": "ack", "message_id": "m"}, {"type": "ping"}, {}])
async def test_any_frame_of_a_client_keeps_its_subscriptions(sign: dict[str, Any]) -> None:
    bench = await Workbench(subscription={"timeout": 100.0, "cleanup_interval": 10.0}).start()
    far_end = await bench.client()
    await bench.ask(far_end, type="subscribe", topic="type:ecg")
    assert await keep(bench, far_end, 400, **sign) == []
    assert len(bench.manager.subscription_manager) == 1


async def test_strictly_only_refresh_and_subscribing_again_keep_a_subscription() -> None:
    settings = {"timeout": 100.0, "cleanup_interval": 10.0, "strict_timeout": True}
    bench = await Workbench(subscription=settings).start()
    far_end = await bench.client()
    await bench.ask(far_end, type="subscribe", topic="type:ecg")
    assert await keep(bench, far_end, 200, type="refresh") == []
    assert await keep(bench, far_end, 80, type="ping") == []
    ended = await keep(bench, far_end, 60, type="ping")
    assert [message["type"] for message in ended] == ["subscription_expiring", "subscription_expired"]
    assert len(bench.manager.subscription_manager) == 0
    assert len(bench.manager.connections) == 1
