"""Who may watch, what they may do there, and how they lose their place."""

from pathlib import Path

import msgspec
import pytest
from operator_accounts import ACCOUNTS
from watch_room import WatchRoom

from wsserver.errors import ServerError
from wsserver.overload import Cause
from wsserver.settings import OperatorsSettings


@pytest.fixture
async def room() -> WatchRoom:
    return await WatchRoom().start()


# -- coming in


async def test_a_page_shows_the_value_that_only_our_page_can_read(room: WatchRoom) -> None:
    session = room.signed_in()
    far_end = room.knock(session.operator)
    assert far_end.take() == []
    far_end.send(type="connect", token=session.csrf_token, user_id="olga")
    await room.settle()
    (connected,) = far_end.take()
    assert (connected["type"], connected["user_id"], connected["role"]) == ("connected", "olga", "operator")
    assert connected.get("session_id") is None
    assert len(room.live.viewers) == 1


@pytest.mark.parametrize("shown", ["guessed", "é", "x" * 5000])
async def test_a_page_without_it_is_refused(room: WatchRoom, shown: str) -> None:
    far_end = room.knock(room.signed_in().operator)
    far_end.send(type="connect", token=shown, user_id="olga")
    await room.settle()
    assert (far_end.take()[-1]["code"], far_end.close_code) == (1001, 4501)
    assert len(room.live.viewers) == 0


async def test_a_token_of_clients_is_no_proof_of_a_page(room: WatchRoom) -> None:
    far_end = room.knock(room.signed_in().operator)
    far_end.send(type="connect", token=room.token("olga", "admin", scopes=["admin:read"]))
    await room.settle()
    assert far_end.close_code == 4501


async def test_a_page_is_who_it_signed_in_as(room: WatchRoom) -> None:
    session = room.signed_in()
    far_end = room.knock(session.operator)
    far_end.send(type="connect", token=session.csrf_token, user_id="vera")
    await room.settle()
    assert far_end.close_code == 4501


async def test_a_page_that_says_nothing_is_sent_away(room: WatchRoom) -> None:
    far_end = room.knock(room.signed_in().operator)
    room.second(10)
    assert far_end.close_code == 4001
    room.second(6)
    assert room.gone == 1


async def test_a_sign_in_that_ends_between_handshake_and_first_frame_opens_nothing(room: WatchRoom) -> None:
    session = room.signed_in()
    far_end = room.knock(session.operator)
    room.service.sign_in.sessions.end(session)
    far_end.send(type="connect", token=session.csrf_token)
    await room.settle()
    assert far_end.close_code == 4501


async def test_a_token_in_the_handshake_is_let_in_at_once(room: WatchRoom) -> None:
    far_end = room.knock(await room.with_token())
    (connected,) = far_end.take()
    assert (connected["type"], connected["user_id"], connected["role"]) == ("connected", "grafana", "viewer")


async def test_a_place_is_given_back(room: WatchRoom) -> None:
    page = await room.page()
    page.leave()
    room.loop.run()
    assert room.gone == 1
    assert len(room.live.viewers) == 0


# -- what they may do


@pytest.mark.parametrize(
    "topic", ["patient:123", "patient:*", "*", "type:ecg", "ecg:*", "user:olga", "state:overview"]
)
async def test_nothing_but_panels_can_be_followed(room: WatchRoom, topic: str) -> None:
    for far_end in (await room.page(), room.knock(await room.with_token(patients="*"))):
        far_end.take()
        (answer,) = await room.ask(far_end, type="subscribe", topic=topic)
        assert (answer["type"], answer["code"]) == ("error", 1011)
    assert len(room.live.viewers.manager.subscription_manager) == 0


async def test_nobody_publishes(room: WatchRoom) -> None:
    watching = await room.watching("overview")
    room.second()
    watching.take()
    for far_end in (await room.page(), room.knock(await room.with_token(scopes="admin:read broadcast:all"))):
        far_end.take()
        for target in ({"target_type": "status", "target_id": "overview"}, {"target_type": "all"}):
            (answer,) = await room.ask(far_end, type="broadcast", message={"type": "status"}, **target)
            assert answer["code"] == 1011
    assert watching.take() == []


async def test_a_viewer_hears_nothing_of_what_clients_are_sent(room: WatchRoom) -> None:
    page = await room.page()
    client = await room.client()
    await room.ask(client, type="subscribe", topic="type:ecg")
    room.manager.broadcast_to_all({"type": "note"})
    room.manager.broadcast_to_type("ecg", {"type": "ecg_data"})
    room.loop.run()
    assert len(client.take()) == 2
    assert page.take() == []


async def test_viewers_count_in_no_figure_of_the_server(room: WatchRoom) -> None:
    await room.watching("overview", "slow")
    room.second(3)
    manager = room.manager
    assert (len(manager.connections), manager.opened, manager.limits.total) == (0, 0, 0)
    assert (len(manager.subscription_manager), manager.hub.frames_written) == (0, 0)
    assert room.service.inlet.received_totals() == (0, 0)
    assert room.service.operation_totals() == (0, 0)


async def test_a_renewed_token_gives_no_right_but_to_watch(room: WatchRoom) -> None:
    far_end = room.knock(await room.with_token())
    far_end.take()
    fresh = room.token("grafana", "doctor", patients="*", scopes=["admin:read", "broadcast:all"])
    (answer,) = await room.ask(far_end, type="auth", token=fresh)
    assert answer["type"] == "authenticated"
    (answer,) = await room.ask(far_end, type="subscribe", topic="patient:123")
    assert answer["code"] == 1011


async def test_a_token_without_the_scope_renews_nothing(room: WatchRoom) -> None:
    far_end = room.knock(await room.with_token())
    await room.ask(far_end, type="auth", token=room.token("grafana", "admin", scopes=["metrics:read"]))
    assert far_end.close_code == 4501


# -- when the server is in trouble


async def test_a_server_that_is_full_overloaded_or_drains_has_places_for_viewers(room: WatchRoom) -> None:
    crowded = await WatchRoom(connection={"max_connections": 1}).start()
    await crowded.client()
    await crowded.page()
    room.service.overload.enter(Cause.OPERATOR)
    await room.page()
    room.manager.set_accept_connections(False, cause="drain")
    await room.page()
    assert len(room.live.viewers) == 2


async def test_there_are_only_so_many_places(room: WatchRoom) -> None:
    few = await WatchRoom(status={"max_viewers": 2}).start()
    await few.page()
    await few.page()
    session = few.signed_in()
    far_end = few.knock(session.operator)
    far_end.send(type="connect", token=session.csrf_token)
    await few.settle()
    assert (far_end.take()[-1]["code"], far_end.close_code) == (1002, 4102)


async def test_viewers_take_half_of_the_descriptors_kept_for_requests(
    room: WatchRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert room.live.viewers.limit == 50
    descriptors = room.service.overload.signals.descriptors
    monkeypatch.setattr(descriptors, "_read_limit", lambda: 64)
    descriptors.refresh()
    assert room.live.viewers.limit == 6


# -- losing the place


async def test_whoever_signs_out_is_closed_within_a_second(room: WatchRoom) -> None:
    session = room.signed_in()
    page, other = await room.page(session), await room.page()
    room.service.sign_in.sessions.end(session)
    room.second(1.25)
    assert (page.take()[-1]["code"], page.close_code) == (1001, 4501)
    assert other.close_code is None


@pytest.mark.parametrize("left", [{}, {"olga": msgspec.structs.replace(ACCOUNTS["olga"], role="viewer")}])
async def test_whose_account_is_taken_away_or_changed_is_closed(room: WatchRoom, left: dict) -> None:
    page = await room.page()
    room.service.sign_in.configure(OperatorsSettings(accounts=left))
    room.second(1.25)
    assert page.close_code == 4501


async def test_looking_on_is_no_use_of_a_sign_in() -> None:
    room = await WatchRoom(operators={"idle_timeout": 60}).start()
    page = await room.watching("overview")
    for _ in range(2):
        page.send_raw(10, b"")
        room.second(29)
        assert page.close_code is None
    room.second(3.25)
    assert page.close_code == 4501


async def test_a_token_is_announced_to_expire_and_then_closed_with_4001(room: WatchRoom) -> None:
    far_end = room.knock(await room.with_token(lifetime=80))
    far_end.take()
    room.second(19)
    assert far_end.take() == []
    room.second(2)
    assert [one["type"] for one in far_end.take()] == ["token_expiring"]
    room.second(60)
    assert (far_end.take()[-1]["code"], far_end.close_code) == (1001, 4001)


async def test_a_renewed_token_keeps_its_viewer_in(room: WatchRoom) -> None:
    far_end = room.knock(await room.with_token(lifetime=50))
    room.second(5)
    await room.ask(far_end, type="auth", token=room.token("grafana", "admin", scopes=["admin:read"]))
    far_end.take()
    room.second(60)
    assert far_end.close_code is None


async def test_a_revoked_token_is_closed_with_4511(room: WatchRoom) -> None:
    far_end = room.knock(await room.with_token())
    await room.service.revoke(user_id="grafana")
    room.second(1.25)
    assert far_end.close_code == 4511


async def test_a_viewer_whose_place_is_lost_hears_nothing_more(room: WatchRoom) -> None:
    session = room.signed_in()
    page = await room.page(session)
    await room.ask(page, type="subscribe", topic="status:overview")
    room.second()
    page.take()
    room.service.sign_in.sessions.end(session)
    room.second(1.25)
    after = page.take()
    assert [one["type"] for one in after][-1] == "error"
    room.second(3)
    assert page.take() == []


async def test_what_waits_for_a_viewer_that_loses_its_place_goes_with_it(room: WatchRoom) -> None:
    session = room.signed_in()
    await room.page(session)
    manager = room.live.viewers.manager
    (viewer,) = manager.connections.values()
    manager.subscribe(viewer.connection_id, "status", "overview")
    manager.hub.block(viewer.handle)
    room.second(3)
    room.service.sign_in.sessions.end(session)
    room.second(1.25)
    assert manager.hub.frames_dropped["closed"] >= 1


async def test_new_settings_hold_for_viewers_too(room: WatchRoom) -> None:
    settings = room.service.settings
    changed = msgspec.structs.replace(
        settings, status=msgspec.structs.replace(settings.status, max_viewers=1)
    )
    await room.service.reconfigure(changed)
    room.second(0.25)
    assert room.live.viewers.manager.limits.max_connections == 1
    assert room.live.viewers.limit == 1


async def test_an_audit_that_is_required_and_broken_keeps_nobody_from_looking(tmp_path: Path) -> None:
    room = await WatchRoom(audit={"path": str(tmp_path / "audit.jsonl"), "required": True}).start()
    await room.watching("overview", "alerts")
    assert room.live.viewers.manager.settings.audit.path is None


async def test_the_rights_of_a_token_are_narrowed_to_watching(room: WatchRoom) -> None:
    operator = await room.with_token(patients="*")
    assert operator.principal is not None
    narrowed = room.live.viewers.authenticator.narrowed(operator.principal)
    assert not narrowed.may_see("123")
    assert not narrowed.may_subscribe("patient")
    assert not narrowed.may_wildcard()
    unscoped = msgspec.structs.replace(operator.principal, rest_scopes=frozenset())
    with pytest.raises(ServerError, match="1011"):
        room.live.viewers.authenticator.narrowed(unscoped)


async def test_at_the_end_viewers_are_told_that_the_server_goes(room: WatchRoom) -> None:
    page = await room.page()
    await room.live.stop()
    assert page.close_code == 1001
