"""Tables of the core say how much memory they take, with everything that hangs on them."""

import sys

from house import House
from reference_frames import TEXT

from wsserver_core.filters import FilterInterner, FilterLimits
from wsserver_core.frames import encode_frame
from wsserver_core.outgoing import Frame
from wsserver_core.pulse import Pulse
from wsserver_core.scopes import Scope
from wsserver_core.topics import TopicIndex

LEAST_SLOT = 150
LEAST_BEAT = 32 + 16
LEAST_ROW = 56 + 4


def test_a_hub_counts_its_slots_and_the_rings_of_waiting_frames(house: House) -> None:
    empty = sys.getsizeof(house.hub)
    connections = [house.connect(room=0)[0] for _ in range(100)]
    full = sys.getsizeof(house.hub)
    assert 100 * LEAST_SLOT <= full - empty <= 100 * 2 * LEAST_SLOT
    for _ in range(33):
        connections[0].send_frame(Frame(encode_frame(TEXT, b"x")))
    assert sys.getsizeof(house.hub) - full == 64 * 8


def test_a_slot_that_is_used_again_takes_nothing_more(house: House) -> None:
    _, transport = house.connect()
    size = sys.getsizeof(house.hub)
    transport.lose()
    house.loop.run()
    house.connect()
    assert sys.getsizeof(house.hub) == size


def test_heartbeats_count_each_slot_and_its_place_on_the_wheel(house: House) -> None:
    pulse = Pulse(house.hub, interval=30.0, timeout=90.0)
    empty = sys.getsizeof(pulse)
    for _ in range(100):
        pulse.watch(house.connect()[0].handle)
    assert sys.getsizeof(pulse) - empty == 100 * LEAST_BEAT


def test_the_index_counts_seats_and_rows() -> None:
    index, scope = TopicIndex(), Scope(None)
    program = FilterInterner(FilterLimits()).intern({})
    empty = sys.getsizeof(index)
    for slot in range(100):
        index.admit(1 << 32 | slot, scope, None)
    seated = sys.getsizeof(index)
    assert seated - empty >= 100 * 40
    for slot in range(100):
        index.add(1 << 32 | slot, "type", "ecg", program, 0.0)
    assert sys.getsizeof(index) - seated >= 100 * LEAST_ROW
