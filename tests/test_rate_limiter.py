"""Rates of connections, users and tokens, on the whole service with a clock moved by hand."""

from typing import Any

import pytest
from fake_clock import FakeClock
from far_end import TEXT, FarEnd
from workbench import Bench, Workbench

from wsserver.connections import admission
from wsserver.errors import ServerError
from wsserver.rate_limiter import (
    FORGIVEN_AFTER,
    OFFENDERS,
    PATTERN_COST,
    REFUSED_FILTER_COST,
    STAY_AWAY,
    RateLimiter,
)
from wsserver.settings import RateLimitSettings
from wsserver_core.buckets import SUBSCRIBES

SMALL: dict[str, Any] = {
    "messages_per_second": 10.0, "burst": 20, "subscribes_per_second": 2.0, "subscribe_burst": 8,
    "user_messages_per_second": 10.0, "user_burst": 30, "user_subscribes_per_second": 2.0,
    "user_subscribe_burst": 12, "refusals": 5,
}  # fmt: skip

KILOBYTE = b'{"type":"ack","message_id":"m"}'.ljust(1024)


async def started(**rates: Any) -> Workbench:
    return await Workbench(rate_limit={**SMALL, **rates}).start()


async def client(bench: Workbench, user: str = "u1") -> FarEnd:
    """One that is in for a while, with full buckets."""
    far_end = await bench.client(user, patients="*")
    bench.pass_time(10)
    far_end.take()
    return far_end


def said(answers: list[dict[str, Any]]) -> list[Any]:
    """The types of answers, and of errors 1010 whose limit it was and how long to wait."""
    return [
        (one["details"]["scope"], one["details"]["limit"], one["retry_after_ms"]) if one.get("code") == 1010
        else one.get("code", one["type"])
        for one in answers
    ]  # fmt: skip


# -- connections


async def test_a_normal_clients_first_burst_passes() -> None:
    bench = await Workbench().start()
    far_end = await bench.client(patients="*")
    for number in range(100):
        far_end.send(type="subscribe", topic=f"patient:{number}")
    await bench.settle()
    assert said(far_end.take()) == ["subscription_confirmed"] * 100
    bench.pass_time(0.25)
    for number in range(100):
        far_end.send(type="unsubscribe", topic=f"patient:{number}")
    await bench.settle()
    assert said(far_end.take()) == ["unsubscribed"] * 100


async def test_ten_windows_of_a_user_come_back_with_their_whole_sets() -> None:
    bench = await Workbench().start()
    topics = [f"patient:{number}" for number in range(100)]
    for _ in range(2):
        windows = [bench.newcomer() for _ in range(10)]
        for window in windows:
            window.send(type="connect", token=bench.token(patients="*"), subscriptions=topics)
        await bench.settle()
        for window in windows:
            (welcome,) = window.take()
            assert (welcome["type"], len(welcome["subscriptions"])) == ("connected", 100)
            assert welcome["errors"] == []
            window.leave()
        bench.loop.run()


async def test_commands_on_subscriptions_have_a_rate_of_their_own() -> None:
    bench = await started()
    far_end = await client(bench)
    for _ in range(3):
        far_end.send(type="subscribe", topic="patient:1")
        far_end.send(type="refresh")
        far_end.send(type="unsubscribe", topic="patient:1")
    far_end.send(type="ping")
    await bench.settle()
    *answers, refusal, pong = far_end.take()
    assert len(answers) == 8
    # Half a second for the token, a quarter because the core's clock moves in ticks.
    assert said([refusal, pong]) == [("connection", "subscribes", 750), "pong"]
    assert bench.manager.subscription_manager.count(bench.owner(far_end)) == 1, "what is refused does nothing"
    bench.pass_time(0.75)
    assert said(await bench.ask(far_end, type="unsubscribe", topic="patient:1")) == ["unsubscribed"]


async def test_a_request_id_comes_back_with_a_refused_subscribe() -> None:
    bench = await started(subscribe_burst=1)
    far_end = await client(bench)
    await bench.ask(far_end, type="refresh")
    (error,) = await bench.ask(far_end, type="refresh", request_id="mine")
    assert (error["code"], error["request_id"]) == (1010, "mine")


async def test_a_refused_filter_costs_as_much_as_ten() -> None:
    bench = await started(subscribe_burst=8)
    far_end, other = await client(bench), await client(bench)
    (error,) = await bench.ask(far_end, type="subscribe", topic="type:ecg", filters={"a": {"$no": 1}})
    assert error["code"] == 1008
    assert REFUSED_FILTER_COST == 9.0
    # Two over the bucket of 8, and one for this: three of two a second.
    assert said(await bench.ask(far_end, type="refresh")) == [("connection", "subscribes", 1750)]
    # Of the user's 12 the filter has taken 10.
    assert said(await bench.ask(other, type="refresh")) == ["refreshed"]
    assert said(await bench.ask(other, type="refresh")) == ["refreshed"]
    assert said(await bench.ask(other, type="refresh")) == [("user", "subscribes", 500)]


async def test_patterns_that_nobody_used_before_cost_more() -> None:
    bench = await started(subscribe_burst=50)
    far_end = await client(bench)
    link = bench.owner(far_end).link
    filters = {"a": {"$regex": "^x"}, "b": {"$regex": "^y"}}
    for topic, spent in (("type:a", 1 + 2 * PATTERN_COST), ("type:b", 2 + 2 * PATTERN_COST)):
        await bench.ask(far_end, type="subscribe", topic=topic, filters=filters)
        assert link.spent(SUBSCRIBES) == pytest.approx(spent)
    await bench.ask(far_end, type="subscribe", topic="type:c", filters={"a": 1})
    assert link.spent(SUBSCRIBES) == pytest.approx(3 + 2 * PATTERN_COST)


async def test_who_goes_on_is_closed_with_4110_and_told_to_stay_away() -> None:
    bench = await started()
    far_end = await client(bench)
    for _ in range(26):
        far_end.send(type="ack", message_id="m")
    await bench.settle()
    errors = far_end.take()
    assert [one["code"] for one in errors] == [1010] * 6
    assert [one["retry_after_ms"] for one in errors] == [350] * 5 + [STAY_AWAY * 1000]
    assert far_end.close_code == 4110
    assert bench.service.rates.get_metrics()["offenders_closed"] == 1


async def test_refusals_of_every_kind_add_up() -> None:
    bench = await started(subscribe_burst=1, refusals=3)
    far_end = await client(bench)
    for _ in range(4):
        far_end.send(type="refresh")
    await bench.settle()
    assert far_end.close_code is None
    far_end.send(type="refresh")
    await bench.settle()
    assert far_end.close_code == 4110


async def test_refusals_are_forgiven_with_time() -> None:
    bench = await started(user_messages_per_second=1000.0, user_burst=1000)
    far_end = await client(bench)
    for _ in range(20):
        for _ in range(25):
            far_end.send(type="ack", message_id="m")
        bench.pass_time(5)
    assert far_end.close_code is None
    assert bench.service.router.acknowledged == 20 * 20


async def test_twice_the_rate_for_long_is_going_on() -> None:
    """It is not enough to behave half of the time."""
    bench = await started(user_messages_per_second=1000.0, user_burst=1000)
    far_end = await client(bench)
    for _ in range(20):
        for _ in range(20):
            far_end.send(type="ack", message_id="m")
        bench.pass_time(1)
        if far_end.close_code is not None:
            break
    assert far_end.close_code == 4110


async def test_a_client_that_sends_too_much_is_not_read_for_a_while_and_loses_nothing() -> None:
    bench = await started(bytes_per_second=1024, byte_burst=4096)
    far_end = await client(bench)
    for _ in range(5):
        far_end.send_raw(TEXT, KILOBYTE)
    assert bench.service.router.acknowledged == 5
    assert not far_end.reading
    assert bench.owner(far_end).link.is_paused
    bench.pass_time(2)
    assert not far_end.reading
    bench.pass_time(2)
    assert far_end.reading
    assert far_end.close_code is None


# -- users


async def test_a_users_connections_share_its_rate() -> None:
    bench = await started()
    first, second = await client(bench), await client(bench)
    stranger = await client(bench, "u2")
    for far_end in (first, second):
        for _ in range(18):
            far_end.send(type="ping")
    await bench.settle()
    assert said(first.take()) == ["pong"] * 18
    # The user's clock is exact: no tick on top.
    assert said(second.take()) == ["pong"] * 12 + [("user", "messages", 100)] * 5 + [
        ("user", "messages", 5000)
    ]
    assert second.close_code == 4110
    assert said(await bench.ask(stranger, type="ping")) == ["pong"]


async def test_to_reconnect_refills_nothing_of_the_users() -> None:
    bench = await started()
    far_end = await client(bench)
    for _ in range(2):
        for _ in range(15):
            far_end.send(type="ack", message_id="m")
        await bench.settle()
        far_end.leave()
        bench.loop.run()
        far_end = await bench.client()
    assert said(await bench.ask(far_end, type="ping")) == [("user", "messages", 100)]
    bench.clock.advance(0.1)
    assert said(await bench.ask(far_end, type="ping")) == ["pong"]


async def test_who_says_goodbye_and_keeps_the_socket_is_put_down_at_once() -> None:
    bench = await started()
    for passed in (18, 10, 0):
        far_end = await bench.client()
        for _ in range(18):
            far_end.send(type="ack", message_id="m")
        await bench.settle()
        assert bench.service.router.acknowledged == passed
        bench.service.router.acknowledged = 0
        far_end.send(type="disconnect")
        await bench.settle()
        bench.manager.disconnect(bench.owner(far_end).connection_id)


async def test_a_user_whose_rates_are_the_lower_ones_is_counted_from_the_first() -> None:
    bench = await started(user_burst=5)
    far_end = await client(bench)
    for _ in range(6):
        far_end.send(type="ping")
    await bench.settle()
    assert said(far_end.take()) == ["pong"] * 5 + [("user", "messages", 100)]


async def test_topics_of_connect_count_and_those_beyond_stand_in_its_errors() -> None:
    bench = await started()
    for made, refused in ((8, 1), (4, 5)):
        far_end = bench.newcomer()
        topics = [f"patient:{number}" for number in range(9)]
        far_end.send(type="connect", token=bench.token(patients="*"), subscriptions=topics)
        await bench.settle()
        (welcome,) = far_end.take()
        assert len(welcome["subscriptions"]) == made
        assert [one["code"] for one in welcome["errors"]] == [1010] * refused
        assert [one["topic"] for one in welcome["errors"]] == topics[made:]
        assert all(one["retry_after_ms"] > 0 for one in welcome["errors"])
        assert far_end.close_code is None
        far_end.leave()
        bench.loop.run()


async def test_a_user_who_sends_too_much_is_not_read_on_that_connection() -> None:
    bench = await started(user_bytes_per_second=1024, user_byte_burst=4096)
    first, second = await client(bench), await client(bench)
    first.send_raw(TEXT, KILOBYTE.ljust(3072))
    second.send_raw(TEXT, KILOBYTE.ljust(3072))
    assert (first.reading, second.reading) == (True, False)
    second_limit = bench.manager.settings.inbound.max_message_size
    first.send_raw(TEXT, b"x" * (second_limit + 1))
    assert not first.reading, "what is too large has been read as well"
    bench.pass_time(8)
    assert (first.reading, second.reading) == (True, True)


async def test_a_user_whose_connections_are_closed_again_and_again_must_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "HOLD_OFF", 0)
    bench = await started(refusals=1, burst=1)
    for number in range(OFFENDERS + 1):
        far_end = await bench.client()
        for _ in range(4):
            far_end.send(type="ack", message_id="m")
        await bench.settle()
        assert far_end.close_code == 4110, number
    far_end = bench.newcomer()
    far_end.send(type="connect", token=bench.token())
    await bench.settle()
    assert said(far_end.take()) == [("user", "offences", FORGIVEN_AFTER * 1000)]
    assert far_end.close_code == 4110
    await bench.client("u2")
    bench.pass_time(FORGIVEN_AFTER)
    await bench.client()


async def test_nonsense_counts_against_the_user_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "HOLD_OFF", 0)
    bench = await Workbench().start()
    for _ in range(OFFENDERS + 1):
        far_end = await bench.client()
        for _ in range(20):
            far_end.send_raw(TEXT, b"x")
        await bench.settle()
        assert far_end.close_code == 4503
    far_end = bench.newcomer()
    far_end.send(type="connect", token=bench.token())
    await bench.settle()
    assert far_end.take()[0]["details"] == {"scope": "user", "limit": "offences"}


async def test_too_many_pings_count_as_going_on() -> None:
    bench = await started(control_burst=3)
    for _ in range(OFFENDERS + 1):
        assert not bench.service.rates.is_held_off("u1")
        far_end = await bench.client()
        for _ in range(4):
            far_end.send_raw(9, b"")
        await bench.settle()
        (error,) = far_end.take()
        assert said([error]) == [("connection", "control", STAY_AWAY * 1000)]
        assert far_end.close_code == 4110
    assert bench.service.rates.is_held_off("u1")


async def test_users_who_owe_nothing_are_forgotten() -> None:
    bench = await started()
    far_end = await bench.client()
    assert len(bench.service.rates.users) == 0, "who sent nothing costs nothing"
    await bench.ask(far_end, type="subscribe", topic="type:ecg")
    assert len(bench.service.rates.users) == 0, "nor who has one connection, whose rates are lower"
    far_end.leave()
    bench.loop.run()
    assert len(bench.service.rates.users) == 1
    bench.pass_time(20)
    assert len(bench.service.rates.users) == 0


# -- tokens


def limiter(clock: FakeClock, **rates: Any) -> RateLimiter:
    return RateLimiter(RateLimitSettings(**rates), clock, {})


def test_requests_of_one_subject_share_a_rate() -> None:
    clock = FakeClock()
    rates = limiter(clock, requests_per_second=10.0, request_burst=3)
    for _ in range(3):
        rates.take_request("backend")
    with pytest.raises(ServerError) as refused:
        rates.take_request("backend")
    error = refused.value
    assert (error.kind.code, error.http_status, error.retry_after_ms) == (1010, 429, 100)
    assert error.details == {"scope": "token", "limit": "requests"}
    rates.take_request("other")
    clock.advance(0.1)
    rates.take_request("backend")


def test_none_is_no_limit_for_requests() -> None:
    rates = limiter(FakeClock(), requests_per_second=None, request_burst=1)
    for _ in range(1000):
        rates.take_request("backend")


# -- settings and figures


async def test_new_rates_hold_for_open_connections_at_once() -> None:
    bench = await started()
    far_end = await client(bench)
    await bench.service.reconfigure(Bench(rate_limit={**SMALL, "burst": 2}).manager.settings)
    for _ in range(3):
        far_end.send(type="ping")
    await bench.settle()
    assert [one.get("code") for one in far_end.take()] == [None, None, 1010]


async def test_new_rates_end_pauses() -> None:
    bench = await started(bytes_per_second=1024, byte_burst=2048)
    far_end = await client(bench)
    for _ in range(3):
        far_end.send_raw(TEXT, KILOBYTE)
    assert not far_end.reading
    await bench.service.reconfigure(Bench(rate_limit=SMALL).manager.settings)
    bench.pass_time(0.25)
    assert far_end.reading


async def test_figures_count_what_was_refused_by_scope_and_limit() -> None:
    bench = await started(subscribe_burst=1)
    far_end = await client(bench)
    for _ in range(3):
        far_end.send(type="refresh")
    await bench.settle()
    figures = bench.service.rates.get_metrics()
    assert figures == {
        "refused": {
            "connection_messages": 0, "connection_subscribes": 2, "connection_control": 0,
            "user_messages": 0, "user_subscribes": 0, "user_offences": 0, "token_requests": 0,
        },
        "offenders_closed": 0,
        "users": 0,
        "tokens": 0,
    }  # fmt: skip
