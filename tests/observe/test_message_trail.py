"""Where one message has been, and where it ended."""

from typing import Any

import pytest
from fake_clock import FakeClock

from wsserver.errors import AUTHENTICATION_FAILED, BACKPRESSURE, PERMISSION_DENIED, ServerError
from wsserver.observe.message_trail import NO_TRAIL, STAGES, Trail
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import Topic


class Refusals:
    def __init__(self) -> None:
        self.seen: list[Trail] = []

    def refused(self, trail: Trail) -> None:
        self.seen.append(trail)

    def prepare(self, *_: Any) -> None: ...

    finish = prepare


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


def begin(refusals: Refusals, **more: Any) -> tuple[FakeClock, Trail]:
    clock = FakeClock()
    return clock, Trail(clock, refusals, "rest", **more)


def test_the_stages_are_those_of_a_messages_way() -> None:
    assert STAGES == (
        "received", "validated", "stored", "matched", "filtered", "encoded", "queued", "written",
    )  # fmt: skip


def test_times_count_from_when_all_of_it_was_there(refusals: Refusals) -> None:
    clock, trail = begin(refusals)
    clock.advance(30)
    trail.receive(b"{}")
    clock.advance(0.25)
    trail.validate(Topic.of_patient(1), PublishedMessage({"type": "x"}, topic=Topic.of_patient(1)))
    clock.advance(0.25)
    trail.match()
    trail.encode("json", 100)
    clock.advance(0.25)
    trail.encode("binary", 50)
    assert trail.moments == {"validated": 0.25, "matched": 0.5, "filtered": 0.5, "encoded": 0.75}
    assert trail.encodings == {"json": (0.5, 100), "binary": (0.75, 50)}
    assert (trail.type, trail.patient_id, trail.size) == ("x", "1", 12)


@pytest.mark.parametrize(
    ("content", "known"),
    [
        ({"type": "ecg_data", "patient_id": 5}, ("ecg_data", "5")),
        (b'{"type":"ecg_data","patient_id":"5"}', ("ecg_data", "5")),
        ({"type": 5, "patient_id": "a b"}, (None, None)),
        (b'{"type":"ecg', (None, None)),
        (b"[]", (None, None)),
        (b"\xff" * 9, (None, None)),
        (b"[" * 100_000, (None, None)),
        (None, (None, None)),
    ],
    ids=["object", "json", "wrong", "cut off", "list", "no text", "deep", "nothing"],
)
def test_of_a_refused_one_it_is_known_what_it_says_of_itself(
    refusals: Refusals, content: object, known: tuple[str | None, str | None]
) -> None:
    _, trail = begin(refusals, content=content)
    with pytest.raises(ServerError), trail:
        raise ServerError(PERMISSION_DENIED)
    assert refusals.seen == [trail]
    assert (trail.type, trail.patient_id) == known
    assert trail.stage == "validated"


def test_a_topic_says_whose_it_is_whatever_the_message_says(refusals: Refusals) -> None:
    _, trail = begin(refusals, content={"patient_id": 2}, topic=Topic.of_patient(1))
    trail.refuse(ServerError(PERMISSION_DENIED))
    assert trail.patient_id == "1"


def test_one_that_has_to_wait_was_valid_and_not_stored(refusals: Refusals) -> None:
    _, trail = begin(refusals)
    trail.validate(Topic.of("ecg"), PublishedMessage({}))
    trail.refuse(ServerError(BACKPRESSURE))
    assert trail.stage == "stored"
    # Whoever awaits the report is told again.
    trail.refuse(ServerError(BACKPRESSURE))
    assert refusals.seen == [trail]


def test_a_failure_to_store_is_noted_before_the_publisher_is_told(refusals: Refusals) -> None:
    _, trail = begin(refusals)
    heard: list[Exception] = []
    error = ServerError(BACKPRESSURE)
    trail.refusing(lambda fault: heard.append(fault))(error)
    assert heard == [error]
    assert trail.error is error


def test_strangers_and_faults_of_ours_leave_no_trace(refusals: Refusals) -> None:
    for fault in (ServerError(AUTHENTICATION_FAILED), RuntimeError()):
        _, trail = begin(refusals)
        with pytest.raises(type(fault)), trail:
            raise fault
    assert refusals.seen == []


def test_what_has_been_queued_is_not_refused_any_more(refusals: Refusals) -> None:
    _, trail = begin(refusals)
    trail.finish(*[None] * 5)
    trail.refuse(ServerError(BACKPRESSURE))
    assert refusals.seen == []


def test_one_that_was_brought_before_ends_there(refusals: Refusals) -> None:
    _, trail = begin(refusals)
    trail.validate(Topic.of("ecg"), PublishedMessage({}))
    trail.duplicate("m_1")
    assert (refusals.seen, trail.duplicate_of, trail.stage) == ([trail], "m_1", "validated")


def test_a_message_that_nobody_looks_for_has_no_trail() -> None:
    with NO_TRAIL as trail:
        assert trail is None
