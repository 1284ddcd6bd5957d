"""Keys of a pseudo-terminal, one by one, and the terminal afterwards."""

import asyncio
import os
import pty
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsserver.cli.terminal.keyboard import keys_of


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The hands, and the descriptor of the program."""
    hands, program = pty.openpty()
    yield hands, program
    for descriptor in (hands, program):
        os.close(descriptor)


async def test_keys_come_as_they_are_struck_and_are_not_shown(terminal: tuple[int, int]) -> None:
    hands, program = terminal
    before, struck = termios.tcgetattr(program), []
    with keys_of(program, asyncio.get_running_loop(), struck.append) as listening:
        assert listening
        flags = termios.tcgetattr(program)[3]
        assert not flags & (termios.ICANON | termios.ECHO)
        assert flags & termios.ISIG
        os.write(hands, b"pq\xff")
        async with asyncio.timeout(5):
            while len(struck) < 2:
                await asyncio.sleep(0.001)
    assert struck == ["p", "q"]
    assert termios.tcgetattr(program) == before
    os.write(hands, b"x")
    await asyncio.sleep(0)
    assert struck == ["p", "q"]


async def test_the_terminal_is_as_it_was_after_a_failure(terminal: tuple[int, int]) -> None:
    _, program = terminal
    before = termios.tcgetattr(program)
    with pytest.raises(OSError), keys_of(program, asyncio.get_running_loop(), print):
        raise OSError
    assert termios.tcgetattr(program) == before


async def test_what_is_no_terminal_has_no_keys() -> None:
    with Path(os.devnull).open() as nothing:
        for descriptor in (nothing.fileno(), -1):
            with keys_of(descriptor, asyncio.get_running_loop(), print) as listening:
                assert not listening


async def test_a_terminal_that_goes_away_is_left_alone(terminal: tuple[int, int]) -> None:
    hands, program = terminal
    faults: list[dict] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    with keys_of(program, loop, print):
        os.close(hands)
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not loop.remove_reader(program)
    assert faults == []
    # The fixture closes it once more.
    os.dup2(program, hands)
