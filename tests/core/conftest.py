"""Fixtures of the core's tests."""

from collections.abc import Iterator

import pytest
from house import House
from pier import Pier


@pytest.fixture
def pier() -> Iterator[Pier]:
    """A hub with connections to try it on."""
    pier = Pier()
    yield pier
    for sock in pier.sockets:
        sock.close()


@pytest.fixture
def house() -> Iterator[House]:
    """An inlet with connections to try it on, and no fault left unseen in the end."""
    house = House()
    yield house
    assert house.loop.faults == []
