"""The checker is proved: it is silent about what is right, and names the law that each fault breaks."""

from typing import Any

import pytest

from laws.delivery_double import scenario
from laws.evidence import Evidence
from laws.journal import (
    Answer,
    Arrival,
    Cursor,
    GapTold,
    Line,
    Opened,
    Outcome,
    Rest,
    Rights,
    Send,
    Stored,
    StoreRead,
    Watch,
    checksum,
)
from laws.laws import LAWS, Terms, Violation, check

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


# -- single lines of the laws, each on the least evidence that decides it


class Case:
    """Evidence by hand: one client that watches everything, and messages by number."""

    def __init__(self, *, position: Cursor | None = None, patients: list[str] | None = None) -> None:
        self.lines: list[Line] = [
            Rights(user="u", patients=patients, asked=0, held=0),
            Opened(client="c", user="u", connection=1, dialed=1, at=1, given=None, resumed=False, cursor={}),
            Watch(
                client="c", topic="*", filters={}, at=2, position={"d": 0} if position is None else position
            ),
        ]

    def sent(
        self,
        seq: int,
        at: float,
        *,
        log: str = "d",
        acked: bool = True,
        patient: str = "1",
        kept: str = "fsync",
    ) -> None:
        key = f"k{log}{seq}"
        self.lines.append(
            Send(
                key=key, publisher="p", topic=f"patient:{patient}", patient=patient, body={"key": key}, at=at
            )
        )
        report = {
            "message_id": f"m{log}{seq}", "log": log, "seq": seq, "durability": kept, "duplicate": False,
            "considered": 1, "filtered": 0, "denied": 0, "matched": 1, "delivered": 1, "refused": {},
        }  # fmt: skip
        self.lines.append(
            Answer(key=key, at=at + 0.5, status=200 if acked else 0, report=report if acked else None)
        )

    def got(self, seq: int, at: float, *, log: str = "d", connection: int = 1, patient: str = "1") -> None:
        key = f"k{log}{seq}"
        self.lines.append(
            Arrival(
                client="c", connection=connection, at=at, log=log, seq=seq, id=f"m{log}{seq}",
                topic=f"patient:{patient}", key=key, crc=checksum({"key": key}), handled=True,
            )
        )  # fmt: skip

    def came_back(
        self, at: float, given: Cursor, *, resumed: bool, connection: int = 2, cursor: Cursor | None = None
    ) -> None:
        opened = Opened(
            client="c", user="u", connection=connection, dialed=at, at=at, given=given, resumed=resumed,
            cursor=cursor or {},
        )  # fmt: skip
        self.lines.append(opened)

    def violations(self, *gaps: str, lateness: float = 1.0) -> list[Violation]:
        rest = Rest(client="c", asked=100, at=100, cursor={})
        terms = Terms(gaps=frozenset(gaps), lateness=lateness)
        return check(Evidence([*self.lines, rest]), terms)

    def broken(self, *gaps: str, lateness: float = 1.0) -> set[str]:
        return {one.law for one in self.violations(*gaps, lateness=lateness)}


def gap(reason: str, first: int | None, last: int | None = None, **members: Any) -> GapTold:
    return GapTold(
        **{
            "client": "c",
            "connection": 1,
            "at": 50,
            "reason": reason,
            "log": "d",
            "first": first,
            "last": last,
        }
        | members
    )


def test_what_stands_before_the_position_of_a_subscription_is_not_due() -> None:
    case = Case(position={"d": 5})
    case.sent(5, 3)
    assert case.broken() == set()
    case.sent(6, 4)
    assert case.broken() == {"L2"}


def test_a_log_that_begins_later_is_due_from_its_beginning() -> None:
    case = Case(position={"d": 5})
    case.sent(1, 3, log="new")
    assert case.broken() == {"L2"}
    case.got(1, 4, log="new")
    assert case.broken() == set()


@pytest.mark.parametrize("reason", ["restart", "ahead"])
def test_the_end_of_a_log_covers_all_that_follows_in_it(reason: str) -> None:
    case = Case()
    case.sent(3, 3)
    case.lines.append(gap(reason, 3))
    assert case.broken(reason) == set()
    case.sent(2, 2.5)
    assert case.broken(reason) == {"L2"}


def test_a_restart_speaks_for_logs_in_memory_that_lived_while_a_client_was_away() -> None:
    case = Case(position={"d": 0, "v": 0})
    case.sent(4, 3, log="between", kept="memory")
    assert case.broken("restart") == {"L2"}
    case.came_back(10, {"v": 0}, resumed=True, cursor={"d": 0, "now": 7})
    case.lines.append(gap("restart", 1, log="v", connection=2))
    assert case.broken("restart") == set()
    # Not for what is on disk, not for the log of now, and not for what comes after.
    for number, how in enumerate([{"log": "between"}, {"log": "now", "kept": "memory"}]):
        also = Case(position={"d": 0, "v": 0})
        also.lines += case.lines[3:]
        also.sent(8 + number, 4, **how)
        assert also.broken("restart") == {"L2"}
    case.sent(5, 60, log="between", kept="memory")
    assert case.broken("restart") == {"L2"}


def test_a_gap_without_an_end_covers_nothing_where_the_server_must_know_the_end() -> None:
    case = Case()
    case.sent(3, 3)
    case.lines.append(gap("trimmed", 3))
    assert case.broken("trimmed") == {"L2"}


@pytest.mark.parametrize(
    ("members", "broken"),
    [
        ({}, set()),
        ({"topic": "patient:1"}, set()),
        ({"topic": "patient:2"}, {"L2"}),
        ({"log": "other"}, {"L2"}),
    ],
)
def test_a_gap_covers_its_topic_in_its_log(members: dict[str, Any], broken: set[str]) -> None:
    case = Case()
    case.sent(3, 3)
    case.lines.append(gap("slow", 3, 3, **members))
    assert case.broken("slow") == broken


def test_what_is_forbidden_now_excuses_no_loss_of_what_is_allowed() -> None:
    case = Case()
    case.sent(3, 3)
    case.lines.append(gap("forbidden", None))
    assert case.broken("forbidden") == {"L2"}


def test_a_client_that_was_not_resumed_misses_what_came_until_it_subscribed_again() -> None:
    case = Case()
    case.sent(1, 3)
    case.got(1, 3.2)
    case.sent(2, 4)
    case.came_back(10, {"d": 1}, resumed=False)
    case.lines.append(Watch(client="c", topic="*", filters={}, at=11, position={"d": 2}))
    assert case.broken("not_resumed") == set()
    assert case.broken() == {"L2"}
    case.sent(3, 12)
    assert case.broken("not_resumed") == {"L2"}


def test_nothing_at_or_before_the_cursor_comes_again_on_a_resumed_connection() -> None:
    case = Case()
    case.sent(1, 3)
    case.sent(2, 4)
    case.got(1, 4)
    case.came_back(10, {"d": 2}, resumed=True)
    case.got(2, 11, connection=2)
    assert case.broken() == {"L3"}


@pytest.mark.parametrize(
    ("at", "connection", "lateness", "broken"),
    [(20.5, 1, 1.0, set()), (20.5, 1, 0.2, {"L5"}), (22, 1, 1.0, {"L5"}), (20.7, 2, 1.0, {"L5"})],
)
def test_a_right_ends_soon_on_an_open_connection_and_at_once_for_a_later_one(
    at: float, connection: int, lateness: float, broken: set[str]
) -> None:
    case = Case(patients=["1"])
    case.sent(1, 3)
    case.lines.append(Rights(user="u", patients=[], asked=19, held=20))
    case.came_back(20.1, {}, resumed=True)
    case.got(1, at, connection=connection)
    assert case.broken(lateness=lateness) == broken


def test_what_a_publisher_sends_after_an_answer_stands_behind_it() -> None:
    case = Case()
    case.sent(2, 3)
    case.sent(1, 4)
    case.lines.append(gap("slow", 1, 2))
    assert case.broken("slow") == {"L3"}


def test_a_message_of_which_nothing_is_known_may_have_arrived() -> None:
    case = Case()
    case.sent(1, 3, acked=False)
    assert case.broken() == set()
    case.got(1, 4)
    assert case.broken() == set()


@pytest.mark.parametrize(("count", "broken"), [(1, {"L6"}), (2, set()), (3, {"L6"}), (None, set())])
def test_a_gap_with_a_number_has_the_right_one(count: int | None, broken: set[str]) -> None:
    case = Case()
    for seq in (1, 2, 3):
        case.sent(seq, seq + 2)
    case.got(2, 4.2)
    case.lines.append(gap("slow", 1, 3, count=count))
    assert case.broken("slow") == broken


def stored(seq: int, *, log: str = "d", name: str | None = None) -> Stored:
    key = name or f"k{log}{seq}"
    return Stored(log=log, seq=seq, id=f"m{log}{seq}", topic="patient:1", key=key, crc=checksum({"key": key}))


@pytest.mark.parametrize(
    ("logs", "kept", "broken"),
    [
        ({"d": 1}, [1, 2], set()),
        ({"d": 2}, [2], set()),
        ({"d": 3}, [], set()),
        ({"d": 1}, [2], {"L1"}),
        ({"d": 2}, [], {"L1"}),
        ({"other": 1}, [], {"L1"}),
        ({"d": 1}, [1, 2, 2], {"L1"}),
    ],
)
def test_the_store_holds_everything_from_the_place_on_that_it_names(
    logs: Cursor, kept: list[int], broken: set[str]
) -> None:
    case = Case()
    for seq in (1, 2):
        case.sent(seq, seq + 2)
        case.got(seq, seq + 3)
    case.lines += [StoreRead(logs=logs), *(stored(seq) for seq in kept)]
    assert case.broken() == broken


def test_what_was_acknowledged_from_memory_need_not_be_in_the_store() -> None:
    case = Case()
    case.sent(1, 3, log="v", kept="memory")
    case.got(1, 4, log="v")
    case.lines.append(StoreRead(logs={"d": 1}))
    assert case.broken() == set()


@pytest.mark.parametrize(
    ("outcome", "broken"),
    [
        ({"written": 1}, set()),
        ({"written": 0, "dropped": {"slow": 1}}, set()),
        ({"written": 0, "queued": 1}, {"L6"}),
        ({"written": 0}, {"L6"}),
        ({"written": 0, "dropped": {"slow": 1}, "replayed": 0}, {"L6"}),
        ({"written": 0, "dropped": {"slow": 1}, "replayed": 1}, set()),
    ],
)
def test_what_became_of_a_message_adds_up(outcome: dict[str, Any], broken: set[str]) -> None:
    case = Case()
    case.sent(1, 3)
    case.got(1, 4)
    case.lines.append(Outcome(**{"id": "md1", "queued": 0, "dropped": {}} | outcome))
    assert case.broken() == broken


@pytest.mark.parametrize(
    ("counts", "broken"),
    [
        ({}, set()),
        ({"matched": 2}, {"L6"}),
        ({"matched": 2, "refused": {"slow": 1}}, set()),
        ({"filtered": 1, "denied": 1}, {"L6"}),
        ({"matched": None, "considered": None, "refused": None, "duplicate": True}, set()),
    ],
)
def test_a_report_adds_up(counts: dict[str, Any], broken: set[str]) -> None:
    case = Case()
    case.sent(1, 3)
    case.got(1, 4)
    answer = case.lines[-2]
    assert isinstance(answer, Answer)
    assert answer.report is not None
    answer.report.update(counts)
    assert case.broken() == broken


def test_a_message_arrives_on_the_topic_that_it_was_sent_to() -> None:
    case = Case()
    case.sent(1, 3)
    case.got(1, 4, patient="2")
    assert "L7" in case.broken()


def test_an_announcement_to_all_is_due_to_whoever_was_connected() -> None:
    case = Case()
    del case.lines[2]
    for seq, at in ((1, 0.5), (2, 3)):
        case.sent(seq, at)
        send = case.lines[-2]
        assert isinstance(send, Send)
        send.topic, send.patient = "*", None
    told = {one.text.split()[2] for one in case.violations()}
    assert told == {"kd2"}


def test_a_client_that_was_not_resumed_may_get_again_what_it_has_handled() -> None:
    case = Case()
    case.sent(1, 3)
    case.sent(2, 4)
    case.lines.append(Watch(client="c", topic="*", filters={}, at=12, position={"d": 2}))
    case.came_back(10, {"d": 2}, resumed=False)
    case.got(2, 11, connection=2)
    assert case.broken("not_resumed") == {"L2"}


def test_messages_on_their_way_at_the_same_time_have_no_order() -> None:
    case = Case()
    case.sent(2, 3)
    case.sent(1, 3.2)
    case.lines.append(gap("slow", 1, 2))
    assert case.broken("slow") == set()
