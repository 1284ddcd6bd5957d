"""How much one slice sends, and whose turn it is: nobody waits for those who catch up, nor they for ever."""

import pytest
from pier import QUEUED, Pier, read_all

from wsserver_core.outgoing import DATA, Frame

SLICE = 512 * 1024
"""Bytes from which on a slice takes nobody more."""


def published(size: int, seq: int = 1) -> Frame:
    return Frame(b"x" * size, None, DATA, topic="t", log="d", seq=seq, lane=1)


def catching_up(pier: Pier, size: int = 10) -> int:
    """A connection with something replayed that waits to be sent."""
    handle, _ = pier.open()
    pier.hub.set_out(handle, (0, 0), True)
    assert pier.ledger.replay(handle, published(size)) == QUEUED
    return handle


def served(pier: Pier, handles: list[int]) -> list[int]:
    """The places of those that have nothing waiting any more."""
    figures = [pier.hub.connection_figures(handle) for handle in handles]
    return [place for place, one in enumerate(figures) if one is not None and one[2] == 0]


class TestBytes:
    @pytest.mark.parametrize("size", [60_000, 200_000])
    def test_a_slice_ends_with_the_connection_that_fills_it(self, pier: Pier, size: int) -> None:
        opened = [pier.open_socket(1 << 20) for _ in range(20)]
        for handle, _, _ in opened:
            pier.ledger.enqueue(handle, published(size))
        pier.hub.flush_slice()
        sent = [len(read_all(peer)) for _, _, peer in opened]
        first = -(-SLICE // size)
        assert sent == [size] * first + [0] * (20 - first)
        assert pier.hub.dirty_connections == 20 - first
        pier.loop.run()
        assert [len(read_all(peer)) for _, _, peer in opened] == [0] * first + [size] * (20 - first)

    def test_what_goes_through_transports_counts_as_far_as_they_are_given_it(self, pier: Pier) -> None:
        pier.hub.max_queue_bytes = 1 << 22
        handles = [pier.open()[0] for _ in range(12)]
        for handle in handles:
            pier.ledger.enqueue(handle, published(50_000))
            pier.ledger.enqueue(handle, published(50_000))
        pier.hub.flush_slice()
        assert pier.hub.dirty_connections == 12
        # Eight times 64 KiB fill it: these have one of two messages left.
        left = [figures[2] for handle in handles if (figures := pier.hub.connection_figures(handle))]
        assert left == [1] * 8 + [2] * 4

    def test_one_message_over_the_bound_is_sent_all_the_same(self, pier: Pier) -> None:
        handles = [pier.open()[0] for _ in range(3)]
        for handle in handles:
            pier.ledger.enqueue(handle, published(900_000))
        for turn in range(1, 4):
            pier.hub.flush_slice()
            assert len(served(pier, handles)) >= turn
        assert pier.hub.dirty_connections == 0

    def test_many_small_messages_do_not_reach_it(self, pier: Pier) -> None:
        handles = [pier.open()[0] for _ in range(100)]
        for handle in handles:
            pier.ledger.enqueue(handle, published(200))
        pier.hub.flush_slice()
        assert pier.hub.dirty_connections == 0


class TestThoseWhoCatchUp:
    def test_they_come_behind_all_others(self, pier: Pier) -> None:
        pier.hub.batch_size = 4
        behind = [catching_up(pier) for _ in range(6)]
        live = [pier.open()[0] for _ in range(2)]
        for handle in live:
            pier.ledger.enqueue(handle, published(10))
        pier.hub.flush_slice()
        assert served(pier, live) == [0, 1]
        assert served(pier, behind) == [0, 1]
        pier.hub.flush_slice()
        assert served(pier, behind) == [0, 1, 2, 3, 4, 5]

    def test_one_of_them_is_served_however_much_is_published(self, pier: Pier) -> None:
        pier.hub.batch_size = 3
        behind = [catching_up(pier) for _ in range(3)]
        live = [pier.open()[0] for _ in range(9)]
        for handle in live:
            pier.ledger.enqueue(handle, published(10))
        for turn in range(1, 4):
            pier.hub.flush_slice()
            assert served(pier, behind) == list(range(turn))
            assert served(pier, live) == list(range(3 * turn))

    def test_nor_do_large_messages_keep_it_from_being_served(self, pier: Pier) -> None:
        behind = [catching_up(pier, 200_000) for _ in range(3)]
        live = [pier.open()[0] for _ in range(2)]
        for handle in live:
            pier.ledger.enqueue(handle, published(600_000))
        for turn in range(1, 3):
            pier.hub.flush_slice()
            assert served(pier, live) == list(range(turn))
            assert served(pier, behind) == list(range(turn))

    def test_a_batch_of_one_serves_both(self, pier: Pier) -> None:
        pier.hub.batch_size = 1
        behind, (live, _) = catching_up(pier), pier.open()
        pier.ledger.enqueue(live, published(10))
        pier.hub.flush_slice()
        assert served(pier, [live, behind]) == [0, 1]

    def test_what_follows_live_leaves_behind_the_replay(self, pier: Pier) -> None:
        pier.hub.batch_size = 1
        handle, transport = pier.open()
        pier.hub.set_out(handle, (0, 0), True)
        pier.ledger.replay(handle, Frame(b"<1>", None, DATA, topic="t", log="d", seq=1, lane=1))
        pier.hub.go_live(handle)
        pier.ledger.enqueue_many([handle], Frame(b"<2>", None, DATA, topic="t", log="d", seq=2, lane=1))
        assert pier.hub.dirty_connections == 1
        pier.loop.run()
        assert transport.sent == b"<1><2>"
        # From here on it is one of the others.
        behind = catching_up(pier)
        pier.ledger.enqueue_many([handle], published(10, 3))
        pier.hub.flush_slice()
        assert served(pier, [handle, behind]) == [0, 1]

    def test_the_heir_of_a_slot_that_waited_behind_is_served(self, pier: Pier) -> None:
        pier.hub.release(catching_up(pier))
        heir, transport = pier.open()
        pier.ledger.enqueue(heir, Frame(b"mine"))
        assert pier.hub.dirty_connections == 1
        pier.loop.run()
        assert transport.sent == b"mine"

    def test_both_lines_survive_a_growing_table(self, pier: Pier) -> None:
        def open_behind() -> int:
            handle, _ = pier.open()
            pier.hub.set_out(handle, (0, 0), True)
            assert pier.hub.replay(handle, published(10)) == QUEUED
            return handle

        behind = [open_behind() for _ in range(30)]
        live = [pier.open()[0] for _ in range(50)]
        for handle in live:
            assert pier.hub.enqueue(handle, published(10)) == QUEUED
        behind += [open_behind() for _ in range(200)]
        assert pier.hub.dirty_connections == 280
        pier.loop.run()
        assert (len(served(pier, live)), len(served(pier, behind))) == (50, 230)


def test_many_are_replayed_as_long_as_there_is_room(pier: Pier) -> None:
    pier.hub.max_queue_messages = 40
    handle, transport = pier.open()
    pier.hub.set_out(handle, (0, 0), True)
    frames = [Frame(b"<%d>" % seq, None, DATA, topic="t", log="d", seq=seq, lane=1) for seq in range(1, 21)]
    assert pier.hub.replay_many(handle, []) == 0
    assert pier.hub.replay_many(handle, frames) == 10
    pier.loop.run()
    assert pier.hub.replay_many(handle, frames[10:]) == 10
    pier.loop.run()
    assert bytes(transport.sent) == b"".join(frame.wire for frame in frames)
    assert pier.hub.frames_replayed == 20
    pier.hub.release(handle)
    assert pier.hub.replay_many(handle, frames) == 0


class Watch:
    """A stopwatch that each look moves on."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 1.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class TestTurns:
    @pytest.mark.parametrize(
        ("step", "slices"),
        [(0.0, 4), (0.0001, 4), (0.0006, 1), (0.0004, 2)],
        ids=["no time at all", "short slices", "long slices", "slices of 1.6 ms"],
    )
    def test_a_turn_takes_slices_while_it_is_young_but_at_most_four(
        self, pier: Pier, step: float, slices: int
    ) -> None:
        pier.hub.batch_size = 2
        handles = [pier.open_socket()[0] for _ in range(20)]
        pier.hub.stopwatch = Watch(step)
        for handle in handles:
            pier.ledger.enqueue(handle, published(10))
        pier.hub.flush_turn()
        assert served(pier, handles) == list(range(2 * slices))
        pier.loop.run()
        assert len(served(pier, handles)) == 20

    def test_without_a_stopwatch_a_turn_is_one_slice(self, pier: Pier) -> None:
        pier.hub.batch_size = 2
        handles = [pier.open_socket()[0] for _ in range(6)]
        for handle in handles:
            pier.ledger.enqueue(handle, published(10))
        pier.hub.flush_turn()
        assert served(pier, handles) == [0, 1]
