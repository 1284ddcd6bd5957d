import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsserver.errors import INVALID_MESSAGE
from wsserver.protocol.topic import EVERY_PATIENT, EVERYTHING, InvalidTopic, Topic


@pytest.mark.parametrize(
    ("text", "subscription_type", "target_id", "normal"),
    [
        ("patient:123", "patient", "123", "patient:123"),
        ("patient:0123", "patient", "0123", "patient:0123"),
        ("patient:0", "patient", "0", "patient:0"),
        ("patient:*", "patient", "*", "patient:*"),
        ("type:ecg", "ecg", "*", "ecg:*"),
        ("ecg:*", "ecg", "*", "ecg:*"),
        ("ecg:lead2", "ecg", "lead2", "ecg:lead2"),
        ("*", "*", "*", "*"),
    ],
)
def test_a_text_has_one_normal_form(text: str, subscription_type: str, target_id: str, normal: str) -> None:
    topic = Topic.parse(text)
    assert topic == (subscription_type, target_id)
    assert topic.text == normal
    assert Topic.parse(topic.text) == topic


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "patient", "patient:", ":123", "ecg", "type:", "type:*", "type:patient", "type:type",
        "*:*", "*:5", "patient:1:2", "patient:1*", "pat*:1", "patient: 1", " patient:1", "patient:1\n",
        "Patient:1", "TYPE:ecg", "patient:é", "patient:\u0661", "patient:../1", "patient:" + "1" * 65,
        "e" * 65 + ":1", "patient:_1", "type:ecg:lead2", "patient:\ud800", "patient:1\x00",
    ],
)  # fmt: skip
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidTopic) as caught:
        Topic.parse(text)
    assert caught.value.kind is INVALID_MESSAGE
    assert caught.value.path == "topic"


@pytest.mark.parametrize("form", ["%s", "%s:1", "patient:%s", "type:%s", "ecg:%s", "*:%s"])
def test_the_text_of_an_error_repeats_nothing(form: str) -> None:
    with pytest.raises(InvalidTopic) as caught:
        Topic.parse(form % "canary 7f3a")
    assert "canary" not in str(caught.value)
    assert "canary" not in str(caught.value.details)


@pytest.mark.parametrize(
    ("fields", "topic"),
    [
        (("patient", "123"), Topic("patient", "123")),
        (("patient", 123), Topic("patient", "123")),
        (("patient", 0), Topic("patient", "0")),
        (("patient", "*"), EVERY_PATIENT),
        (("type", "ecg"), Topic("ecg", "*")),
        (("ecg", None), Topic("ecg", "*")),
        (("ecg", "*"), Topic("ecg", "*")),
        (("ecg", 7), Topic("ecg", "7")),
        (("*", None), EVERYTHING),
        (("*", "*"), EVERYTHING),
    ],
)
def test_two_fields_have_the_same_normal_form(fields: tuple[str, str | int | None], topic: Topic) -> None:
    assert Topic.of(*fields) == topic


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        (("patient", None), "target_id"),
        (("patient", ""), "target_id"),
        (("patient", -1), "target_id"),
        (("patient", True), "target_id"),
        (("patient", 1.0), "target_id"),
        (("type", "patient"), "target_id"),
        (("type", None), "target_id"),
        (("type", "*"), "target_id"),
        (("type", "type"), "target_id"),
        (("*", "5"), "target_id"),
        (("", "5"), "subscription_type"),
        (("Patient", "5"), "subscription_type"),
        (("e c g", "5"), "subscription_type"),
    ],
)
def test_a_wrong_field_is_named(fields: tuple[str, str | int | None], path: str) -> None:
    with pytest.raises(InvalidTopic) as caught:
        Topic.of(*fields)
    assert caught.value.path == path
    assert caught.value.details == {"path": path, "reason": caught.value.reason}


def test_the_types_that_clients_name_are_shared_and_do_not_pile_up() -> None:
    def of_kind(number: int) -> str:
        return Topic.of(f"kind{number}", "5").subscription_type

    first = of_kind(0)
    assert of_kind(0) is first
    for number in range(1, 2_000):
        of_kind(number)
    assert of_kind(0) is not first


def test_a_publisher_cannot_address_every_patient_as_one() -> None:
    assert Topic.of_patient(123) == ("patient", "123")
    with pytest.raises(InvalidTopic, match="patient_id"):
        Topic.of_patient("*")


def test_only_a_topic_of_one_patient_has_a_patient() -> None:
    assert Topic("patient", "7").patient_id == "7"
    assert [topic.patient_id for topic in (EVERY_PATIENT, EVERYTHING, Topic("ecg", "7"))] == [None] * 3


def test_wildcards_are_those_that_cover_every_patient() -> None:
    assert EVERYTHING.is_wildcard
    assert EVERY_PATIENT.is_wildcard
    assert not Topic("ecg", "*").is_wildcard
    assert not Topic("patient", "7").is_wildcard


@settings(deadline=None)
@given(st.text(max_size=20))
def test_no_text_is_parsed_to_something_that_reads_back_differently(text: str) -> None:
    try:
        topic = Topic.parse(text)
    except InvalidTopic:
        return
    assert Topic.parse(topic.text) == topic
    assert Topic.of(*topic) == topic
