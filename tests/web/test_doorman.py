"""Who gets in while descriptors are short: sockets with numbers of the test's own."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from fake_clock import FakeClock

from wsserver.observe.descriptor_room import DescriptorRoom
from wsserver.web import doorman as doorman_module
from wsserver.web.doorman import AT_ONCE, MAX_REFUSALS, REFUSAL, Doorman

LIMIT = 200
CLIENTS, REQUESTS = 150, 188


class Wire:
    """A transport whose socket has any number."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.protocol: Any = None
        self.written = b""
        self.ended = ""

    def get_extra_info(self, name: str) -> Any:
        assert name == "socket"
        return self

    def fileno(self) -> int:
        return self.descriptor

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


class Guest:
    """An HTTP connection of aiohttp."""

    def __init__(self) -> None:
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def force_close(self) -> None:
        self.transport.close()
        self.transport = None


class House:
    """aiohttp's server: makes protocols and knows them in the order of their coming."""

    def __init__(self) -> None:
        self.connections: list[Guest] = []

    def __call__(self) -> Guest:
        self.connections.append(Guest())
        return self.connections[-1]


class Door:
    def __init__(self) -> None:
        self.used = 0
        self.house = House()
        self.doorman = Doorman()
        room = DescriptorRoom(FakeClock(), read_limit=lambda: LIMIT, count=lambda: self.used)
        self.doorman.open(self.house, room)

    def knock(self, descriptor: int) -> Wire:
        wire = Wire(descriptor)
        self.doorman().connection_made(wire)
        return wire

    @property
    def inside(self) -> list[int]:
        return [one.transport.descriptor for one in self.house.connections if one.transport is not None]


@pytest.fixture
async def door() -> Door:
    return Door()


async def test_with_room_everybody_gets_in(door):
    for descriptor in (10, CLIENTS - 1):
        wire = door.knock(descriptor)
        assert wire.protocol is door.house.connections[-1]
        assert wire.ended == ""
    assert door.inside == [10, CLIENTS - 1]


async def test_before_it_opens_nobody_gets_in():
    wire = Wire(3)
    Doorman()().connection_made(wire)
    assert wire.ended == "aborted"


async def test_requests_may_use_most_of_the_reserve(door):
    door.knock(REQUESTS - 1)
    assert door.inside == [REQUESTS - 1]


async def test_the_last_descriptors_are_for_files(door):
    wire = door.knock(REQUESTS)
    assert door.inside == []
    assert wire.ended == ""
    wire.protocol.data_received(b"GET / HTTP/1.1\r\n")
    assert wire.ended == "closed"
    head, _, body = wire.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 5\r\n" in head
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head
    error = json.loads(body)["error"]
    assert (error["code"], error["retry_after_ms"]) == (1002, 5000)
    assert error["details"] == {"scope": "descriptors"}
    assert door.doorman.refused == 1


async def test_few_of_the_refused_are_waited_for(door):
    waiting = [door.knock(REQUESTS) for _ in range(MAX_REFUSALS)]
    assert door.knock(REQUESTS).ended == "aborted"
    waiting[0].protocol.connection_lost(None)
    assert door.knock(REQUESTS).ended == ""


async def test_the_refused_are_not_waited_for_long(door, monkeypatch):
    monkeypatch.setattr(doorman_module, "REFUSAL_PATIENCE", 0.01)
    wire = door.knock(REQUESTS)
    async with asyncio.timeout(5):
        while not wire.ended:
            await asyncio.sleep(0.005)
    assert wire.ended == "aborted"
    assert wire.written == b""
    wire.protocol.connection_lost(None)


async def test_the_oldest_idle_ones_make_room_for_whoever_comes_next(door):
    for descriptor in range(20, 40):
        door.knock(descriptor)
    door.knock(REQUESTS)
    assert door.inside == list(range(20 + AT_ONCE, 40))
    assert door.doorman.evicted == AT_ONCE


async def test_one_with_a_request_under_way_stays(door):
    for descriptor in (20, 21):
        door.knock(descriptor)
    busy = door.house.connections[0]
    answered = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        await answered.wait()
        return web.Response()

    class Request:
        protocol = busy

    request = asyncio.ensure_future(door.doorman.attend(Request, handler))
    await asyncio.sleep(0)
    door.knock(REQUESTS)
    assert door.inside == [20]
    answered.set()
    await request
    door.knock(REQUESTS)
    assert door.inside == []


async def test_a_failed_request_is_over_as_well(door):
    door.knock(20)

    class Request:
        protocol = door.house.connections[0]

    async def handler(request: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound

    with pytest.raises(web.HTTPNotFound):
        await door.doorman.attend(Request, handler)
    door.knock(REQUESTS)
    assert door.inside == []


async def test_while_the_reserve_is_in_use_the_idle_of_a_whole_second_go(door):
    door.knock(20)
    door.knock(CLIENTS)
    door.doorman.sweep()
    assert door.inside == [20, CLIENTS], "a second has not passed"
    door.used = CLIENTS
    door.knock(30)
    door.doorman.sweep()
    assert door.inside == [30]
    door.doorman.sweep()
    assert door.inside == []


async def test_with_room_idle_ones_are_left_alone(door):
    door.knock(20)
    for _ in range(3):
        door.doorman.sweep()
    assert door.inside == [20]
    # Nor does what was seen in an earlier need count in a later one.
    door.knock(CLIENTS)
    door.doorman.sweep()
    door.doorman.sweep()
    assert door.inside == [20, CLIENTS]


async def test_a_request_between_two_sweeps_is_a_sign_of_life(door):
    door.knock(20)
    door.used = LIMIT
    door.doorman.sweep()

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response()

    class Request:
        protocol = door.house.connections[0]

    await door.doorman.attend(Request, handler)
    door.doorman.sweep()
    assert door.inside == [20]
    door.doorman.sweep()
    assert door.inside == []


def test_the_refusal_is_one_answer_and_closes():
    assert REFUSAL.count(b"HTTP/1.1") == 1
    assert b"\r\nConnection: close\r\n" in REFUSAL
