"""What is kept for those who come back, and what is known of the rest."""

import random

import msgspec
import pytest
from fake_clock import FakeClock

from wsserver.settings import HistorySettings
from wsserver.store import history as history_module
from wsserver.store.history import BINARY_OVERHEAD, OVERHEAD, TOPIC_OVERHEAD, History
from wsserver_core.outgoing import Frame


class Shelf:
    """A history, with messages that are told by their numbers."""

    def __init__(self, **settings: object) -> None:
        self.clock = FakeClock()
        self.settings = msgspec.structs.replace(HistorySettings(), **settings)
        self.history = History(self.settings, self.clock, self.encode)
        self.heads = [0, 0]
        self.encoded: list[int] = []

    def encode(self, frame: Frame) -> bytes:
        self.encoded.append(frame.seq)
        return b"b" * 50

    def put(
        self,
        topic: str,
        *,
        lane: int = 2,
        of_type: str | None = None,
        size: int = 100,
        sender: object = None,
        binary: bytes | None = None,
    ) -> int:
        self.heads[lane - 1] += 1
        seq = self.heads[lane - 1]
        log = "k1d" if lane == 1 else "k1v"
        frame = Frame(b"x" * size, binary=binary, topic=topic, log=log, seq=seq, lane=lane)
        self.history.keep(frame, of_type, sender)
        return seq

    def seqs(self, order: int = 0, *topics: str) -> list[int]:
        if not topics:
            return [kept.seq for kept in self.history.after(order)]
        found = [self.history.topic(*topic.split(":")) for topic in topics]
        return [kept.seq for kept in self.history.after(order, [one for one in found if one is not None])]

    def pieces(self, order: int, limit: int, *topics: str) -> list[int]:
        """The same as ``seqs``, read a piece at a time."""
        found = [self.history.topic(*topic.split(":")) for topic in topics]
        there = [one for one in found if one is not None] if topics else None
        seqs: list[int] = []
        while order < self.history.order:
            piece, end = self.history.next_after(order, there, limit)
            # It gets on, and stays within the place that it names.
            assert end > order
            assert len(piece) <= limit
            assert all(order < kept.order <= end for kept in piece)
            order = end
            seqs += (kept.seq for kept in piece)
        return seqs

    def evicted(self, name: str, target: str) -> tuple[int, int]:
        return self.history.evicted_of(self.history.topic(name, target))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(size=3)


def test_of_each_topic_the_newest_are_kept(shelf: Shelf) -> None:
    for number in range(6):
        shelf.put("ecg:1" if number % 2 else "ecg:2")
    shelf.put("ecg:1")
    shelf.put("ecg:1")
    assert shelf.seqs() == [1, 3, 5, 6, 7, 8]
    assert shelf.evicted("ecg", "1") == (0, 4)
    assert shelf.evicted("ecg", "2") == (0, 0)
    assert (shelf.history.messages, shelf.history.evicted, shelf.history.last_evicted) == (6, 2, (0, 4))


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 250])
def test_a_piece_at_a_time_it_is_the_same(limit: int) -> None:
    shelf = Shelf(size=60)
    dice = random.Random(limit)
    topics = [f"ecg:{number}" for number in range(12)]
    for _ in range(1_000):
        # One topic that is full, and let go of something, and others that hardly have anything.
        topic = topics[min(int(dice.expovariate(0.7)), 11)]
        shelf.put(topic, lane=dice.choice((1, 2)), of_type=dice.choice((None, "alert")))
    for order in (0, 1, 500, 990, 999, 1_000):
        assert shelf.pieces(order, limit) == shelf.seqs(order)
        for some in (topics, topics[:1], topics[4:7], ["ecg:none"]):
            assert shelf.pieces(order, limit, *some) == shelf.seqs(order, *some)


def test_what_comes_later_does_not_overtake_the_rest_of_a_busy_topic() -> None:
    shelf = Shelf(size=1_000)
    topics = [f"ecg:{number}" for number in range(8)]
    for _ in range(200):
        shelf.put(topics[0])
    for topic in topics[1:]:
        shelf.put(topic)
    for limit in (30, 100, 205):
        assert shelf.pieces(0, limit, *topics) == list(range(1, 208))


def test_a_topic_is_bounded_by_bytes_and_by_age_too() -> None:
    shelf = Shelf(bytes=3 * (100 + OVERHEAD), ttl=10.0)
    for _ in range(4):
        shelf.put("ecg:1")
        shelf.clock.advance(4)
    assert shelf.seqs() == [2, 3, 4]
    shelf.put("ecg:1", size=100 + 2 * (100 + OVERHEAD))
    assert shelf.seqs() == [5]
    shelf.clock.advance(10)
    shelf.history.sweep()
    assert shelf.seqs() == [5]
    shelf.clock.advance(0.1)
    shelf.history.sweep()
    assert shelf.seqs() == []
    assert shelf.evicted("ecg", "1") == (0, 5)


def test_a_sweep_looks_through_so_many_topics_and_goes_on_with_the_next(shelf: Shelf) -> None:
    for number in range(10):
        shelf.put(f"ecg:{number}")
    shelf.clock.advance(1000)
    for left in (6, 2, 0, 0):
        shelf.history.sweep(4)
        assert shelf.history.messages == left


def test_a_type_with_bounds_of_its_own_pushes_nothing_else_out() -> None:
    shelf = Shelf(size=2, size_by_type={"ecg_data": 1}, ttl_by_type={"alert": 1000.0})
    alert = shelf.put("patient:1", lane=1, of_type="alert")
    vitals = [shelf.put("patient:1", lane=1, of_type="vitals") for _ in range(2)]
    waves = [shelf.put("patient:1", lane=1, of_type="ecg_data") for _ in range(50)]
    assert shelf.seqs() == [alert, *vitals, waves[-1]]
    assert shelf.seqs(0, "patient:1") == shelf.seqs()
    assert shelf.evicted("patient", "1") == (waves[-2], 0)
    shelf.put("patient:1", lane=1, of_type=None)
    # A later message is gone already: what is remembered does not go back.
    assert shelf.evicted("patient", "1") == (waves[-2], 0)
    shelf.clock.advance(700)
    shelf.history.sweep()
    assert shelf.seqs() == [alert]


def test_a_count_of_nothing_keeps_nothing_and_remembers_what_is_lost() -> None:
    shelf = Shelf(size=0)
    shelf.put("ecg:1")
    assert shelf.seqs() == []
    assert shelf.evicted("ecg", "1") == (0, 1)


def test_new_bounds_hold_for_what_is_there(shelf: Shelf) -> None:
    for _ in range(3):
        shelf.put("ecg:1", of_type="ecg_data")
    shelf.history.configure(msgspec.structs.replace(shelf.settings, size=1))
    shelf.history.sweep()
    assert shelf.seqs() == [3]
    shelf.history.configure(msgspec.structs.replace(shelf.settings, size_by_type={"ecg_data": 2}))
    for _ in range(3):
        shelf.put("ecg:1", of_type="ecg_data")
    shelf.put("ecg:1")
    assert shelf.seqs() == [3, 5, 6, 7]
    shelf.history.configure(msgspec.structs.replace(shelf.settings, size_by_type={}))
    assert shelf.seqs() == [3, 5, 6, 7]


def test_beyond_the_budget_the_oldest_go_first_whatever_their_topic_and_log() -> None:
    shelf = Shelf(max_total_bytes=2 * TOPIC_OVERHEAD + 4 * (100 + OVERHEAD))
    shelf.put("ecg:1", lane=2)
    shelf.put("ecg:2", lane=1)
    shelf.put("ecg:1", lane=2)
    shelf.put("ecg:2", lane=1)
    assert shelf.history.messages == 4
    shelf.put("ecg:2", lane=1)
    shelf.put("ecg:2", lane=1)
    left = [(kept.frame.lane, kept.seq) for kept in shelf.history.after(0)]
    assert left == [(2, 2), (1, 2), (1, 3), (1, 4)]
    assert (shelf.evicted("ecg", "1"), shelf.evicted("ecg", "2")) == ((0, 1), (1, 0))


def test_what_is_read_begins_behind_a_place_and_is_in_the_order_of_delivery(shelf: Shelf) -> None:
    topics = ["ecg:1", "patient:1", "*", "ecg:1", "patient:2", "*"]
    for number, topic in enumerate(topics):
        shelf.put(topic, lane=1 + number % 2)
    orders = [kept.order for kept in shelf.history.after(0)]
    assert orders == [1, 2, 3, 4, 5, 6]
    assert [kept.order for kept in shelf.history.after(4)] == [5, 6]
    everybody = shelf.history.topic("*", "")
    ecg = shelf.history.topic("ecg", "1")
    assert everybody is not None
    assert ecg is not None
    assert (everybody.text, ecg.text) == ("*", "ecg:1")
    assert [kept.order for kept in shelf.history.after(1, [everybody, ecg])] == [3, 4, 6]
    assert {one.text for one in shelf.history.topics_of("patient")} == {"patient:1", "patient:2"}
    assert list(shelf.history.topics_of("vitals")) == []


def test_a_position_is_found_in_both_logs(shelf: Shelf) -> None:
    for lane in (1, 2, 2, 1, 1):
        shelf.put(f"ecg:{lane}", lane=lane)
    assert shelf.history.before((0, 0)) == 0
    assert shelf.history.before((1, 0)) == 1
    assert shelf.history.before((3, 0)) == 1
    assert shelf.history.before((1, 2)) == 3
    assert shelf.history.before((2, 2)) == 4
    assert shelf.history.before((3, 2)) == 5
    assert shelf.history.before((99, 99)) == 5


def test_a_frame_is_sent_again_with_the_same_bytes_and_counters_of_its_own(shelf: Shelf) -> None:
    sender = object()
    shelf.put("ecg:1", sender=sender)
    (kept,) = shelf.history.after(0)
    again = kept.again
    assert again is kept.again
    assert again is not kept.frame
    assert again.wire is kept.frame.wire
    assert (again.topic, again.log, again.seq, again.lane) == ("ecg:1", "k1v", 1, 2)
    assert kept.sender is sender


def test_what_has_been_evicted_holds_no_bytes_wherever_it_still_stands() -> None:
    shelf = Shelf(size=1)
    shelf.put("quiet:1", size=3)
    for _ in range(500):
        shelf.put("ecg:1", size=5000)
    frames = [kept.frame for log in shelf.history._logs for kept in log._items]
    assert sum(len(frame.wire) for frame in frames) == 5003


def test_a_quiet_topic_does_not_keep_the_places_of_a_million_others() -> None:
    shelf = Shelf(size=1)
    shelf.put("quiet:1")
    for _ in range(5000):
        shelf.put("ecg:1")
    assert len(shelf.history._logs[1]) < 2000
    assert shelf.seqs() == [1, 5001]


def test_of_too_many_topics_those_that_were_emptied_first_are_summed_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history_module, "MAX_TOPICS", 3)
    shelf = Shelf(size=0, size_by_type={"alert": 5})
    for number in (1, 2, 3):
        shelf.put(f"ecg:{number}")
    shelf.put("ecg:1")
    shelf.put("ward:9", of_type="alert")
    assert shelf.history.topics == 3
    # ecg:2 is forgotten: of it, and of what nobody has heard of, only its own loss is known.
    assert shelf.evicted("ecg", "2") == shelf.evicted("ecg", "77") == (0, 2)
    assert shelf.evicted("ecg", "3") == (0, 3)
    assert shelf.evicted("ecg", "1") == (0, 4)
    assert shelf.evicted("ward", "9") == (0, 0)
    before = shelf.history.bytes
    shelf.put("ecg:2")
    assert shelf.history.bytes == before
    assert shelf.evicted("ecg", "2") == (0, 6)


def test_a_topic_that_was_forgotten_does_not_come_back_without_its_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history_module, "MAX_TOPICS", 1)
    shelf = Shelf(size_by_type={"brief": 0})
    for lane in (1, 2):
        shelf.put("ecg:1", lane=lane, of_type="brief")
    shelf.put("ecg:2")
    assert shelf.history.topic("ecg", "1") is None
    shelf.put("ecg:1")
    assert shelf.evicted("ecg", "1") == (1, 1)


def test_topics_that_lost_something_are_told_the_latest_first(shelf: Shelf) -> None:
    shelf = Shelf(size=0)
    shelf.put("ecg:1")
    shelf.put("ecg:2")
    known = shelf.history.evicted
    assert [topic.text for topic in shelf.history.lost_since(0)] == ["ecg:2", "ecg:1"]
    shelf.put("ecg:1")
    assert [topic.text for topic in shelf.history.lost_since(known)] == ["ecg:1"]
    assert [topic.text for topic in shelf.history.lost_since(0)] == ["ecg:1", "ecg:2"]


def test_beyond_the_budget_the_oldest_go_first_whatever_their_type() -> None:
    shelf = Shelf(max_total_bytes=TOPIC_OVERHEAD + 3 * (100 + OVERHEAD), size_by_type={"alert": 9})
    shelf.put("ecg:1", of_type=None)
    alert = shelf.put("ecg:1", of_type="alert")
    shelf.put("ecg:1", of_type=None)
    shelf.put("ecg:1", of_type=None)
    last = shelf.put("ecg:1", of_type=None)
    assert shelf.seqs() == [alert + 1, alert + 2, last]


def test_what_is_lost_at_the_beginning_is_known_to_be_lost(shelf: Shelf) -> None:
    shelf.put("ecg:1")
    shelf.history.begin((7, 0))
    assert shelf.history.last_evicted == shelf.history.forgotten == (7, 0)
    shelf.put("ecg:1", lane=1)
    assert shelf.evicted("ecg", "1") == (7, 0)


def test_what_has_been_let_go_of_takes_no_place_and_no_frame() -> None:
    shelf = Shelf(ttl=10.0)
    for lane in (1, 2):
        shelf.put("ecg:1", lane=lane)
    every = list(shelf.history.after(0))
    assert all(kept.again is not None for kept in every)
    shelf.clock.advance(11)
    shelf.history.sweep()
    assert [len(log) for log in shelf.history._logs] == [0, 0]
    assert all(kept.frame.wire == b"" and kept._again is None for kept in every)


def test_topics_that_are_not_used_any_more_leave_the_budget_to_messages() -> None:
    shelf = Shelf(max_total_bytes=20 * TOPIC_OVERHEAD, ttl=10.0)
    for number in range(100):
        shelf.put(f"patient:{number}")
    shelf.clock.advance(20)
    shelf.history.sweep()
    assert shelf.history.messages == 0
    kept = [shelf.put("patient:7") for _ in range(15)]
    assert shelf.seqs() == kept
    assert shelf.history.bytes <= 20 * TOPIC_OVERHEAD
    # Those that were emptied last are remembered, one by one.
    assert shelf.evicted("patient", "99") == (0, 100)


def test_only_what_has_a_place_is_kept(shelf: Shelf) -> None:
    with pytest.raises(ValueError, match="topic and a log"):
        shelf.history.keep(Frame(b"x"), None)
    with pytest.raises(ValueError, match="topic and a log"):
        shelf.history.keep(Frame(b"x", topic="ecg:1"), None)


# -- the binary form

KEPT = 100 + OVERHEAD
BINARY = 50 + BINARY_OVERHEAD


def has_binary(shelf: Shelf) -> list[bool]:
    return [kept.binary is not None for kept in shelf.history.after(0)]


def test_a_message_that_lacks_the_binary_form_is_encoded_once_when_somebody_needs_it(shelf: Shelf) -> None:
    shelf.put("ecg:1")
    shelf.put("ecg:1", binary=b"live")
    lacking, whole = shelf.history.after(0)
    for _ in range(2):
        assert shelf.history.binary_of(lacking).binary == b"b" * 50
        assert shelf.history.binary_of(whole).binary == b"live"
    assert shelf.encoded == [1]
    # Those who speak JSON get the same frame as before, or one with the same bytes.
    assert lacking.again.wire is lacking.frame.wire
    assert lacking.frame.binary is None


def test_the_binary_form_counts_in_the_budget_and_goes_with_its_message(shelf: Shelf) -> None:
    shelf.put("ecg:1")
    assert shelf.history.bytes == TOPIC_OVERHEAD + KEPT
    for kept in shelf.history.after(0):
        shelf.history.binary_of(kept)
    assert shelf.history.bytes == TOPIC_OVERHEAD + KEPT + BINARY
    shelf.put("ecg:1", binary=b"b" * 50)
    assert shelf.history.bytes == TOPIC_OVERHEAD + 2 * (KEPT + BINARY)
    for _ in range(3):
        shelf.put("ecg:1")
    assert shelf.history.bytes == TOPIC_OVERHEAD + 3 * KEPT
    shelf.put("ecg:1", binary=b"b" * 50)
    shelf.history.begin()
    assert shelf.history.bytes == 0


def test_what_is_kept_of_a_topic_does_not_depend_on_who_speaks_what() -> None:
    shelf = Shelf(bytes=3 * KEPT)
    for _ in range(4):
        shelf.put("ecg:1", binary=b"b" * 500)
    assert shelf.seqs() == [2, 3, 4]


def test_without_room_the_binary_forms_go_before_any_message_the_oldest_first() -> None:
    shelf = Shelf(max_total_bytes=TOPIC_OVERHEAD + 4 * KEPT + BINARY)
    shelf.put("ecg:1", binary=b"b" * 50)
    shelf.put("ecg:1")
    first, second = shelf.history.after(0)
    frame = shelf.history.binary_of(second)
    shelf.put("ecg:1")
    assert has_binary(shelf) == [True, True, False]
    shelf.put("ecg:1")
    assert has_binary(shelf) == [False, True, False, False]
    assert first.frame.wire == first.again.wire == b"x" * 100
    shelf.put("ecg:1")
    assert (shelf.seqs(), has_binary(shelf)) == ([2, 3, 4, 5], [False] * 4)
    assert frame.binary == b"b" * 50


def test_there_is_always_a_frame_even_when_there_is_no_room_to_keep_its_form() -> None:
    shelf = Shelf(max_total_bytes=TOPIC_OVERHEAD + KEPT)
    shelf.put("ecg:1")
    (kept,) = shelf.history.after(0)
    for _ in range(2):
        assert shelf.history.binary_of(kept).binary == b"b" * 50
        assert kept.binary is None
    assert shelf.encoded == [1, 1]
    assert shelf.history.bytes == TOPIC_OVERHEAD + KEPT
    assert shelf.seqs() == [1]
