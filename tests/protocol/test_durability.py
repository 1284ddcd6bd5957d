"""Which log a message belongs to."""

from typing import Any

import pytest

from wsserver.protocol.durability import DurabilityRules
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import Topic
from wsserver_core.outgoing import ALERT, CRITICAL, DATA

RULES = DurabilityRules(durable_types=("note",), volatile_types=("ecg_data",))


@pytest.mark.parametrize(
    ("body", "importance", "durable"),
    [
        ({"type": "temperature"}, DATA, False),
        ({}, DATA, False),
        ({"type": "temperature"}, ALERT, True),
        ({"type": "temperature"}, CRITICAL, True),
        ({"type": "temperature", "patient_id": 7}, DATA, True),
        ({"type": "note"}, DATA, True),
        ({"type": "ecg_data"}, DATA, False),
        # Whoever names a type means all of it.
        ({"type": "ecg_data", "patient_id": 7}, DATA, False),
        ({"type": "ecg_data", "patient_id": 7}, CRITICAL, False),
    ],
)
def test_patients_alerts_and_named_types_are_durable(
    body: dict[str, Any], importance: int, durable: bool
) -> None:
    assert RULES.is_durable(PublishedMessage(body), importance) is durable


def test_the_patient_may_be_the_address() -> None:
    message = PublishedMessage({"n": 1}, topic=Topic.of_patient("7"))
    assert DurabilityRules().is_durable(message, DATA)
