"""The recipients of one broadcast, kept with what became of each."""

import pytest
from hand_loop import HandLoop

from wsserver_core.addressees import Addressees
from wsserver_core.hub import Hub
from wsserver_core.outgoing import Frame
from wsserver_core.recipients import Recipients

pytestmark = pytest.mark.core

QUEUED, REFUSED_SLOW, REFUSED_CLOSING = range(3)


def addressees(*handles: int) -> Addressees:
    chosen = Recipients()
    for handle in handles:
        chosen.add(handle)
    return chosen.copy()


def handle(slot: int) -> int:
    return 1 << 32 | slot


def test_nobody() -> None:
    nobody = addressees()
    assert (len(nobody), nobody.size, nobody.acknowledged) == (0, 0, 0)
    assert handle(1) not in nobody
    assert nobody.outcome(handle(1)) is None
    assert not nobody.acknowledge(handle(1))
    assert not nobody.has_acknowledged(handle(1))


def test_they_stay_when_the_list_is_used_again() -> None:
    chosen = Recipients()
    chosen.add(handle(1))
    kept = chosen.copy()
    chosen.clear()
    chosen.add(handle(2))
    assert handle(1) in kept
    assert handle(2) not in kept
    assert len(kept) == 1


def test_each_costs_eight_bytes_and_one_more_once_they_differ() -> None:
    kept = addressees(*map(handle, range(100)))
    assert kept.size == 800
    kept.acknowledge(handle(7))
    assert kept.size == 900


def test_the_first_of_them_and_the_first_refused_may_be_asked_for() -> None:
    loop = HandLoop()
    hub = Hub(loop)
    handles = [hub.open(object(), -1, None) for _ in range(3)]
    chosen = Recipients()
    for one in (*handles, handle(99)):
        chosen.add(one)
    assert chosen.copy().refused(10) == []
    hub.max_queue_messages = 1
    hub.block(handles[1])
    hub.enqueue(handles[1], Frame(b"x"))
    hub.enqueue_many(chosen, Frame(b"x"))
    kept = chosen.copy()
    kept.acknowledge(handles[0])
    assert kept.first(2) == handles[:2]
    assert kept.first(10) == [*handles, handle(99)]
    assert kept.refused(10) == [(handles[1], REFUSED_SLOW), (handle(99), REFUSED_CLOSING)]
    assert kept.refused(1) == [(handles[1], REFUSED_SLOW)]


def test_another_generation_of_the_same_slot_is_another_connection() -> None:
    kept = addressees(1 << 32 | 5)
    assert (2 << 32 | 5) not in kept
    assert kept.outcome(2 << 32 | 5) is None


def test_an_acknowledgement_counts_once_and_only_from_a_recipient() -> None:
    kept = addressees(handle(1), handle(2))
    assert kept.acknowledge(handle(1))
    assert not kept.acknowledge(handle(1))
    assert not kept.acknowledge(handle(3))
    assert kept.acknowledged == 1
    assert [kept.has_acknowledged(handle(slot)) for slot in (1, 2, 3)] == [True, False, False]
    assert kept.outcome(handle(1)) == QUEUED


def test_the_hub_writes_down_whom_it_refused(pier) -> None:
    pier.hub.max_queue_messages = 1
    slow, _ = pier.open()
    pier.hub.block(slow)
    pier.ledger.enqueue(slow, Frame(b"x"))
    closing, _ = pier.open()
    pier.hub.enqueue(closing, Frame(b"x"), True)
    gone, _ = pier.open()
    well, _ = pier.open()
    pier.hub.release(gone)
    chosen = Recipients()
    for one in (well, slow, closing, gone):
        chosen.add(one)
    assert pier.hub.enqueue_many(chosen, Frame(b"y")) == (1, 1, 2, 0)
    kept = chosen.copy()
    assert [kept.outcome(one) for one in (well, slow, closing, gone)] == [
        QUEUED,
        REFUSED_SLOW,
        REFUSED_CLOSING,
        REFUSED_CLOSING,
    ]
    assert kept.acknowledge(slow)
    assert kept.outcome(slow) == REFUSED_SLOW
    chosen.clear()
    chosen.add(slow)
    assert chosen.copy().outcome(slow) == QUEUED, "what was refused before is forgotten"


def test_a_hub_that_takes_everything_writes_nothing_down(pier) -> None:
    hub: Hub = pier.hub
    chosen = Recipients()
    for _ in range(3):
        chosen.add(pier.open()[0])
    hub.enqueue_many(chosen, Frame(b"x"))
    assert chosen.copy().size == 24
