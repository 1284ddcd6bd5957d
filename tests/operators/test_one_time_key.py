from fake_clock import FakeClock

from wsserver.operators.one_time_key import GOOD_FOR, OneTimeKey


def test_it_opens_once() -> None:
    key = OneTimeKey(FakeClock())
    text = str(key.text)
    assert len(text) == 32
    for wrong in ("", text[:-1], text + "x", "\ud800", text.swapcase()):
        assert not key.spend(wrong)
    assert key.spend(text)
    assert key.text is None
    assert not key.spend(text)


def test_it_opens_for_a_quarter_of_an_hour() -> None:
    clock = FakeClock()
    late, early = OneTimeKey(clock), OneTimeKey(clock)
    clock.advance(GOOD_FOR - 0.001)
    assert early.spend(str(early.text))
    clock.advance(0.001)
    assert not late.spend(str(late.text))
