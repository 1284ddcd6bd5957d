"""The operations of the core of which a server's work is made, each ready to be done again and again.

Timed by pytest-benchmark (``test_operations.py``), and counted in instructions (``counted.py``).
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from benchmarks.filtering.finders import Index
from benchmarks.filtering.populations import POPULATIONS
from benchmarks.micro.crowd import Crowd, masked
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.meta import Meta
from wsserver.protocol.topic import Topic
from wsserver_core.envelope import encode_message
from wsserver_core.frames import BINARY, TEXT, FrameReader, ReadLimits, UnfinishedBudget, encode_frame
from wsserver_core.outgoing import DATA, Frame
from wsserver_core.pulse import Pulse
from wsserver_core.wheel import Wheel

SOCKETS: Final = 100
HEARTBEATS: Final = 1_000
SUBSCRIPTIONS: Final = 1_000


def message() -> dict[str, Any]:
    """200 bytes of JSON."""
    body = {"type": "ecg_data", "n": 0, "pad": ""}
    body["pad"] = "x" * (200 - len(msgspec.json.encode(body)))
    return body


def _nothing() -> None:
    """What most operations need between two series of calls."""


@dataclass(frozen=True, slots=True)
class Ready:
    """An operation that can be done."""

    call: Callable[[], object]
    reset: Callable[[], object] = _nothing
    """To be called now and then: what the calls have heaped up goes away."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation by name."""

    group: str
    name: str
    build: Callable[[], Ready]
    calls: int
    """So many take about a millisecond; of those that differ from call to call, a whole round of them."""

    @property
    def full_name(self) -> str:
        """With its group."""
        return f"{self.group}: {self.name}"


_META: Final = Meta("m_0123456789abcdef01234567", "ecg:bed-7", "246da229v", 1_234, "2026-01-01T00:00:00.000Z")
_TIME: Final = 1_767_225_600_000_000


def _encode_frame() -> Ready:
    payload = msgspec.json.encode(message())
    return Ready(lambda: encode_frame(TEXT, payload))


def _published(body: dict[str, Any]) -> PublishedMessage:
    return PublishedMessage(body, topic=Topic("ecg", "bed-7"), max_size=1 << 20)


def _encode_json() -> Ready:
    published = _published(message())
    return Ready(lambda: published.encode(_META))


def _check_message() -> Ready:
    body = message()
    return Ready(lambda: _published(body))


def _encode_binary(samples: int, threshold: int | None) -> Callable[[], Ready]:
    body: dict[str, Any] = {"_meta": {"id": _META.id, "log": _META.log}, **message()}
    if samples:
        body["data"] = [(number * 37) % 401 - 200 for number in range(samples)]

    def once() -> bytes:
        return encode_message(
            body,
            topic="ecg:bed-7",
            seq=1_234,
            time=_TIME,
            sample_fields=("data",),
            compression_threshold=threshold,
        )

    return lambda: Ready(once)


def _read(opcode: int, frames: int) -> Callable[[], Ready]:
    def build() -> Ready:
        reader = FrameReader(ReadLimits(1 << 20, 1 << 20, 16), UnfinishedBudget(1 << 20))
        data = masked(opcode, msgspec.json.encode(message())) * frames
        return Ready(lambda: reader.feed(data))

    return build


def _match(population: int, share: str) -> Callable[[], Ready]:
    def build() -> Ready:
        made = POPULATIONS[population](SUBSCRIPTIONS, SUBSCRIPTIONS // 25)
        index = Index(made)
        one = made.message(share, 0)
        return Ready(lambda: index.select(one))

    return build


def _subscribe_index() -> Ready:
    made = POPULATIONS[0](SUBSCRIPTIONS, SUBSCRIPTIONS // 25)
    index = Index(made)
    handle = 1 << 32 | 0
    program = index.interner.intern(made.filters[0])

    def come_and_go() -> None:
        index.index.remove(index.index.add(handle, "ecg", "bed-7", program, 0.0))

    return Ready(come_and_go)


def _frame() -> Frame:
    wire = encode_frame(TEXT, msgspec.json.encode(message()))
    return Frame(wire, None, DATA, topic="ecg:bed-7", log="246da229v", seq=1, lane=1, time=_TIME)


def _enqueue() -> Ready:
    crowd = Crowd(SOCKETS)
    frame = _frame()
    return Ready(lambda: crowd.hub.enqueue_many(crowd.recipients, frame), crowd.hub.flush_all)


def _flush(joined: int) -> Callable[[], Ready]:
    def build() -> Ready:
        crowd = Crowd(SOCKETS)
        frame = _frame()

        def once() -> None:
            for _ in range(joined):
                crowd.hub.enqueue_many(crowd.recipients, frame)
            crowd.hub.flush_all()

        return Ready(once)

    return build


def _heartbeats() -> Ready:
    crowd = Crowd(HEARTBEATS)
    # As many pings a tick as 10,000 connections have with 30 s.
    pulse = Pulse(crowd.hub, interval=3.0, timeout=9.0, seed=1)
    pulse.begin(0.0)
    for handle in crowd.handles:
        pulse.watch(handle, mortal=False)
    times = itertools.count(1)

    def tick() -> None:
        pulse.advance(next(times) * 0.25, 7)
        crowd.hub.flush_all()

    return Ready(tick)


def _wheel() -> Ready:
    wheel = Wheel()
    numbers = range(SOCKETS)
    put = wheel.put

    def turn() -> None:
        due = wheel.tick + 1
        for number in numbers:
            put(number, due)
        wheel.turn()
        wheel.due()

    return Ready(turn)


OPERATIONS: Final = (
    Operation("encode", "a frame of 200 B", _encode_frame, 2_000),
    Operation("encode", "a message of 200 B is checked", _check_message, 200),
    Operation("encode", "a message of 200 B in JSON", _encode_json, 1_000),
    Operation("encode", "a message of 200 B in binary", _encode_binary(0, None), 500),
    Operation("encode", "250 samples in binary", _encode_binary(250, None), 200),
    Operation("encode", "2,500 samples in binary, LZ4", _encode_binary(2_500, 0), 20),
    Operation("read", "a text frame of 200 B", _read(TEXT, 1), 1_000),
    Operation("read", "a binary frame of 200 B", _read(BINARY, 1), 1_000),
    Operation("read", "16 text frames at once", _read(TEXT, 16), 100),
    Operation("match", "1 % of 1,000 subscriptions", _match(0, "hundredth"), 200),
    Operation("match", "all of 1,000 subscriptions", _match(0, "all"), 20),
    Operation("match", "a subscription comes and goes", _subscribe_index, 500),
    Operation("send", f"enqueue for {SOCKETS} sockets", _enqueue, 100),
    Operation("send", f"enqueue and flush for {SOCKETS} sockets", _flush(1), 20),
    Operation("send", f"enqueue 16 and flush for {SOCKETS} sockets", _flush(16), 5),
    Operation("heartbeat", f"a tick, {HEARTBEATS:,} connections every 3 s", _heartbeats, 24),
    Operation("heartbeat", "100 numbers on the wheel and off", _wheel, 100),
)
