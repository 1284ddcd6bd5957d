"""A run against a list."""

import random

import pytest

from wsserver.store.run import Kept, Run
from wsserver_core.outgoing import Frame


def kept(order: int) -> Kept:
    return Kept(Frame(b"x", topic="t:1", log="l", seq=order * 10, lane=1), order * 10, order, 0.0, None)


def test_a_run_does_what_a_list_does() -> None:
    dice = random.Random(5)
    run, twin = Run(), list[Kept]()
    for order in range(1, 3000):
        if dice.random() < 0.55 or not twin:
            run.append(kept(order))
            twin.append(next(run.after(order - 1)))
        else:
            assert run.let_go() is twin.pop(0)
        assert len(run) == len(twin)
        if order % 50 == 0:
            place = dice.randrange(order + 2)
            assert list(run.after(place)) == [one for one in twin if one.order > place]
            later = [one for one in twin if one.seq > place * 10 + 5]
            assert run.first_after(place * 10 + 5) is (later[0] if later else None)


def test_an_empty_run_has_no_oldest() -> None:
    run = Run()
    with pytest.raises(IndexError):
        _ = run.oldest
    with pytest.raises(IndexError):
        run.let_go()
    assert run.first_after(0) is None


def test_the_evicted_go_from_the_front_or_from_everywhere() -> None:
    run = Run()
    items = [kept(order) for order in range(6)]
    for one in items:
        run.append(one)
    for place in (0, 1, 3):
        items[place].evict()
    run.drop_evicted_front()
    assert len(run) == 4
    assert run.oldest is items[2]
    run.drop_evicted()
    assert list(run.after(-1)) == [items[2], items[4], items[5]]
    assert items[0].frame.wire == b""
