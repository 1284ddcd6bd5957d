"""The checker is proved: it is silent about what is right, and names the law that each fault breaks."""

import pytest

from laws.delivery_double import scenario
from laws.evidence import Evidence
from laws.laws import LAWS, Terms, check

TERMS = Terms(gaps=frozenset({"trimmed"}))

FAULTS = {
    "acknowledge before the commit": "L1",
    "store other content": "L1",
    "drop one": "L2",
    "trim silently": "L2",
    "lose a gap": "L2",
    "tell a wrong range": "L2",
    "alarm without need": "L2",
    "move the cursor too far": "L2",
    "replay the newest only": "L2",
    "forget the cursor": "L2",
    "deliver twice": "L3",
    "swap two": "L3",
    "reuse a seq": "L3",
    "replay out of order": "L3",
    "replay what was handled": "L3",
    "store a retry twice": "L4",
    "deliver what was refused": "L4",
    "skip authorisation": "L5",
    "skip authorisation at replay": "L5",
    "ignore the filter": "L5",
    "miscount the report": "L6",
    "forget one in the outcome": "L6",
    "miscount a gap": "L6",
    "invent a message": "L7",
    "change the content": "L7",
}


def test_a_morning_without_faults_breaks_no_law() -> None:
    evidence = Evidence(scenario())
    assert check(evidence, TERMS) == []
    # And something was at stake for each law.
    assert evidence.stored
    assert any(client.gaps for client in evidence.clients.values())
    assert len(evidence.clients["nurse"].opened) == 2
    assert any(answer.status == 0 for one in evidence.publications.values() for answer in one.answers)


@pytest.mark.parametrize(("fault", "law"), FAULTS.items(), ids=FAULTS)
def test_a_fault_is_caught_by_the_law_that_it_breaks(fault: str, law: str) -> None:
    broken = {violation.law for violation in check(Evidence(scenario(fault)), TERMS)}
    assert law in broken, f"{fault} breaks {broken or 'nothing'}"


def test_every_law_is_broken_by_some_fault() -> None:
    assert set(FAULTS.values()) == {f"L{number}" for number in range(1, len(LAWS) + 1)}


def test_a_gap_for_an_unexpected_reason_is_a_false_alarm() -> None:
    assert {one.law for one in check(Evidence(scenario()))} == {"L2"}
