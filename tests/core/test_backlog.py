"""The queues of those who do not keep up: states, conflation, and room for what matters."""

import pytest
from pier import QUEUED, Pier, queue_of, read_all, recipients
from press import Press, drain, stalled
from recording_transport import HubSide

from wsserver_core.outgoing import DATA, DROP_REASONS, Frame

SLOW = DROP_REASONS.index("slow")


@pytest.fixture
def press() -> Press:
    return Press()


class TestBecomingSlow:
    def test_by_the_number_of_messages_while_the_socket_is_full(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 8
        handle, _ = stalled(pier)
        for number in range(4):
            pier.ledger.enqueue(handle, Frame(b"x"))
            assert not pier.hub.is_slow(handle), number
        pier.ledger.enqueue(handle, Frame(b"x"))
        assert pier.hub.is_slow(handle)
        assert (pier.hub.slow_count, pier.hub.slow_entered) == (1, 1)
        assert pier.hub.slow_handles() == [handle]

    def test_by_bytes_while_the_socket_is_full(self, pier: Pier) -> None:
        pier.hub.max_queue_bytes = 100
        handle, _ = stalled(pier)
        pier.ledger.enqueue(handle, Frame(b"x" * 30))
        pier.ledger.enqueue(handle, Frame(b"x" * 20))
        assert not pier.hub.is_slow(handle)
        pier.ledger.enqueue(handle, Frame(b"x"))
        assert pier.hub.is_slow(handle)

    def test_by_the_time_its_oldest_byte_has_waited(self, pier: Pier) -> None:
        handle, _ = pier.open(room=1)
        pier.hub.now = 10.0
        pier.ledger.enqueue(handle, Frame(b"xx"))
        pier.loop.run()
        pier.hub.sweep_slow(10.0, 0.0)
        assert not pier.hub.is_slow(handle)
        pier.hub.sweep_slow(10.1, 0.0)
        assert pier.hub.is_slow(handle)

    def test_one_that_takes_a_little_now_and_then_is_slow_all_the_same(self, pier: Pier) -> None:
        """Each byte makes it writable anew; what counts is how old the oldest is."""
        handle, transport = pier.open(room=2)
        for _ in range(10):
            pier.ledger.enqueue(handle, Frame(b"xx"))
        for moment in range(1, 5):
            pier.loop.run()
            pier.hub.now = float(moment)
            transport.give_room(2)
        pier.loop.run()
        pier.hub.sweep_slow(1.0, 0.0)
        assert pier.hub.is_slow(handle)

    def test_it_can_be_asked_since_when_and_how_much_it_lost(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 4
        handle, _ = stalled(pier)
        assert pier.hub.slow_figures(handle) is None
        pier.hub.now = 10.0
        pier.ledger.enqueue(handle, press.data(1, stream="s"))
        pier.hub.now = 12.0
        for number in range(2, 4):
            pier.ledger.enqueue(handle, press.data(number, stream="s"))
        # The newest of the stream stays; what had waited for longer has gone.
        assert pier.hub.slow_figures(handle) == (12.0, 12.0, 2, False)
        pier.hub.release(handle)
        assert pier.hub.slow_figures(handle) is None

    def test_one_that_is_about_to_end_says_so(self, pier: Pier) -> None:
        handle, _ = pier.open(room=1)
        pier.hub.now = 10.0
        pier.ledger.enqueue(handle, Frame(b"xx"))
        pier.loop.run()
        pier.hub.sweep_slow(10.1, 0.0)
        assert pier.hub.slow_figures(handle) == (10.0, 10.0, 0, False)
        pier.hub.sweep_slow(10.1, 10.1)
        assert pier.hub.slow_figures(handle) == (10.0, 10.0, 0, True)

    def test_a_full_socket_for_which_nothing_waits_makes_nobody_slow(self, pier: Pier) -> None:
        handle, _ = stalled(pier)
        pier.hub.sweep_slow(1e9, 0.0)
        assert not pier.hub.is_slow(handle)

    def test_a_message_that_another_keeps_waiting_for_long_counts_from_its_own_time(
        self, pier: Pier, press: Press
    ) -> None:
        handle, _ = pier.open(room=0)
        pier.ledger.enqueue(handle, press.data(1))
        pier.loop.run()
        pier.hub.now = 9.0
        late, _ = pier.open(room=0)
        pier.ledger.enqueue(late, press.data(2))
        pier.loop.run()
        pier.hub.sweep_slow(5.0, 0.0)
        assert pier.hub.slow_handles() == [handle]

    def test_thousands_at_once_are_sorted_out_turn_by_turn(self, pier: Pier) -> None:
        """Where a switch fails, all pass the bound with the same message: that must not hold up the loop."""
        handles = [stalled(pier)[0] for _ in range(200)]
        everybody = recipients(handles)
        for number in range(501):
            pier.hub.enqueue_many(everybody, Frame(b"x", None, DATA, stream=str(number % 7)))
        a_turn = -(-65_536 // 500)
        assert pier.hub.slow_count == a_turn < 200
        pier.hub.enqueue_many(everybody, Frame(b"x"))
        assert pier.hub.slow_count == a_turn
        pier.loop.run()
        pier.hub.enqueue_many(everybody, Frame(b"x"))
        assert pier.hub.slow_count == 200

    def test_thousands_that_have_waited_too_long_are_sorted_out_look_by_look(self, pier: Pier) -> None:
        handles = [stalled(pier)[0] for _ in range(200)]
        everybody = recipients(handles)
        for number in range(400):
            pier.hub.enqueue_many(everybody, Frame(b"x", None, DATA, stream=str(number % 7)))
        pier.hub.now = 9.0
        pier.hub.sweep_slow(5.0, 0.0)
        a_look = -(-65_536 // 400)
        assert pier.hub.slow_handles() == handles[:a_look]
        pier.hub.sweep_slow(5.0, 0.0)
        assert pier.hub.slow_count == 200

    def test_the_hard_bound_waits_for_no_turn(self, pier: Pier) -> None:
        handles = [stalled(pier)[0] for _ in range(200)]
        everybody = recipients(handles)
        for number in range(1001):
            outcome = pier.hub.enqueue_many(everybody, Frame(b"x", None, DATA, stream=str(number % 7)))
            assert outcome == (200, 0, 0, 0)
        assert pier.hub.slow_count == 200

    def test_a_socket_that_takes_all_is_never_slow_however_much_waits(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 1000
        pier.hub.batch_size = 1
        handle, transport = pier.open()
        outcomes = {pier.ledger.enqueue(handle, Frame(b"x")) for _ in range(900)}
        assert outcomes == {QUEUED}
        assert not pier.hub.is_slow(handle)
        pier.loop.run()
        assert transport.sent == b"x" * 900



class TestKeepingUpAgain:
    def test_it_is_told_once_a_quarter_of_what_makes_one_slow_is_left(self, pier: Pier) -> None:
        relieved: list[object] = []
        pier.hub.on_relief = lambda side: relieved.append(side.handle)
        pier.hub.max_queue_messages = 16
        handle, transport = stalled(pier)
        for _ in range(9):
            pier.ledger.enqueue(handle, Frame(b"xy"))
        assert pier.hub.is_slow(handle)
        pier.hub.batch_size = 1
        transport.room = 13
        pier.hub.unblock(handle)
        pier.loop.run()
        assert pier.hub.is_slow(handle)
        assert relieved == []
        transport.give_room(5)
        pier.loop.run()
        assert not pier.hub.is_slow(handle)
        assert pier.hub.slow_count == 0
        assert relieved == [handle]

    @pytest.mark.parametrize(
        ("kept", "size", "age", "slow"),
        [
            (2, 1, 0.0, False),
            (3, 1, 0.0, True),
            (1, 200, 0.0, False),
            (1, 201, 0.0, True),
            (1, 1, 2.5, False),
            (1, 1, 2.75, True),
        ],
    )
    def test_little_must_wait_and_not_for_long(
        self, pier: Pier, press: Press, kept: int, size: int, age: float, slow: bool
    ) -> None:
        """A quarter of the messages and bytes that make one slow, and half of the time."""
        pier.hub.max_queue_messages = 16
        pier.hub.max_queue_bytes = 1600
        handle, _ = stalled(pier)
        pier.hub.sweep_slow(-5.0, -100.0)
        for _ in range(kept):
            pier.ledger.enqueue(handle, Frame(b"x" * size))
        for number in range(9):
            pier.ledger.enqueue(handle, press.data(number))
        assert pier.hub.is_slow(handle)
        pier.hub.now = age
        pier.hub.shed(handle, DATA)
        pier.hub.unblock(handle)
        assert pier.hub.is_slow(handle) == slow

    def test_one_that_falls_behind_again_while_it_is_told_is_slow_as_any_other(
        self, pier: Pier, press: Press
    ) -> None:
        def told(side: HubSide) -> None:
            pier.hub.take_losses(side.handle)
            pier.hub.block(side.handle)
            for number in range(3):
                pier.ledger.enqueue(side.handle, press.data(number, stream="s"))

        pier.hub.on_relief = told
        pier.hub.max_queue_messages = 4
        handle, transport = stalled(pier)
        for number in range(3):
            pier.ledger.enqueue(handle, press.data(number, stream="s"))
        pier.hub.unblock(handle)
        pier.loop.run()
        assert transport.sent == b"<2>"
        assert pier.hub.slow_handles() == [handle]
        assert pier.hub.take_losses(handle) == [("l", "t", "conflated", 4, 5, 2)]

    def test_nothing_is_kept_in_mind_of_one_that_keeps_up(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 4
        handle, transport = stalled(pier)
        for number in range(3):
            pier.ledger.enqueue(handle, press.data(number))
        drain(pier, handle, transport)
        pier.hub.block(handle)
        pier.ledger.enqueue(handle, press.data(4))
        pier.hub.shed(handle, DATA)
        assert pier.hub.take_losses(handle) == []

    def test_a_socket_that_takes_all_that_waited_keeps_up_at_once(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 16
        handle, _, peer = pier.open_socket()
        pier.hub.block(handle)
        for number in range(9):
            pier.ledger.enqueue(handle, press.data(number))
        pier.hub.unblock(handle)
        assert pier.hub.is_slow(handle)
        pier.loop.run()
        assert not pier.hub.is_slow(handle)
        assert len(read_all(peer)) == 27

    def test_one_that_is_closing_has_nothing_to_be_told(self, pier: Pier, press: Press) -> None:
        relieved: list[object] = []
        pier.hub.on_relief = relieved.append
        pier.hub.max_queue_messages = 4
        handle, transport = stalled(pier)
        for number in range(3):
            pier.ledger.enqueue(handle, press.data(number))
        pier.ledger.enqueue(handle, Frame(b"close"), True)
        assert drain(pier, handle, transport) == b"<0><1><2>close"
        assert relieved == []
        pier.hub.release(handle)
        assert pier.hub.slow_count == 0

    def test_it_is_not_while_its_oldest_byte_is_old(self, pier: Pier) -> None:
        """Else one who takes a byte a second would be relieved and slow again all the time."""
        pier.hub.max_queue_messages = 1000
        handle, transport = pier.open(room=2)
        for _ in range(3):
            pier.ledger.enqueue(handle, Frame(b"xx"))
        pier.loop.run()
        pier.hub.now = 6.0
        pier.hub.sweep_slow(1.0, -100.0)
        assert pier.hub.is_slow(handle)
        transport.give_room(2)
        pier.loop.run()
        assert queue_of(pier.hub, handle)[0] > 0
        assert pier.hub.is_slow(handle)
        drain(pier, handle, transport)
        assert not pier.hub.is_slow(handle)

    @pytest.mark.parametrize("which", ["on_overflow", "on_relief"])
    def test_owners_are_told_a_hundred_in_a_turn(self, pier: Pier, press: Press, which: str) -> None:
        told: list[int] = []
        setattr(pier.hub, which, lambda side: told.append(side.handle))
        pier.hub.max_queue_messages = 2
        handles = [stalled(pier)[0] for _ in range(250)]
        for number in range(3):
            pier.hub.enqueue_many(recipients(handles), press.data(number))
        if which == "on_relief":
            pier.hub.on_overflow = None
            pier.loop.run()
            for handle in handles:
                pier.hub.discard(handle, SLOW)
                pier.hub.unblock(handle)
        shares = []
        while pier.loop.soon:
            before = len(told)
            pier.loop.turn()
            shares.append(len(told) - before)
        assert told == handles
        assert [share for share in shares if share] == [100, 100, 50]

    def test_one_that_has_gone_or_is_slow_again_is_not_told(self, pier: Pier, press: Press) -> None:
        relieved: list[object] = []
        pier.hub.on_relief = relieved.append
        pier.hub.max_queue_messages = 4
        first, _ = stalled(pier)
        second, _ = stalled(pier)
        for handle in (first, second):
            for number in range(3):
                pier.ledger.enqueue(handle, press.data(number, stream="s"))
            assert pier.hub.is_slow(handle)
            pier.hub.discard(handle, SLOW)
            pier.hub.unblock(handle)
            assert not pier.hub.is_slow(handle)
        pier.hub.block(first)
        for number in range(3):
            pier.ledger.enqueue(first, press.data(number, stream=str(number)))
        assert pier.hub.is_slow(first)
        pier.hub.release(second)
        pier.loop.run()
        assert relieved == []
        # Nothing of its losses is forgotten meanwhile.
        assert [loss[2] for loss in pier.hub.take_losses(first)] == ["conflated", "slow"]
        pier.ledger.check()
