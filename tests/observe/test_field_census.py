"""Which fields the messages of a topic have had, and nothing about patients one may not see."""

import random
import time
from typing import Any

import pytest

from wsserver.observe.field_census import FieldCensus, Sightings
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import EVERY_PATIENT, EVERYTHING, Topic

ECG = Topic("ecg", "*")
BED = Topic("ecg", "bed-7")


def everyone(patient_id: str) -> bool:
    return True


def nobody(patient_id: str) -> bool:
    return False


def publish(census: FieldCensus, topic: Topic, body: dict[str, Any], times: int = 1) -> None:
    published = PublishedMessage(body, topic=topic)
    for _ in range(times):
        census.note(topic, published.patient_id, published.body, published.derived)


class Unreadable(dict[str, Any]):
    """A message that counts how often it is looked into."""

    looks = 0

    def items(self) -> Any:
        Unreadable.looks += 1
        return super().items()


def test_fields_of_a_message_are_seen_with_those_derived_and_never_a_value() -> None:
    census = FieldCensus()
    publish(census, BED, {"type": "ecg_data", "leads": [{"name": "secret"}], "gain": 7})
    seen = census.sightings(BED, everyone)
    assert seen == Sightings(
        1, frozenset({"type", "leads", "leads.name", "gain", "severity", "data_type"}), True
    )
    assert "secret" not in repr(seen)


def test_a_topic_without_messages_has_none() -> None:
    assert FieldCensus().sightings(BED, everyone) == Sightings(0, frozenset(), True)


def test_the_first_message_of_a_rare_type_is_looked_into() -> None:
    census = FieldCensus()
    for number in range(999):
        census.note(Topic("patient", "1"), "1", {"type": "ecg_data", "seq": number}, {})
    census.note(Topic("patient", "1"), "1", {"type": "pump_alert", "occlusion": True}, {})
    assert "occlusion" in census.sightings(Topic("patient", "1"), lambda patient: True).paths


def test_with_too_many_types_it_does_not_claim_to_know_all_fields() -> None:
    census = FieldCensus()
    for number in range(33):
        census.note(Topic("ecg", "*"), None, {"type": f"t{number}"}, {})
    assert not census.sightings(Topic("ecg", "*"), lambda patient: True).complete


def test_it_looks_into_the_first_few_messages_and_then_into_every_64th() -> None:
    census = FieldCensus()
    looked_into = []
    for number in range(1, 400):
        body = Unreadable(a=1)
        before = Unreadable.looks
        census.note(BED, None, body, {})
        if Unreadable.looks > before:
            looked_into.append(number)
    assert looked_into == [1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 320, 384]
    assert census.sightings(BED, everyone).messages == len(looked_into)


@pytest.mark.parametrize(
    ("addressed", "subscribed", "reaches"),
    [
        (BED, BED, True),
        (BED, ECG, True),
        (BED, EVERYTHING, True),
        (BED, Topic("ecg", "bed-8"), False),
        (BED, Topic("vitals", "bed-7"), False),
        (BED, Topic("vitals", "*"), False),
        (ECG, BED, True),
        (ECG, ECG, True),
        (ECG, EVERYTHING, True),
        (ECG, Topic("vitals", "*"), False),
        (Topic("patient", "1"), Topic("patient", "1"), True),
        (Topic("patient", "1"), EVERY_PATIENT, True),
        (Topic("patient", "1"), Topic("patient", "2"), False),
        (Topic("patient", "1"), Topic("ecg", "1"), False),
        (EVERY_PATIENT, Topic("patient", "1"), True),
        (EVERYTHING, EVERYTHING, False),
        (EVERYTHING, ECG, False),
    ],
)
def test_a_subscription_has_seen_the_messages_that_are_held_against_its_filter(
    addressed: Topic, subscribed: Topic, reaches: bool
) -> None:
    census = FieldCensus()
    publish(census, addressed, {"mark": 1})
    seen = census.sightings(subscribed, everyone)
    assert seen.messages == int(reaches)
    assert ("mark" in seen.paths) is reaches


@pytest.mark.parametrize("crowd", [0, 200])
def test_several_keys_are_merged_for_one_subscription(crowd: int) -> None:
    census = FieldCensus()
    for number in range(crowd):
        publish(census, Topic("other", str(number)), {})
    publish(census, BED, {"a": 1}, 2)
    publish(census, BED, {"b": 1, "patient_id": "1"})
    publish(census, ECG, {"c": {"d": 1}})
    publish(census, Topic("ecg", "bed-8"), {"e": 1})
    assert census.sightings(BED, everyone) == Sightings(
        4, frozenset({"a", "b", "c", "c.d", "patient_id", "severity"})
    )
    assert census.sightings(ECG, everyone).messages == 5
    assert "e" in census.sightings(ECG, everyone).paths


@pytest.mark.parametrize(
    "topic", [Topic("patient", "1"), EVERY_PATIENT, ECG, BED, EVERYTHING, Topic("patient", "2")]
)
@pytest.mark.parametrize("crowd", [1, 300])
def test_a_patient_whom_one_may_not_see_has_no_part_in_it(topic: Topic, crowd: int) -> None:
    """Neither by one message nor by so many that they might crowd out the others."""
    seen, unseen = FieldCensus(), FieldCensus()
    dice = random.Random(5)
    doors = [Topic("patient", "1"), EVERY_PATIENT, ECG, BED, Topic("ecg", "bed-8")]
    mine: list[tuple[Topic, dict[str, Any]]] = [
        (door, {"patient_id": "1", f"mine{number}": 1}) for number, door in enumerate(doors)
    ]
    plain: list[tuple[Topic, dict[str, Any]]] = [
        (door, {f"plain{number}": 1}) for number, door in enumerate(doors[1:])
    ]
    foreign: list[tuple[Topic, dict[str, Any]]] = [
        (door, {"patient_id": f"x{number}", f"foreign{number}": 1})
        for number in range(crowd)
        for door in [*doors[1:], Topic("patient", f"x{number}")]
    ]
    allowed = [*mine, *plain] * 5
    mixed = [(*one, True) for one in allowed] + [(*one, False) for one in foreign]
    dice.shuffle(mixed)
    for door, body, is_allowed in mixed:
        publish(seen, door, body)
        if is_allowed:
            publish(unseen, door, body)
    assert seen.sightings(topic, "1".__eq__) == unseen.sightings(topic, "1".__eq__)
    assert not any(path.startswith("foreign") for path in seen.sightings(topic, "1".__eq__).paths)


def test_a_patients_topic_is_the_patients_though_the_message_does_not_say_so() -> None:
    census = FieldCensus()
    census.note(Topic("patient", "1"), None, {"a": 1}, {})
    assert census.sightings(Topic("patient", "1"), nobody) == Sightings(0, frozenset())
    assert census.sightings(EVERYTHING, nobody) == Sightings(0, frozenset())


def test_messages_about_nobody_need_no_right() -> None:
    census = FieldCensus()
    publish(census, ECG, {"a": 1})
    assert census.sightings(BED, nobody).messages == 1


@pytest.mark.parametrize("topic", [EVERY_PATIENT, EVERYTHING])
def test_a_wildcard_is_made_of_the_latest_64_keys(topic: Topic) -> None:
    census = FieldCensus()
    for number in range(100):
        publish(census, Topic("patient", str(number)), {f"f{number}": 1})
    publish(census, Topic("patient", "0"), {"f0": 1})
    seen = census.sightings(topic, everyone)
    assert seen.messages == 65
    expected = {"severity", "f0", *(f"f{number}" for number in range(37, 100))}
    assert seen.paths == expected


def test_an_exact_topic_with_very_many_patients_is_made_of_the_latest_64_too() -> None:
    census = FieldCensus()
    for number in range(100):
        publish(census, ECG, {"patient_id": str(number), f"f{number}": 1})
    seen = census.sightings(BED, everyone)
    assert seen.messages == 64
    assert seen.paths == {"severity", "patient_id", *(f"f{number}" for number in range(36, 100))}


def test_the_key_that_was_longest_without_a_message_is_forgotten() -> None:
    census = FieldCensus(max_entries=3)
    first, second, third, fourth = (Topic("ecg", f"bed-{number}") for number in range(4))
    for topic in (first, second, third, first, fourth):
        publish(census, topic, {"a": 1})
    assert len(census) == 3
    assert [census.sightings(one, everyone).messages for one in (first, second, third, fourth)] == [
        2,
        0,
        1,
        1,
    ]


def test_a_message_with_too_many_fields_leaves_the_sightings_incomplete() -> None:
    census = FieldCensus(max_paths=4)
    publish(census, BED, {"a": 1, "b": 1, "c": 1})
    assert census.sightings(BED, everyone).complete
    publish(census, BED, {"d": 1})
    seen = census.sightings(BED, everyone)
    assert not seen.complete
    assert seen.paths == {"a", "b", "c", "severity"}
    census.forget()
    publish(census, ECG, {f"f{number}": 1 for number in range(9)})
    assert census.sightings(ECG, everyone) == Sightings(1, frozenset({"severity", "f0", "f1", "f2"}), False)


def test_memory_is_bounded_under_a_flood_of_names() -> None:
    census = FieldCensus(max_entries=1024, max_paths=16)
    for number in range(5000):
        body = {f"field{number}_{inner}": 1 for inner in range(15)}
        census.note(Topic("ecg", f"bed-{number}"), None, body, {"severity": "normal"})
    assert census._held == sum(len(entry.paths) for entry in census._entries.values())
    assert census._held <= 128 * 16
    assert len(census) <= 128
    assert len(census._of_topic) == len(census)
    assert len(census._shared) <= 256


def test_keys_with_the_same_fields_share_them() -> None:
    census = FieldCensus()
    for number in range(100):
        publish(census, Topic("patient", str(number)), {"hr": number, "spo2": 98})
    assert len({id(entry.paths) for entry in census._entries.values()}) == 1


def test_forgetting_begins_anew() -> None:
    census = FieldCensus()
    publish(census, BED, {"a": 1}, 100)
    census.forget()
    assert len(census) == 0
    assert census.sightings(EVERYTHING, everyone) == Sightings(0, frozenset())
    publish(census, BED, {"b": 1})
    assert census.sightings(BED, everyone) == Sightings(1, frozenset({"b", "severity"}))


@pytest.mark.parametrize("bounds", [{"max_entries": 0}, {"max_paths": 0}])
def test_a_census_without_room_is_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FieldCensus(**bounds)


def test_noting_a_message_costs_next_to_nothing() -> None:
    census = FieldCensus()
    topics = [Topic("patient", str(number)) for number in range(100)]
    body = {"vitals": {f"v{number}": number for number in range(20)}, "samples": [0.5] * 250}
    began = time.process_time()
    for _ in range(300):
        for topic in topics:
            census.note(topic, topic.target_id, body, {})
    assert (time.process_time() - began) / 30_000 < 10e-6
