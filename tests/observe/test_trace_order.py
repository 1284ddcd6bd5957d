"""What may be asked of a trace."""

from typing import Any

import msgspec
import pytest

from wsserver.errors import ServerError
from wsserver.observe.trace_order import TraceOrder


def test_ids_and_topics_become_canonical() -> None:
    order = TraceOrder(patient_id=12, user_id="n7", topic="type:ecg", type="ecg_data", message_id="m_1")
    assert order.checked().criteria() == {
        "message_id": "m_1",
        "type": "ecg_data",
        "patient_id": "12",
        "user_id": "n7",
        "topic": "ecg:*",
    }


def test_nothing_asked_for_is_everything_for_a_minute_or_ten_messages() -> None:
    order = TraceOrder().checked()
    assert order.criteria() == {}
    assert (order.messages, order.seconds, order.body) == (10, 60.0, False)


@pytest.mark.parametrize(
    "asked",
    [
        {"patient_id": "a b"},
        {"user_id": ""},
        {"message_id": "../x"},
        {"topic": "nonsense"},
        {"topic": "type:*"},
    ],
)
def test_what_can_be_no_id_or_topic_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ServerError) as refused:
        TraceOrder(**asked).checked()
    assert refused.value.kind.code == 1003


@pytest.mark.parametrize(
    "asked",
    [
        {"messages": 0}, {"messages": 1001}, {"seconds": 0}, {"seconds": 3600.5}, {"type": ""},
        {"type": "x" * 129}, {"topic": "x" * 131}, {"patient_id": 1.5}, {"body": "yes"}, {"patient": "1"},
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_no_order(asked: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(asked), type=TraceOrder)


def test_it_names_nobody_in_a_log() -> None:
    assert repr(TraceOrder(patient_id="secret")) == "<TraceOrder>"
