"""One message as a trace has seen it."""

from wsserver.observe.traced_message import topic_text
from wsserver.protocol.topic import EVERYTHING, Topic


def test_the_target_of_a_topic_is_hidden_and_its_type_is_not() -> None:
    topics = [
        Topic.of_patient(123),
        Topic.of("ecg", "room-7"),
        Topic.of("ecg"),
        Topic("patient", "*"),
        EVERYTHING,
    ]
    assert [topic_text(topic, str.upper) for topic in topics] == [
        "patient:123", "ecg:ROOM-7", "ecg:*", "patient:*", "*",
    ]  # fmt: skip
    assert topic_text(Topic.of("ecg", "room-7"), None) == "ecg:room-7"
