"""The table of routes: what is served is what stands in it, and it says of each all that it should."""

import re

import pytest
from aiohttp import web

from wsserver.connection_manager import ConnectionManager
from wsserver.settings import AuthSettings, Settings
from wsserver.web.app import setup
from wsserver.web.route import ANY_METHOD, Door, Route
from wsserver.web.routes import routes_of

SETTINGS = Settings(auth=AuthSettings(secret="a secret of these tests that is long enough"))
EVERY_ROUTE = routes_of(dev=True, demo=True)


def served(**how: bool) -> set[tuple[str, str]]:
    app = web.Application()
    setup(app, SETTINGS, manager=ConnectionManager(SETTINGS), **how)
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    }


@pytest.mark.parametrize("how", [{}, {"dev": True}, {"demo": True}, {"dev": True, "demo": True}])
def test_what_is_served_is_what_stands_in_the_table(how: dict[str, bool]) -> None:
    table = routes_of(**how)
    heads = {("HEAD", route.shown_path) for route in table if route.head}
    assert served(**how) == {(route.method, route.shown_path) for route in table} | heads
    assert len(table) == len({(route.method, route.path) for route in table})


def each(route: Route) -> str:
    return f"{route.shown_method} {route.shown_path}"


@pytest.mark.parametrize("route", EVERY_ROUTE, ids=each)
def test_a_route_says_what_it_does(route: Route) -> None:
    assert route.summary
    assert not route.summary.endswith(".")
    assert route.description.endswith(".")
    assert all(answer.text.endswith(".") for answer in route.answers)
    assert all(refusal.text.endswith(".") for refusal in route.all_refusals())
    assert set(route.place) == set(re.findall(r"\{(\w+)\}", route.shown_path)), "every parameter is described"
    assert route.method == ANY_METHOD or not route.head or route.method == "GET"


@pytest.mark.parametrize("route", EVERY_ROUTE, ids=each)
def test_a_route_has_scopes_when_its_door_asks_for_some(route: Route) -> None:
    asks = route.door in (Door.BEARER, Door.OPERATOR)
    assert bool(route.scopes) is asks
    assert {401, 403, 429} <= route.statuses() or not asks


def test_names_are_told_apart() -> None:
    names = [route.name for route in EVERY_ROUTE]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z0-9_]+", name) for name in names)
    assert "post_ws_broadcast_patient_patient_id" in names


def test_a_pattern_in_a_path_is_not_shown() -> None:
    (files,) = [route for route in EVERY_ROUTE if route.path.startswith("/ws/client/")]
    assert files.path != files.shown_path == "/ws/client/{name}"
