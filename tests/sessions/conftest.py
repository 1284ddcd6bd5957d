"""A bench for clients that come back."""

import pytest
from workbench import Workbench

from wsserver.loop import turn_budget as turn_budget_module


@pytest.fixture
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine: a command is done in the turn in which it comes."""
    monkeypatch.setattr(turn_budget_module, "SECONDS", 1e9)


@pytest.fixture
async def bench(time_enough: None) -> Workbench:
    return await Workbench().start()
