import pytest

from wsserver.operators.masking import mask, mask_document, mask_topic


@pytest.mark.parametrize(
    ("whole", "shown"),
    [("dr-4711", "•••11"), ("1234", "•••34"), ("123", "•••3"), ("12", "•••"), ("1", "•••"), ("", "•••")],
)
def test_an_id_shows_its_end_and_never_all_of_itself(whole: str, shown: str) -> None:
    assert mask(whole) == shown


@pytest.mark.parametrize(
    ("topic", "shown"),
    [
        ("patient:p-0815", "patient:•••15"),
        ("patient:*", "patient:*"),
        ("ecg:p-0816", "ecg:•••16"),
        ("type:ecg", "type:ecg"),
        ("*", "*"),
        ("patient", "patient"),
    ],
)
def test_a_topic_is_masked_that_has_a_target(topic: str, shown: str) -> None:
    assert mask_topic(topic) == shown


def test_people_are_masked_wherever_they_stand() -> None:
    document = {
        "connections": [{"user_id": "dr-4711", "patient_id": None, "connection_id": "c_1"}],
        "message": {"topic": "patient:p-0815", "patient_id": "p-0815"},
        "top_targets": [
            {"subscription_type": "patient", "target_id": "p-0815"},
            {"subscription_type": "patient", "target_id": "*"},
            {"subscription_type": "ecg", "target_id": "p-0816"},
        ],
    }
    assert mask_document(document) == {
        "connections": [{"user_id": "•••11", "patient_id": None, "connection_id": "c_1"}],
        "message": {"topic": "patient:•••15", "patient_id": "•••15"},
        "top_targets": [
            {"subscription_type": "patient", "target_id": "•••15"},
            {"subscription_type": "patient", "target_id": "*"},
            {"subscription_type": "ecg", "target_id": "•••16"},
        ],
    }


def test_filters_on_people_are_masked_and_others_stay() -> None:
    filters = {
        "patient_id": "p-0815",
        "user_id": {"$in": ["dr-4711", 4712]},
        "$or": [{"meta.patient_id": {"$not": {"$eq": "p-0816"}}}, {"vitals.hr": {"$gt": 130}}],
        "severity": ["critical"],
        "flag": {"$exists": True},
        "target_id": {"$exists": True},
    }
    assert mask_document({"filters": filters}) == {
        "filters": {
            "patient_id": "•••15",
            "user_id": {"$in": ["•••11", "•••12"]},
            "$or": [{"meta.patient_id": {"$not": {"$eq": "•••16"}}}, {"vitals.hr": {"$gt": 130}}],
            "severity": ["critical"],
            "flag": {"$exists": True},
            "target_id": {"$exists": True},
        }
    }


def test_clauses_and_the_sentences_about_them_are_masked_too() -> None:
    clauses = [
        {"path": "patient_id", "operator": "$in", "wanted": ["p-0815", "p-081"], "found": ["p-0816"]},
        {"path": "vitals.hr", "operator": "$gt", "wanted": 120, "found": [130]},
    ]
    masked = mask_document(
        {"clauses": clauses, "text": "✗ patient_id is p-0816, wanted p-0815, p-081\n✓ vitals.hr is 130"}
    )
    assert masked["clauses"][0]["wanted"] == ["•••15", "•••81"]
    assert masked["clauses"][0]["found"] == ["•••16"]
    assert masked["clauses"][1] == clauses[1]
    assert masked["text"] == "✗ patient_id is •••16, wanted •••15, •••81\n✓ vitals.hr is 130"


def test_a_number_that_only_looks_like_an_id_is_masked_in_sentences_and_words_are_not_torn() -> None:
    masked = mask_document({"patient_id": "13", "text": "13 of 130 at 2026-11-13", "count": 13})
    assert masked == {"patient_id": "•••", "text": "••• of 130 at 2026-11-13", "count": 13}


def test_what_has_nobody_in_it_is_the_same() -> None:
    document = {"figures": [1, 2.5, None, True], "text": "fine", "nested": {"a": ["b"]}}
    assert mask_document(document) == document
