from pathlib import Path

import pytest

from laws.__main__ import main
from laws.delivery_double import scenario
from laws.evidence import Evidence
from laws.journal import Answer, Journal, Send


def send(at: float) -> Send:
    return Send(key="k", publisher="p", topic="ecg:*", patient=None, body={"key": "k"}, at=at)


def answer(at: float, status: int) -> Answer:
    report = {"log": "l", "seq": 7, "message_id": "m", "durability": "fsync"}
    return Answer(key="k", at=at, status=status, report=report if status == 200 else None)


def test_a_message_is_acknowledged_by_the_first_success_whatever_came_before() -> None:
    evidence = Evidence([send(1), answer(2, 503), send(3), answer(4, 200), send(5), answer(6, 200)])
    [publication] = evidence.acked
    assert publication.acked_at == 4
    assert publication.durable
    assert len(publication.places) == 1
    assert not publication.refused


@pytest.mark.parametrize(
    ("statuses", "refused"),
    [([400], True), ([400, 400], True), ([503], False), ([0, 400], False), ([], False)],
)
def test_only_a_message_of_which_every_try_was_refused_is_refused(statuses: list[int], refused: bool) -> None:
    lines = [send(1), *(line for status in statuses for line in (send(2), answer(3, status)))]
    evidence = Evidence(lines[1:] if statuses else lines)
    assert evidence.publications["k"].refused is refused
    assert evidence.acked == []


def test_an_answer_to_nothing_means_that_a_journal_is_missing() -> None:
    with pytest.raises(ValueError, match="not whole"):
        Evidence([answer(1, 200)])


@pytest.mark.parametrize(("fault", "status"), [("", 0), ("drop one", 1)])
def test_kept_journals_can_be_judged_by_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, status: int
) -> None:
    with Journal(tmp_path / "all.journal") as journal:
        for line in scenario(fault):
            journal.write(line)
    assert main(str(tmp_path), "trimmed") == status
    assert f"{status} violations" in capsys.readouterr().out
