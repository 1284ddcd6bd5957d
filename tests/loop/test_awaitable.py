"""Results that may be awaited or not."""

from wsserver.loop.awaitable import AwaitableInt, AwaitableText


async def test_a_number_is_itself_awaited_or_not() -> None:
    number = AwaitableInt(3)
    assert number == 3
    assert await number == 3
    assert await number is number


async def test_a_text_is_itself_awaited_or_not() -> None:
    text = AwaitableText("c_1")
    assert {text: 1}["c_1"] == 1
    assert await text is text
