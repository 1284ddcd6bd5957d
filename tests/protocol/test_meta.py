from wsserver.protocol.meta import MessageIds


class _Clock:
    """Moved by hand: set ``now``."""

    now = 1_700_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


def test_ids_sort_as_they_were_given_out_even_when_the_clock_stands_or_steps_back() -> None:
    clock = _Clock()
    ids = MessageIds(clock)
    given = [ids.next() for _ in range(1000)]
    clock.now -= 3600
    given += [ids.next() for _ in range(1000)]
    clock.now += 7200
    given += [ids.next()]
    assert given == sorted(set(given))


def test_ids_are_canonical_in_shape_and_equally_long() -> None:
    clock = _Clock()
    ids = MessageIds(clock)
    early = ids.next()
    clock.now = 4_000_000_000.0
    late = ids.next()
    assert early.startswith("m_")
    assert len(early) == len(late) == 28


def test_two_processes_that_start_at_the_same_moment_give_different_ids() -> None:
    clock = _Clock()
    assert MessageIds(clock).next() != MessageIds(clock).next()
